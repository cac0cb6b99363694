"""The fast engine, on processors: a model's equations traced once and compiled for several nodes or sets at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

from .group import Group
from .groups import joined, part, split
from .problem import Problem, Record

Progress: TypeAlias = Callable[[int, int], None] | None


def run(problem: Problem, workers: int = 1, progress: Progress = None) -> Record:
    """The whole run of a problem; groups of sets go to `workers` threads. Numbers do not depend on either."""
    groups = split(problem)
    told = _Told(problem.steps, len(groups), progress)
    if workers <= 1 or len(groups) == 1:
        return joined(problem, [Group(part(problem, sets), width).whole(told.add) for sets, width in groups])
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(_run, part(problem, sets), width, told.add) for sets, width in groups]
        return joined(problem, [future.result() for future in futures])


def _run(problem: Problem, width: int, told: Callable[[int], None]) -> Record:
    return Group(problem, width).whole(told)


@dataclass(eq=False)
class _Told:
    """Tells the progress of all groups together, in steps of the whole run."""

    steps: int
    groups: int
    progress: Progress
    done: int = 0
    lock: Lock = field(default_factory=Lock)

    def add(self, steps: int) -> None:
        with self.lock:
            self.done += steps
            if self.progress is not None:
                self.progress(self.done // self.groups, self.steps)
