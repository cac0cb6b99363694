"""The plain engine: a model's equations called once a step on tensors (N, B), on any device and in any precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import torch

from formula_neuro.dynamics.model import OU, Tract, White
from formula_neuro.dynamics.tables import watched
from formula_neuro.family import Array

from . import balloon, noise
from .history import Arrivals, Past, delayed_sum
from .problem import Problem, Record, Start
from .recording import Recorder, times

Tensors: TypeAlias = dict[str, torch.Tensor]
Progress: TypeAlias = Callable[[int, int], None] | None


def run(problem: Problem, workers: int = 1, progress: Progress = None) -> Record:
    """The whole run of a problem; `progress` is told the steps done and the steps in all."""
    threads = torch.get_num_threads()
    torch.set_num_threads(workers)
    try:
        with torch.no_grad():
            return _Run(problem).whole(workers, progress)
    finally:
        torch.set_num_threads(threads)


def differentiable(
    problem: Problem,
    params: Mapping[str, torch.Tensor] | None = None,
    stimulus: Mapping[str, torch.Tensor] | None = None,
) -> Tensors:
    """The problem's outputs in every step, (steps, N, B) by name, whose gradients flow back to `params` and `stimulus`.

    Those stand in place of the problem's own, in their shapes; parameters of noise and delays are left as they are.
    Every step stays in memory until backward().
    """
    run, rows = _Run(problem), {name: list[torch.Tensor]() for name in problem.keep}
    vars(run.p).update(params or {})
    run.stimulus.update(stimulus or {})
    for block in noise.blocks(problem, noise.active(problem)):
        normals = [None if z is None else run.tensor(z) for z in block.normals]
        for k in range(block.steps):
            values = run.advance(block.first + k - problem.start.step, [None if z is None else z[k] for z in normals])
            for name, taken in rows.items():
                taken.append(values[name])
    return {name: torch.stack(taken) for name, taken in rows.items()}


class _Run:
    """One run's tensors, replaced from step to step; nobody outside sees them."""

    def __init__(self, problem: Problem):
        self.problem, self.model = problem, problem.model
        self.p = SimpleNamespace(**{name: self._parameter(value) for name, value in problem.params.items()})
        self.stimulus = {name: self.tensor(value) for name, value in problem.stimulus.items()}
        self.indegree = self.tensor(problem.weights.sum(1)[:, None])
        self.s: Tensors = {name: self.full(problem.start.states[name]) for name in self.model.states}
        self.ou: Tensors = {n.name: self.full(problem.start.ou[n.name]) for n in self.model.noise if isinstance(n, OU)}
        self.factors = {n.name: self._ou_factors(n) for n in self.model.noise if isinstance(n, OU)}
        self.arrivals = self._arrivals()
        self.blood = None if problem.bold is None else _Blood(self)
        self.failed = np.full(problem.batch, np.nan)
        self.beyond, self.look_ups = self.tensor(np.zeros(problem.batch)), 0

    def whole(self, workers: int, progress: Progress) -> Record:
        """Every step, block by block."""
        problem, record = self.problem, Recorder(self.problem)
        for block in noise.blocks(problem, noise.active(problem), workers):
            normals = [None if z is None else self.tensor(z) for z in block.normals]
            for k in range(block.steps):
                step = block.first + k - problem.start.step
                values = self._counted(step, [None if z is None else z[k] for z in normals])
                record.take(step, values)
                if self.blood is not None:
                    self.blood.advance(values, block.first + k + 1)
            record.flush()
            self._flag(block.first + block.steps)
            if progress is not None:
                progress(block.first + block.steps - problem.start.step, problem.steps)
        return self._answer(record)

    def _answer(self, record: Recorder) -> Record:
        blood = self.blood
        return Record(
            t=times(self.problem),
            outputs=record.outputs,
            bold_t=balloon.sample_times(self.problem),
            bold=None if blood is None else blood.samples(),
            failed=self.failed,
            clamped=_array(self.beyond) / self.look_ups if self.look_ups else np.full(self.problem.batch, np.nan),
            end=self._end(),
            engine="torch",
        )

    def _counted(self, step: int, normals: list[torch.Tensor | None]) -> Tensors:
        """One step, with its look-ups beyond a table's edge added up."""
        if not self.model.tables:
            return self.advance(step, normals)
        with watched() as beyond:
            values = self.advance(step, normals)
        self.beyond = self.beyond + sum(where.sum(0) for where in beyond)
        self.look_ups += self.problem.nodes * len(beyond)
        return values

    def advance(self, step: int, normals: Iterable[torch.Tensor | None]) -> Tensors:
        """One step; its answer has the new states and values by name."""
        model, dt, normals = self.model, self.problem.dt, list(normals)
        p = self._stimulated(step) if self.stimulus else self.p
        before = {**self.s, **self.ou, **self.arrivals.now(), "indegree": self.indegree,
                  "nodes": self.problem.nodes}  # fmt: skip
        drift = model.drift(SimpleNamespace(**before), p)
        new = {name: self.s[name] + dt * value if name in self.s else value for name, value in drift.items()}
        for source, xi in zip(model.noise, normals, strict=True):
            if isinstance(source, White) and xi is not None:
                new[source.state] = new[source.state] + source.scale(p) * dt**0.5 * xi
        if model.finish is not None:
            new |= model.finish(SimpleNamespace(**{**before, **new}), p)
        new = {name: self._whole(value) for name, value in new.items()}
        for source, xi in zip(model.noise, normals, strict=True):
            if isinstance(source, OU):
                self._ou_step(source, p, xi)
        self.s = {name: new[name] for name in self.s}
        for name, past in self.arrivals.pasts.items():
            past.append(new[name])
        return new

    def tensor(self, value: Any) -> torch.Tensor:
        """A tensor, which nobody changes, as it may share the value's memory."""
        value = np.ascontiguousarray(value)
        if not value.flags.writeable:  # torch warns of memory that it must not change
            value = value.copy()
        return torch.as_tensor(value, dtype=getattr(torch, self.problem.dtype), device=self.problem.device)

    def _parameter(self, value: Array) -> float | torch.Tensor:
        """A number where one holds everywhere: arithmetic among such parameters then costs no operation on tensors.

        Zero stays a tensor, by which a division is infinite and no error.
        """
        return float(value[0, 0]) if value.size == 1 and value[0, 0] != 0 else self.tensor(value)

    def full(self, value: Any) -> torch.Tensor:
        """The value at every node in every set, (N, B)."""
        return self.tensor(np.broadcast_to(value, (self.problem.nodes, self.problem.batch)))

    def _whole(self, value: Any) -> torch.Tensor:
        shape = (self.problem.nodes, self.problem.batch)
        if isinstance(value, torch.Tensor) and value.shape == shape:
            return value
        return torch.zeros(shape, dtype=self.indegree.dtype, device=self.indegree.device) + value

    def _stimulated(self, step: int) -> SimpleNamespace:
        row = step - self.problem.neurolib_inputs  # -1 is the last, as there
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
        rows = np.moveaxis(np.asarray(self.problem.start.past[name]), 1, 0)[-length:]
        return self.tensor(np.broadcast_to(rows, (length, self.problem.nodes, self.problem.batch)))

    def _flag(self, step: int) -> None:
        """Note the sets that are no longer finite, and make them NaN from here on."""
        sound = torch.stack([torch.isfinite(x).all(0) for x in self.s.values()]).all(0)
        bad = ~sound
        if not bool(bad.any()):
            return
        self.s = {name: torch.where(bad, torch.nan, x) for name, x in self.s.items()}
        for past in self.arrivals.pasts.values():
            past.rows[-1] = torch.where(bad, torch.nan, past.rows[-1])
        first = bad.cpu().numpy() & np.isnan(self.failed)
        self.failed[first] = step * self.problem.dt

    def _end(self) -> Start:
        """Where the run stands, as a start from which to go on."""
        return Start(
            states={name: _array(x) for name, x in self.s.items()},
            past={name: _array(past.rows.movedim(0, 1)) for name, past in self.arrivals.pasts.items()},
            ou={name: _array(x) for name, x in self.ou.items()},
            step=self.problem.start.step + self.problem.steps,
            bold=None if self.blood is None else np.stack([_array(self.blood.s[name]) for name in balloon.STATES]),
        )


class _Blood:
    """The BOLD model of a run."""

    def __init__(self, run: _Run):
        problem = run.problem
        assert problem.bold is not None and problem.model.bold is not None
        self.drive, self.nodes, self.batch = problem.model.bold, problem.nodes, problem.batch
        constants = balloon.constants(problem.bold, problem.dt, problem.dtype)
        self.k = SimpleNamespace(**{name: run.tensor(value) for name, value in constants.items()})
        self.s = dict(zip(balloon.STATES, (run.full(x) for x in balloon.begin(problem)), strict=True))
        self.at, self.taken = set(balloon.sample_steps(problem).tolist()), list[torch.Tensor]()

    def advance(self, values: Tensors, step: int) -> None:
        """One step, the whole run's number `step`, driven by the model's new values."""
        drive = self.drive(SimpleNamespace(**values))
        self.s = balloon.advance(SimpleNamespace(Z=drive, **self.s), self.k)
        if step in self.at:
            self.taken.append(balloon.signal(self.s["Q"], self.s["V"], self.k))

    def samples(self) -> Array:
        """BOLD (S, N, B)."""
        empty = np.empty((0, self.nodes, self.batch))
        return _array(torch.stack(self.taken)) if self.taken else empty


def _array(x: torch.Tensor) -> Array:
    return x.cpu().numpy().astype(np.float64)
