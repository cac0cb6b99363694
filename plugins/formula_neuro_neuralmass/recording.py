"""What a run keeps: every so many steps, the mean over them or the last sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from formula_neuro.family import Array

from .problem import Problem, Record, Start


def bins(problem: Problem) -> int:
    """How many samples are recorded of an output; steps after the last whole bin are not."""
    return max(problem.steps - problem.skip, 0) // problem.every


def times(problem: Problem) -> Array:
    """The samples' times in ms, at the ends of their bins."""
    ends = problem.start.step + problem.skip + problem.every * np.arange(1, bins(problem) + 1)
    return ends * problem.dt


class Recorder:
    """Fills a run's outputs step by step."""

    def __init__(self, problem: Problem):
        self.problem = problem
        shape = (bins(problem), problem.nodes, problem.batch)
        self.outputs = {name: np.empty(shape) for name in problem.keep}
        self.sums: dict[str, Any] = {}

    def take(self, step: int, values: Mapping[str, torch.Tensor]) -> None:
        """The values after the run's step number `step`, counted from 0."""
        at, place = divmod(step - self.problem.skip, self.problem.every)
        if at < 0 or at >= bins(self.problem):
            return
        last = place == self.problem.every - 1
        if self.problem.binned == "mean" and self.problem.every > 1:
            self._add(values, new=place == 0)
            values = {name: total / self.problem.every for name, total in self.sums.items()} if last else {}
        if last:
            for name, kept in self.outputs.items():
                kept[at] = values[name].cpu().numpy()

    def _add(self, values: Mapping[str, torch.Tensor], new: bool) -> None:
        self.sums = {name: values[name] + (0 if new else self.sums[name]) for name in self.outputs}

    def answer(self, end: Start, failed: Array, engine: str) -> Record:
        """The whole record."""
        share = np.full(self.problem.batch, np.nan)
        t = times(self.problem)
        return Record(t, self.outputs, np.empty(0), None, failed, share, end, engine)
