"""Replicates run in tiles: here, in processes or on a cluster; with a progress bar; what is done survives Ctrl-C.

Tiles lie at fixed places of the stream (0 to 99, 100 to 199, ...) however many are asked for at a time, and the rule
that stops early looks at fixed places too. So the numbers do not depend on how the work was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...family import Array
from ...running.bar import bar
from ...running.estimates import planned
from ...running.pieces import finished

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
    `size`: bytes of memory that a tile takes beside the fits themselves, an estimate.
    """

    width: int
    batched: bool
    run: Callable[[int, int], Tile]
    size: float | None = None

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
    progress: True, False, or None, as in bar().
    enough: of all rows so far, why they are enough, or ""; asked at every CHECKPOINT of the stream.
    """
    ready = task.ready()
    pieces = [
        (max(start, first), min(start + ready.width, last))
        for start in range(first // ready.width * ready.width, last, ready.width)
    ]
    done: list[Tile] = []
    halted = ""
    plan = planned("bootstrap", ready.size, len(pieces))
    with (
        bar(plan, last - first, progress, workers) as advance,
        closing(_in_order(Cutting(task, ready), pieces, workers, advance.took)) as tiles,
    ):
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


class Cutting:
    """A task as work on pieces (first, last); what all its tiles share is made once in each process that asks."""

    def __init__(self, task: Task, ready: Ready | None = None):
        self.task, self._ready = task, ready

    def __call__(self, piece: tuple[int, int]) -> Tile:
        if self._ready is None:
            self._ready = self.task.ready()
        return self._ready.cut(*piece)

    def __reduce__(self) -> tuple[type[Cutting], tuple[Task]]:
        return Cutting, (self.task,)


def _in_order(
    work: Cutting, pieces: list[tuple[int, int]], workers: Any, took: Callable[[float], None]
) -> Generator[Tile, None, None]:
    """The tiles in the order of the pieces, though they may come in by another."""
    early: dict[int, Tile] = {}
    following = 0
    for number, tile in finished(work, pieces, workers, took):
        early[number] = tile
        while following in early:
            yield early.pop(following)
            following += 1
