"""What a run keeps: every so many steps, the mean over them or the last sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from formula_neuro.family import Array

from .problem import Problem

if TYPE_CHECKING:
    import torch


def bins(problem: Problem) -> int:
    """How many samples are recorded of an output; steps after the last whole bin are not."""
    return max(problem.steps - problem.skip, 0) // problem.every


def times(problem: Problem) -> Array:
    """The samples' times in ms, at the ends of their bins."""
    ends = problem.start.step + problem.skip + problem.every * np.arange(1, bins(problem) + 1)
    return np.asarray(ends * problem.dt, dtype=np.float64)


class Recorder:
    """Fills a run's outputs (R, N, B) step by step; what was taken stays on the device until `flush`."""

    def __init__(self, problem: Problem):
        self.problem, self.bins = problem, bins(problem)
        self.outputs = {name: np.empty((self.bins, problem.nodes, problem.batch)) for name in problem.keep}
        self.filled = 0
        self.sums: dict[str, torch.Tensor] = {}
        self.taken: dict[str, list[torch.Tensor]] = {name: [] for name in problem.keep}

    def take(self, step: int, values: Mapping[str, torch.Tensor]) -> None:
        """The values after the run's step number `step`, counted from 0."""
        at, place = divmod(step - self.problem.skip, self.problem.every)
        if not 0 <= at < self.bins:
            return
        if self.problem.binned == "mean":
            self.sums = {name: values[name] + self.sums[name] if place else values[name] for name in self.taken}
        if place == self.problem.every - 1:
            mean = self.problem.binned == "mean"
            for name, rows in self.taken.items():
                rows.append(self.sums[name] / self.problem.every if mean else values[name])

    def flush(self) -> None:
        """Move what was taken to the outputs."""
        import torch  # here, as the compiled engine uses this module and does without it

        n = 0
        for name, rows in self.taken.items():
            n = len(rows)
            if n:
                self.outputs[name][self.filled : self.filled + n] = torch.stack(rows).cpu().numpy()
            rows.clear()
        self.filled += n
