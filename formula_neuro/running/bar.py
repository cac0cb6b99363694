"""How far a run has come, on standard error: a bar on a terminal, and lines where there is none."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from .estimates import foreseen, lasting, left
from .pieces import at_once, elsewhere, named

LONG = 10.0  # seconds that a run must be expected to last before it is spoken of unasked
SOON = 2.0  # seconds: a rest below them is not told
LATE = 30.0  # seconds after which something is said in any case
BETWEEN = 10.0  # seconds between two lines at least
LINES = 10  # of a run


class Advance(Protocol):
    """What advances a bar by a count; `took` may be told the seconds of each piece, as pieces.finished does."""

    def __call__(self, count: int) -> None: ...

    def took(self, seconds: float) -> None: ...


@contextmanager
def bar(
    what: str, total: int, shown: bool | None = None, workers: Any = None, *, done: int = 0, compiles: bool = False
) -> Iterator[Advance]:
    """What advances the bar by a count; what: the plan, as estimates.planned has it, and workers who run it.

    shown: True, False, or None. On a terminal both True and None are a bar. Elsewhere, as in a notebook or the log of a
    job, True writes lines, and None one line of a run that will last long, by what its first piece took.
    done: what an earlier run had finished. compiles: the first piece tells no speed, as it may compile or start R.
    """
    if shown is False:
        yield _Plain(lambda count: None)
        return
    words = f"{what}{named(workers)}"
    if not sys.stderr.isatty():
        many = at_once(workers)
        warm = 2 * many if compiles or elsewhere(workers) else 1
        lines = _Lines(words, total, many, warm, asked=bool(shown), begun=done, done=done)
        if shown:
            _say(words)
        yield lines
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
        place = progress.add_task(words, total=total, completed=done)
        yield _Plain(lambda count: progress.advance(place, count))


@dataclass(frozen=True, eq=False)
class _Plain:
    """Advances what tells the time by itself."""

    by: Callable[[int], None]

    def __call__(self, count: int) -> None:
        self.by(count)

    def took(self, seconds: float) -> None:
        pass


@dataclass(eq=False)
class _Lines:
    """Lines of a log: how long it will take as soon as that can be told, then how far it is, and the last.

    Unasked it is the first alone, with the plan, and none where the run is short.
    """

    words: str
    total: int
    at_once: int = 1
    warm: int = 1  # pieces after which the speed is told: elsewhere the first ones load what they need
    asked: bool = True
    begun: int = 0  # of the total, done by an earlier run
    done: int = 0
    started: float = field(default_factory=time.perf_counter)
    pieces: int = 0
    first: tuple[int, float] = (0, 0.0)  # what was done, and when, as the first of each worker had come in
    latest: deque[float] = field(default_factory=deque)  # seconds that the latest pieces took where they ran
    told: float = 0.0  # seconds
    share: float = 0.0  # of the run, at the last line

    @property
    def what(self) -> str:
        return self.words.partition(",")[0]

    def took(self, seconds: float) -> None:
        self.latest = deque([*self.latest, seconds], maxlen=self.at_once)

    def __call__(self, count: int) -> None:
        if count <= 0:
            return
        self.done, self.pieces = self.done + count, self.pieces + 1
        seconds, share = time.perf_counter() - self.started, self.done / max(self.total, 1)
        if self.pieces == self.at_once:
            self.first = (self.done, seconds)
        if self.done >= self.total:
            if self.asked:
                _say(f"{self.what}: all {self.total:,} after {lasting(seconds)}")
            return
        rest = self._rest(seconds)
        if not self.told and (self.pieces >= self.warm or seconds >= LATE):
            self._foretell(seconds, self._rest_of_pieces() or rest)
        elif self.told and self.asked and rest >= SOON and self._due(seconds, share):
            self.told, self.share = seconds, share
            _say(f"{self.what}: {self.done:,} of {self.total:,} after {lasting(seconds)}, about {lasting(rest)} left")

    def _foretell(self, seconds: float, rest: float) -> None:
        """Say once how long all will take, and by what that is known."""
        self.told, self.share = seconds, self.done / self.total
        if seconds + rest >= (SOON if self.asked else LONG):
            words = self.what if self.asked else self.words
            _say(f"{words}: {foreseen(seconds + rest, self.done - self.begun, self.total)}")

    def _rest_of_pieces(self) -> float:
        """Seconds that are left by what the latest pieces took where they ran; 0 where that is not known."""
        if not self.latest:
            return 0.0
        each = (self.done - self.begun) / self.pieces
        return sum(self.latest) / len(self.latest) * (self.total - self.done) / each / self.at_once

    def _rest(self, seconds: float) -> float:
        """Seconds that are left; what was loaded or compiled before the first pieces came in does not count again."""
        before, at = self.first if self.pieces >= 2 * self.at_once else (self.begun, 0.0)
        return left(self.done - before, self.total - before, seconds - at, self.pieces, self.at_once)

    def _due(self, seconds: float, share: float) -> bool:
        return seconds - self.told >= BETWEEN and share - self.share >= 1 / LINES


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
