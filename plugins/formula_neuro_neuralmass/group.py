"""The run of one group of sets on the fast engine, stretch by stretch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.dynamics.model import OU, Own
from formula_neuro.family import Array

from . import balloon, noise, programs
from .layout import Block, padded, wiring
from .problem import Problem, Record, Start
from .recording import bins, times
from .tracing import LANES


class Group:
    """One group's numbers, changed in place from stretch to stretch; nobody outside sees them."""

    def __init__(self, problem: Problem, width: int):
        self.problem, self.model, self.width = problem, problem.model, width
        self.program = programs.step(problem)
        self.block = Block(self.program, problem.nodes, width, problem.dtype, self._leaves())
        self.wiring = wiring(problem, width)
        self.sent = _rows(self.program.rows[f"s.{name}"] for name in problem.model.transmitted)
        self.far = np.zeros((len(problem.model.inputs), 2 * self.block.padded * LANES), dtype=problem.dtype)
        self.pasts = self._pasts()
        self.blood = None if problem.bold is None else _Blood(problem, self.block)
        rows = self.program.rows
        self.own, self.tracts = self._inputs()
        self.keep = _rows(rows[f"s.{name}"] for name in problem.keep)
        self.states = _rows(rows[f"s.{name}"] for name in self.model.states)
        self.clamped = np.zeros(problem.batch)
        self.active = noise.active(problem)
        self.normals = np.zeros(sum(self.active) * noise.STRETCH * self.block.padded, dtype=problem.dtype)
        self.total = np.zeros(len(self.keep) * self.block.padded, dtype=problem.dtype)
        self.filled = 0
        sets = problem.batch
        self.outputs = {name: np.full((bins(problem), problem.nodes, sets), np.nan) for name in problem.keep}
        self.recorded = 0
        self.failed = np.full(sets, np.nan)

    def _leaves(self) -> dict[str, Any]:
        problem, start = self.problem, self.problem.start
        leaves: dict[str, Any] = {f"p.{name}": v for name, v in problem.params.items() if name not in problem.stimulus}
        leaves |= {f"s.{name}": start.states[name] for name in self.model.states}
        leaves |= {"indegree": problem.weights.sum(1)[:, None], "nodes": problem.nodes}
        leaves |= {"dt": problem.dt, "sqrt_dt": problem.dt**0.5}
        for process in self.model.noise:
            if isinstance(process, OU):
                tau, sigma = problem.params[process.tau], problem.params[process.sigma]
                a, b = noise.ou_update(problem.noise, problem.dt, tau, sigma)
                leaves |= {f"keep.{process.name}": a, f"shake.{process.name}": b}
                leaves[f"ou.{process.name}"] = start.ou[process.name]
        return leaves

    def _pasts(self) -> Array:
        """(transmitted, nodes * length) rings that hold the past of the start, its newest at step start.step."""
        problem, ring, width = self.problem, self.wiring.ring, self.width
        length = problem.longest + 1
        pasts = np.zeros((len(self.model.transmitted), problem.nodes, ring, width), dtype=problem.dtype)
        place = (problem.start.step + np.arange(1 - length, 1) + ring - 1) % ring
        for k, name in enumerate(self.model.transmitted):
            given = problem.start.past[name][:, -length:]
            given = np.concatenate([np.repeat(given[:, :1], length - given.shape[1], axis=1), given], axis=1)
            given = padded(given, width)
            pasts[k][:, place] = np.broadcast_to(given, (problem.nodes, length, width))
        pasts = np.concatenate([pasts, pasts[:, :, :LANES]], axis=2)
        return np.ascontiguousarray(pasts.reshape(len(pasts), pasts[0].size if len(pasts) else 0))

    def whole(self, told: Callable[[int], None]) -> Record:
        problem = self.problem
        for block in noise.blocks(problem, self.active, by_set=True):
            self._stretch(block)
            self._count_clamped()
            self._flag(block.first + block.steps)
            told(block.steps)
        return self._answer()

    def _stretch(self, block: noise.Block) -> None:
        from . import loops

        problem, rows, dtype = self.problem, self.program.rows, self.problem.dtype
        drawn = [(rows[f"normal.{k}"], z) for k, z in enumerate(block.normals) if z is not None]
        normals = self.normals
        for k, (_, z) in enumerate(drawn):
            start = k * block.steps * self.block.padded
            loops.spread(normals, start, np.ascontiguousarray(z), problem.nodes, self.width, self.block.padded)
        at = block.first - problem.start.step + np.arange(block.steps) - problem.neurolib_inputs  # -1 is the last
        stimulated = [(rows[f"p.{n}"], series[at]) for n, series in problem.stimulus.items() if f"p.{n}" in rows]
        courses = self._stack([series for _, series in stimulated], block.steps)
        out = np.empty((block.steps // problem.every + 1, len(self.keep), self.block.padded), dtype=dtype)
        skip = max(problem.skip - (block.first - problem.start.step), 0)
        wire, bold = self.wiring, self.blood.arguments(block.steps) if self.blood else _without_bold(dtype)
        written, samples, self.filled = loops.advance(
            block.steps, block.first, problem.nodes, self.width, self.block.code.address, self.block.flat,
            self.block.numbers.shape[:2], self.block.constants, (wire.ring - 1, wire.ring),
            self.pasts, self.sent, self.tracts, self.own, wire.ends, wire.weights,
            self.far, normals, _rows(r for r, _ in drawn), courses, _rows(r for r, _ in stimulated), self.keep,
            (skip, problem.every, self.filled, problem.binned == "mean"), self.total, out.ravel(), *bold,
        )  # fmt: skip
        self._keep(out[:written])
        if self.blood is not None:
            self.blood.keep(bold[-1], samples)

    def _inputs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """own (n, 3): past, delay, row; tracts (n, 3): past, row of the sum, row of that of squared weights, or -1."""
        problem, rows, sent = self.problem, self.program.rows, self.model.transmitted
        own: list[list[int]] = []
        tracts: dict[int, list[int]] = {}
        for name, how in self.model.inputs.items():
            row, place = rows.get(f"input.{name}"), sent.index(how.variable)
            if row is None:
                continue
            if isinstance(how, Own):
                own.append([place, problem.own_delays[how.delay], row])
            else:
                tracts.setdefault(place, [place, -1, -1])[2 if how.squared else 1] = row
        return _table(own), _table(tracts.values())

    def _stack(self, series: list[Array], steps: int) -> Array:
        """(series, steps, nodes, width) of series (steps, nodes or 1, sets or 1)."""
        count = self.block.count
        stacked = np.empty((len(series), steps, self.block.padded), dtype=self.problem.dtype)
        for k, values in enumerate(series):
            stacked[k, :, count:] = 0
            cells = stacked[k, :, :count].reshape(steps, self.problem.nodes, self.width)  # a view: only lanes are cut
            cells[:] = padded(values, self.width)
        return stacked.ravel()

    def _keep(self, out: Array) -> None:
        n, sets = len(out), self.problem.batch
        part = slice(self.recorded, min(self.recorded + n, bins(self.problem)))
        for k, name in enumerate(self.problem.keep):
            values = out[: part.stop - part.start, k, : self.block.count].reshape(-1, self.problem.nodes, self.width)
            self.outputs[name][part] = values[:, :, :sets]
        self.recorded = part.stop

    def _flag(self, step: int) -> None:
        """Note the sets that are no longer finite, and make them NaN from here on."""
        if np.isfinite(self.block.numbers[:, self.states]).all():
            return
        sets = self.problem.batch
        sound = np.all([np.isfinite(self.block.row(f"s.{n}", sets)).all(0) for n in self.model.states], axis=0)
        self.failed[~sound & np.isnan(self.failed)] = step * self.problem.dt
        if not sound.all():
            for name in self.model.states:
                values = self.block.row(f"s.{name}", sets)
                values[:, ~sound] = np.nan
                self.block.fill(self.program.rows[f"s.{name}"], values)

    def _answer(self) -> Record:
        problem = self.problem
        return Record(
            t=times(problem),
            outputs=self.outputs,
            bold_t=balloon.sample_times(problem),
            bold=None if self.blood is None else self.blood.signal(),
            failed=self.failed,
            clamped=self._clamped(),
            end=self._end(),
            engine="numba",
        )

    def _count_clamped(self) -> None:
        """Move the count to doubles: in single precision it would stop at 2^24."""
        row = self.program.rows.get("clamped")
        if row is not None:
            self.clamped += self.block.row("clamped", self.problem.batch).sum(0)
            self.block.numbers[:, row] = 0

    def _clamped(self) -> Array:
        cells = sum(node.operation == "cell" for node in self.program.nodes)
        if not cells:
            return np.full(self.problem.batch, np.nan)
        return self.clamped / (cells * self.problem.nodes * max(self.problem.steps, 1))

    def _end(self) -> Start:
        problem, ring, width = self.problem, self.wiring.ring, self.width
        step, length = problem.start.step + problem.steps, problem.longest + 1
        each = self.pasts.shape[1] // (problem.nodes * width)
        rings = self.pasts.reshape(len(self.pasts), problem.nodes, each, width)
        place = (step + np.arange(1 - length, 1) + ring - 1) % ring
        sets, rows = problem.batch, self.block.row
        past = {n: rings[k][:, place, :sets].astype(float) for k, n in enumerate(self.model.transmitted)}
        ou = {n.name: rows(f"ou.{n.name}", sets) for n in self.model.noise if isinstance(n, OU)}
        states = {name: rows(f"s.{name}", sets) for name in self.model.states}
        bold = None if self.blood is None else self.blood.states()
        return Start(states, past, ou, step, bold)


class _Blood:
    """The BOLD model of a group, driven by the rows of its step."""

    def __init__(self, problem: Problem, source: Block):
        assert problem.bold is not None
        self.problem = problem
        self.every = balloon.tr_steps(problem.bold, problem.dt)
        self.constants = balloon.constants(problem.bold, problem.dt, problem.dtype)
        begin = zip(balloon.STATES, balloon.begin(problem), strict=True)
        leaves = {f"balloon.{name}": value for name, value in self.constants.items()}
        leaves |= {f"bold.{name}": x for name, x in begin}
        self.block = Block(programs.bold(problem), problem.nodes, source.width, problem.dtype, leaves)
        self.rows = self.block.program.rows
        driving = [name for name in self.rows if name.startswith("s.")]
        self.to = _rows(self.rows[name] for name in driving)
        self.source = _rows(source.program.rows[name] for name in driving)
        self.samples: list[Array] = []

    def arguments(self, steps: int) -> tuple[Any, ...]:
        """What loops.advance takes, from bold_code on; the last is room for the samples of Q and V."""
        out = np.empty((steps // self.every + 1) * 2 * self.block.padded, dtype=self.problem.dtype)
        bins = (True, self.every, balloon.FIRST, self.rows["bold.Q"], self.rows["bold.V"])
        return (
            self.block.code.address,
            self.block.flat,
            self.block.constants,
            self.block.numbers.shape[1],
            self.to,
            self.source,
            bins,
            out,
        )

    def keep(self, out: Array, samples: int) -> None:
        self.samples += list(out.reshape(-1, 2, self.block.padded)[:samples])

    def signal(self) -> Array:
        """BOLD (S, N, B)."""
        nodes, width = self.problem.nodes, self.block.width
        taken = np.array(self.samples, dtype=float).reshape(-1, 2, self.block.padded)[..., : self.block.count]
        taken = taken.reshape(-1, 2, nodes, width)[..., : self.problem.batch]
        with np.errstate(all="ignore"):
            return np.asarray(balloon.signal(taken[:, 0], taken[:, 1], SimpleNamespace(**self.constants)))

    def states(self) -> Array:
        """X, F, Q and V, (4, N, B)."""
        return np.stack([self.block.row(f"bold.{name}", self.problem.batch) for name in balloon.STATES])


def _without_bold(dtype: str) -> tuple[Any, ...]:
    nothing, none = np.zeros(0, dtype), np.zeros(0, dtype=np.int64)
    return 0, nothing, nothing, 0, none, none, (False, 1, 1, 0, 0), nothing


def _rows(rows: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(rows), dtype=np.int64)


def _table(rows: Iterable[list[int]]) -> NDArray[np.int64]:
    return np.array(list(rows), dtype=np.int64).reshape(-1, 3)
