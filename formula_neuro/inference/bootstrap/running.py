"""Replicates run in tiles: here, in processes or on a cluster; with a progress bar; what is done survives Ctrl-C.

Tiles lie at fixed places of the stream (0 to 99, 100 to 199, ...) however many are asked for at a time, and the rule
that stops early looks at fixed places too. So the numbers do not depend on how the work was cut.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...family import Array

CHECKPOINT = 100  # replicates between two looks of a rule that stops early


@dataclass(frozen=True, eq=False)
class Tile:
    """What some replicates gave: one row of numbers each (B, k), and why a row is not to be used, or ""."""

    rows: Array
    reasons: tuple[str, ...]


class Task(Protocol):
    """Work that can be pickled; `ready` makes what all its tiles share."""

    def ready(self) -> Ready: ...


@dataclass(frozen=True, eq=False)
class Ready:
    """`run(first, last)` gives the rows of replicates first..last-1, of which `width` are best taken together.

    Where `batched`, rounding may depend on who is in the batch: whole tiles are run, of which a part may be kept.
    """

    width: int
    batched: bool
    run: Callable[[int, int], Tile]

    def cut(self, first: int, last: int) -> Tile:
        if not self.batched:
            return self.run(first, last)
        start = first // self.width * self.width
        whole = self.run(start, start + self.width)
        part = slice(first - start, last - start)
        return Tile(whole.rows[part], whole.reasons[part])


@dataclass(frozen=True, eq=False)
class Done:
    """The rows from `first` on that were finished, in order; `halted` says why there are not more, or ""."""

    rows: Array
    reasons: tuple[str, ...]
    halted: str = ""


def run(
    task: Task,
    first: int,
    last: int,
    *,
    workers: Any = None,
    progress: bool | None = None,
    enough: Callable[[Array], str] | None = None,
) -> Done:
    """Replicates first..last-1 of a task.

    workers: None or 1 (this process), a number of processes, or an executor: anything with submit(function, ...) that
    returns futures, such as one of concurrent.futures or a dask client.
    progress: True, False, or None for a bar only where standard error is a terminal.
    enough: of all rows so far, why they are enough, or ""; asked at every CHECKPOINT of the stream.
    """
    ready = task.ready()
    pieces = [
        (max(start, first), min(start + ready.width, last))
        for start in range(first // ready.width * ready.width, last, ready.width)
    ]
    done: list[Tile] = []
    halted = ""
    with _bar(last - first, progress) as advance, _tiles(task, ready, pieces, workers) as tiles:
        try:
            for (_, end), tile in zip(pieces, tiles, strict=True):
                done.append(tile)
                advance(len(tile.rows))
                if enough is not None and end % CHECKPOINT == 0 and (halted := enough(_rows(done))):
                    break
        except KeyboardInterrupt:
            if not done:
                raise
            halted = "interrupted"
    return Done(_rows(done), tuple(reason for tile in done for reason in tile.reasons), halted)


def _rows(tiles: list[Tile]) -> Array:
    return np.concatenate([tile.rows for tile in tiles]) if tiles else np.empty((0, 1))


def run_piece(task: Task, first: int, last: int) -> Tile:
    """One tile from nothing but the task: what a worker is asked to do."""
    return task.ready().cut(first, last)


@contextmanager
def _tiles(task: Task, ready: Ready, pieces: list[tuple[int, int]], workers: Any) -> Iterator[Iterable[Tile]]:
    if workers is None or (isinstance(workers, (int, np.integer)) and workers == 1):
        yield (ready.cut(*piece) for piece in pieces)
        return
    own = isinstance(workers, (int, np.integer)) and not isinstance(workers, bool)
    if own and workers < 1:
        raise ValueError(f"workers is a number of processes of 1 or more, or an executor; got {workers}")
    pool = ProcessPoolExecutor(int(workers)) if own else workers
    if not hasattr(pool, "submit"):
        raise TypeError(
            f"workers is a number of processes, or an executor or client with submit(); got {type(workers).__name__}"
        )
    futures = [pool.submit(run_piece, task, *piece) for piece in pieces]
    try:
        yield (future.result() for future in futures)
    finally:
        for future in futures:
            future.cancel()
        if own:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _bar(total: int, progress: bool | None) -> Iterator[Callable[[int], None]]:
    shown = sys.stderr.isatty() if progress is None else progress
    if not shown:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=console.is_terminal) as bar:  # elsewhere only its last state is written
        place = bar.add_task("bootstrap", total=total)
        yield lambda count: bar.advance(place, count)
