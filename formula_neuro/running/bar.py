"""How far a run has come, on standard error: a bar on a terminal, and lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .estimates import lasting, left
from .pieces import at_once, named

SETTLED = 0.01  # of a run, from where on its speed is told
SOON = 2.0  # seconds: before them, what is loaded or compiled first would be taken for the speed; less is not told
LATE = 30.0  # seconds after which something is said in any case
BETWEEN = 10.0  # seconds between two lines at least
LINES = 10  # of a run


@contextmanager
def bar(what: str, total: int, shown: bool | None = None, workers: Any = None) -> Iterator[Callable[[int], None]]:
    """A function that advances the bar by a count; shown: True, False, or None for a bar only on a terminal.

    workers: who run it, if not this process. Where standard error is no terminal but a log, lines are written.
    """
    if not (sys.stderr.isatty() if shown is None else shown):
        yield lambda count: None
        return
    words = f"{what}{named(workers)}"
    if not sys.stderr.isatty():
        lines = _Lines(what.partition(",")[0], total, at_once(workers))
        _say(words)
        yield lines.advance
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        place = progress.add_task(words, total=total)
        yield lambda count: progress.advance(place, count)


@dataclass(eq=False)
class _Lines:
    """Lines of a log: the first as soon as the speed is known, then some, and the last."""

    what: str
    total: int
    at_once: int
    started: float = field(default_factory=time.perf_counter)
    done: int = 0
    pieces: int = 0
    first: tuple[int, float] = (0, 0.0)  # what was done, and when, as the first of each worker had come in
    told: float = 0.0  # seconds
    share: float = 0.0  # of the run, at the last line

    def advance(self, count: int) -> None:
        if count <= 0:
            return
        self.done, self.pieces = self.done + count, self.pieces + 1
        seconds, share = time.perf_counter() - self.started, self.done / max(self.total, 1)
        if self.pieces == self.at_once:
            self.first = (self.done, seconds)
        if self.done >= self.total:
            _say(f"{self.what}: all {self.total:,} after {lasting(seconds)}")
            return
        rest = self._rest(seconds)
        if rest >= SOON and self._due(seconds, share):
            self.told, self.share = seconds, share
            _say(f"{self.what}: {self.done:,} of {self.total:,} after {lasting(seconds)}, about {lasting(rest)} left")

    def _rest(self, seconds: float) -> float:
        """Seconds that are left; what was loaded or compiled before the first pieces came in does not count again."""
        before, at = self.first if self.pieces >= 2 * self.at_once else (0, 0.0)
        return left(self.done - before, self.total - before, seconds - at, self.pieces, self.at_once)

    def _due(self, seconds: float, share: float) -> bool:
        if not self.told:
            return (share >= SETTLED and seconds >= SOON and self.pieces >= 2 * self.at_once) or seconds >= LATE
        return seconds - self.told >= BETWEEN and share - self.share >= 1 / LINES


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
