"""Pieces of work run here, in processes or on a dask cluster; a worker that dies costs nothing but its piece's time."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from ..errors import DataError, FitError

# A copy of this process starts at once and asks for no `if __name__ == "__main__"` in the user's script; it runs on
# one thread (as torch's own data loaders), because those of the parent are not copied.
START = "fork" if sys.platform == "linux" else "spawn"
TRIES = 4  # of one piece, before what kills its workers is taken to be the piece itself
Piece = TypeVar("Piece")
Answer = TypeVar("Answer")


def finished(
    work: Callable[[Piece], Answer],
    pieces: Sequence[Piece],
    workers: Any = None,
    took: Callable[[float], None] | None = None,
) -> Iterator[tuple[int, Answer]]:
    """The number of each piece with its answer, as they come in.

    workers: None or 1 (this process), a number of processes, a dask client, or another executor of
    concurrent.futures. `work` is pickled for all but the first. Pieces whose worker was killed are run again.
    took: is told the seconds of each piece where it ran, before its answer.
    """
    for number, (answer, seconds) in _timed(Timed(work), pieces, workers):
        if took is not None:
            took(seconds)
        yield number, answer


@dataclass(frozen=True, eq=False)
class Timed(Generic[Piece, Answer]):
    """Work that answers with the seconds that it took, beside its answer."""

    work: Callable[[Piece], Answer]

    def __call__(self, piece: Piece) -> tuple[Answer, float]:
        started = time.perf_counter()
        return self.work(piece), time.perf_counter() - started


def _timed(
    work: Callable[[Piece], Answer], pieces: Sequence[Piece], workers: Any = None
) -> Iterator[tuple[int, Answer]]:
    if workers is None or (_is_number(workers) and workers == 1):
        return ((number, work(piece)) for number, piece in enumerate(pieces))
    if _is_number(workers):
        if workers < 1:
            raise ValueError(f"workers is a number of processes of 1 or more, or a dask client; got {workers}")
        return _in_processes(work, pieces, int(workers))
    if _is_dask(workers):
        return _on_dask(work, pieces, workers)
    if hasattr(workers, "submit"):
        return _by_executor(work, pieces, workers)
    raise TypeError(
        f"workers is a number of processes, or an executor or client with submit(); got {type(workers).__name__}"
    )


def threads_or_pool(workers: Any = None) -> tuple[int, Any]:
    """Of work that takes threads: how many here, and the client or executor that it goes to instead, or None.

    Raises DataError.

    >>> threads_or_pool(4)
    (4, None)
    """
    if workers is None or (_is_number(workers) and workers >= 1):
        return int(workers or 1), None
    if hasattr(workers, "submit"):
        return 1, workers
    raise DataError(
        f"workers is {workers!r}; a number of threads from 1, a dask client, or an executor with submit(), is expected"
    )


def at_once(workers: Any = None) -> int:
    """How many pieces run at the same time, as far as that is known now.

    >>> at_once(), at_once(4)
    (1, 4)
    """
    if workers is None or _is_number(workers):
        return max(int(workers or 1), 1)
    if _is_dask(workers):
        return max(sum(workers.nthreads().values()), 1)
    held = getattr(workers, "_max_workers", None)  # of concurrent.futures' and loky's executors
    return held if isinstance(held, int) else os.cpu_count() or 1


def elsewhere(workers: Any = None) -> bool:
    """Whether pieces run in processes that are not copies of this one, and load what they need first.

    >>> elsewhere(), elsewhere(4)
    (False, False)
    """
    return workers is not None and not (_is_number(workers) and (workers == 1 or START == "fork"))


def named(workers: Any = None) -> str:
    """Who run the pieces, as the end of a sentence; nothing of this process.

    >>> named(), named(2)
    ('', ', on 2 processes')
    """
    if workers is None or (_is_number(workers) and workers == 1):
        return ""
    if _is_dask(workers):
        there = len(workers.nthreads())
        return f", on {there} dask workers" if there else ", on dask workers that have yet to start"
    return f", on {at_once(workers)} processes" if _is_number(workers) else f", by {type(workers).__name__}"


def _is_dask(workers: Any) -> bool:
    return hasattr(workers, "scheduler") and hasattr(workers, "scatter")


def _is_number(workers: Any) -> bool:
    return isinstance(workers, (int, np.integer)) and not isinstance(workers, bool)


def _in_processes(
    work: Callable[[Piece], Answer], pieces: Sequence[Piece], workers: int
) -> Iterator[tuple[int, Answer]]:
    """New processes of our own; when one dies the pool is made again for what is not finished."""
    left, tries = list(range(len(pieces))), 0
    while left:
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context(START), _prepare, (work,))
        try:
            for number, answer in _drained(_prepared, pieces, left, pool, 2 * workers):
                left.remove(number)
                tries = 0
                yield number, answer
        except BrokenProcessPool as broken:
            tries += 1
            if tries == TRIES:
                raise FitError(
                    f"a worker process died {TRIES} times in a row without finishing a piece, most likely for want of "
                    "memory; use fewer workers, or fewer images or voxels"
                ) from broken
        finally:
            pool.shutdown(wait=not left, cancel_futures=True)  # idle ones end at once, and say nothing as Python ends


def _drained(
    work: Callable[[Piece], Answer], pieces: Sequence[Piece], numbers: Sequence[int], pool: Executor, at_once: int
) -> Iterator[tuple[int, Answer]]:
    """Submit so many at once that all workers are busy and no more, so that memory stays bounded."""
    waiting = list(reversed(numbers))
    running: dict[Future[Answer], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                number = waiting.pop()
                running[pool.submit(work, pieces[number])] = number
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                yield number, future.result()
    finally:
        for future in running:
            future.cancel()


def _by_executor(
    work: Callable[[Piece], Answer], pieces: Sequence[Piece], pool: Executor
) -> Iterator[tuple[int, Answer]]:
    yield from _drained(work, pieces, range(len(pieces)), pool, 2 * (os.cpu_count() or 1))


def _on_dask(work: Callable[[Piece], Answer], pieces: Sequence[Piece], client: Any) -> Iterator[tuple[int, Answer]]:
    """Tasks of a dask.distributed client, which moves them elsewhere when a worker dies."""
    from dask.distributed import as_completed

    shared = client.submit(_same, work, pure=False)  # a task: unlike scattered data it can be made again
    futures = {
        client.submit(_call, shared, piece, pure=False, retries=TRIES): number for number, piece in enumerate(pieces)
    }
    try:
        for future in as_completed(list(futures)):
            yield futures[future], future.result()
            future.release()
    finally:
        client.cancel([future for future in futures if not future.done()])


def _same(work: Callable[[Piece], Answer]) -> Callable[[Piece], Answer]:
    return work


def _call(work: Callable[[Piece], Answer], piece: Piece) -> Answer:
    return work(piece)


# ---- inside a process of ours --------------------------------------------------------------------
_held: list[Callable[[Any], Any]] = []  # the work, sent once a process and not once a piece


def _prepare(work: Callable[[Any], Any]) -> None:
    """Hold the work, and take one core."""
    _held[:] = [work]
    os.environ["OMP_NUM_THREADS"] = "1"  # of what is loaded later
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def _prepared(piece: Any) -> Any:
    return _held[0](piece)
