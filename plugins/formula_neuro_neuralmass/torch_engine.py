"""The plain engine: a model's equations called once a step on tensors (N, B), on any device and in any precision."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import torch

from formula_neuro.dynamics.model import OU, Tract, White
from formula_neuro.family import Array

from . import noise
from .history import Arrivals, Past, delayed_sum
from .problem import Problem, Record, Start
from .recording import Recorder

Tensors: TypeAlias = dict[str, torch.Tensor]
Progress: TypeAlias = Callable[[int, int], None] | None


def run(problem: Problem, workers: int = 1, progress: Progress = None) -> Record:
    """The whole run of a problem; `progress` is told the steps done and the steps in all."""
    threads = torch.get_num_threads()
    torch.set_num_threads(workers)
    try:
        with torch.no_grad():
            return _Run(problem).whole(progress)
    finally:
        torch.set_num_threads(threads)


class _Run:
    """One run's tensors, replaced from step to step; nobody outside sees them."""

    def __init__(self, problem: Problem):
        self.problem, self.model = problem, problem.model
        self.p = SimpleNamespace(**{name: self.tensor(value) for name, value in problem.params.items()})
        self.stimulus = {name: self.tensor(value) for name, value in problem.stimulus.items()}
        self.indegree = self.tensor(problem.weights.sum(1)[:, None])
        self.s: Tensors = {name: self.full(problem.start.states[name]) for name in self.model.states}
        self.ou: Tensors = {n.name: self.full(problem.start.ou[n.name]) for n in self.model.noise if isinstance(n, OU)}
        self.factors = {n.name: self._ou_factors(n) for n in self.model.noise if isinstance(n, OU)}
        self.arrivals = self._arrivals()
        self.white_step = problem.dt**0.5
        self.failed = np.full(problem.batch, np.nan)

    def whole(self, progress: Progress) -> Record:
        problem = self.problem
        record = Recorder(problem)
        for block in noise.blocks(problem, noise.active(self.model, problem)):
            normals = [None if z is None else self.tensor(z) for z in block.normals]
            for k in range(block.steps):
                step = block.first + k - problem.start.step
                values = self.advance(step, [None if z is None else z[k] for z in normals])
                record.take(step, values)
            self._flag(block.first + block.steps)
            if progress is not None:
                progress(block.first + block.steps - problem.start.step, problem.steps)
        return record.answer(self.end(), self.failed, engine="torch")

    def advance(self, step: int, normals: list[torch.Tensor | None]) -> Tensors:
        """One step; its answer has the new states and values by name."""
        model, dt = self.model, self.problem.dt
        p = self._stimulated(step) if self.stimulus else self.p
        before = {**self.s, **self.ou, **self.arrivals.now(), "indegree": self.indegree}
        drift = model.drift(SimpleNamespace(**before), p)
        values = {name: self._whole(value) for name, value in drift.items() if name not in self.s}
        new = {name: x + dt * drift[name] for name, x in self.s.items()}
        for source, xi in zip(model.noise, normals, strict=True):
            if isinstance(source, White) and xi is not None:
                new[source.state] = new[source.state] + source.scale(p) * self.white_step * xi
        if model.finish is not None:
            after = model.finish(SimpleNamespace(**{**before, **values, **new}), p)
            for name, value in after.items():
                (new if name in new else values)[name] = self._whole(value)
        for source, xi in zip(model.noise, normals, strict=True):
            if isinstance(source, OU):
                self._ou_step(source, p, xi)
        self.s = new
        for name, past in self.arrivals.pasts.items():
            past.append(new[name] if name in new else values[name])
        return {**values, **new}

    def end(self) -> Start:
        """Where the run stands, as a start from which to go on."""
        past = {name: past.rows.movedim(0, 1) for name, past in self.arrivals.pasts.items()}
        step = self.problem.start.step + self.problem.steps
        return Start(_arrays(self.s), _arrays(past), _arrays(self.ou), step)

    def tensor(self, value: Any) -> torch.Tensor:
        dtype = getattr(torch, self.problem.dtype)
        return torch.tensor(np.asarray(value), dtype=dtype, device=self.problem.device)

    def full(self, value: Any) -> torch.Tensor:
        """The value at every node in every set, (N, B)."""
        return self.tensor(np.broadcast_to(value, (self.problem.nodes, self.problem.batch)))

    def _whole(self, value: Any) -> torch.Tensor:
        like = next(iter(self.s.values()))
        return value if getattr(value, "shape", None) == like.shape else torch.zeros_like(like) + value

    def _stimulated(self, step: int) -> SimpleNamespace:
        row = min(step + self.problem.neurolib_inputs, self.problem.steps - 1)
        return SimpleNamespace(**{**vars(self.p), **{name: series[row] for name, series in self.stimulus.items()}})

    def _ou_factors(self, source: OU) -> tuple[torch.Tensor, torch.Tensor]:
        params = self.problem.params
        a, b = noise.ou_update(self.problem.noise, self.problem.dt, params[source.tau], params[source.sigma])
        return self.tensor(a), self.tensor(b)

    def _ou_step(self, source: OU, p: SimpleNamespace, xi: torch.Tensor | None) -> None:
        a, b = self.factors[source.name]
        mean = getattr(p, source.mean)
        moved = mean + a * (self.ou[source.name] - mean)
        self.ou[source.name] = moved if xi is None else moved + b * xi

    def _arrivals(self) -> Arrivals:
        problem = self.problem
        length = problem.longest + 1
        pasts = {name: Past.of(self._past(name, length)) for name in self.model.transmitted}
        sums = {}
        for name, how in self.model.inputs.items():
            if isinstance(how, Tract):
                weights = problem.weights**2 if how.squared else problem.weights
                sums[name] = delayed_sum(weights, problem.delays, length, self.indegree)
        return Arrivals(self.model.inputs, pasts, sums, problem.own_delays)

    def _past(self, name: str, length: int) -> torch.Tensor:
        """The variable's last rows (length, N, B), oldest first."""
        rows = np.moveaxis(np.asarray(self.problem.start.past[name]), 1, 0)
        rows = np.concatenate([np.repeat(rows[:1], max(length - len(rows), 0), axis=0), rows[-length:]])
        return self.tensor(np.broadcast_to(rows, (length, self.problem.nodes, self.problem.batch)))

    def _flag(self, step: int) -> None:
        """Note the sets that are no longer finite, and make them NaN from here on."""
        sound = torch.stack([torch.isfinite(x).all(0) for x in self.s.values()]).all(0)
        bad = ~sound
        if not bool(bad.any()):
            return
        for name in self.s:
            self.s[name] = torch.where(bad, torch.nan, self.s[name])
        first = bad.cpu().numpy() & np.isnan(self.failed)
        self.failed[first] = step * self.problem.dt


def _arrays(tensors: Tensors) -> dict[str, Array]:
    return {name: x.cpu().numpy().astype(float) for name, x in tensors.items()}
