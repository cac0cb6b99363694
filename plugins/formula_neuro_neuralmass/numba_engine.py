"""The fast engine: a model's equations traced once and compiled for several nodes or sets at a time, on the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from formula_neuro.dynamics.model import OU, Model, Own
from formula_neuro.family import Array

from . import balloon, noise, symbols
from .problem import Problem, Record, Start
from .recording import bins, times
from .tracing import Program, bold_program, step_program
from .vector_code import LANES, Code, flat_tables, machine_code

Progress: TypeAlias = Callable[[int, int], None] | None

WIDEST = 8  # sets of one group where nodes are connected: their past then stays in a core's cache
CELLS = 512  # nodes x sets of one group where they are not
FEW = 2  # so many sets are simulated one by one, which costs less than LANES of which most are idle


def run(problem: Problem, workers: int = 1, progress: Progress = None) -> Record:
    """The whole run of a problem; groups of sets go to `workers` threads. Numbers do not depend on either."""
    groups = split(problem)
    told = _Told(problem.steps, len(groups), progress)
    with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
        futures = [pool.submit(_run_group, part(problem, sets), width, told) for sets, width in groups]
        return _joined(problem, [future.result() for future in futures])


def split(problem: Problem) -> list[tuple[Array, int]]:
    """The sets of each group, and the group's width."""
    if np.any(problem.weights) and problem.batch <= FEW:
        return [(np.array([b]), 1) for b in range(problem.batch)]
    most = WIDEST if np.any(problem.weights) else max(CELLS // problem.nodes // LANES, 1) * LANES
    cuts = [np.arange(first, min(first + most, problem.batch)) for first in range(0, problem.batch, most)]
    return [(sets, -(-len(sets) // LANES) * LANES) for sets in cuts]


def part(problem: Problem, sets: Array) -> Problem:
    """The problem of some of the sets."""

    def of(values: Mapping[str, Array]) -> dict[str, Array]:
        return {name: v[..., sets] if v.shape[-1] > 1 else v for name, v in values.items()}

    start = problem.start
    return replace(
        problem,
        params=of(problem.params),
        stimulus=of(problem.stimulus),
        noise=replace(problem.noise, keys=problem.noise.keys[sets]),
        start=Start(of(start.states), of(start.past), of(start.ou), start.step,
                    None if start.bold is None else start.bold[..., sets]),
        batch=len(sets),
    )  # fmt: skip


class _Told:
    """Tells the progress of all groups together, in steps of the whole run."""

    def __init__(self, steps: int, groups: int, progress: Progress):
        self.steps, self.groups, self.progress, self.done = steps, groups, progress, 0

    def add(self, steps: int) -> None:
        self.done += steps
        if self.progress is not None:
            self.progress(self.done // self.groups, self.steps)


@dataclass(frozen=True, eq=False)
class _Compiled:
    program: Program
    code: Code
    tables: Array


class _Same:
    """A model as a key: the very same object."""

    def __init__(self, model: Model):
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.model is self.model


@lru_cache(maxsize=64)
def _step(model: _Same, varying: frozenset[str], dtype: str) -> _Compiled:
    return _compiled(step_program(model.model, varying), dtype)


@lru_cache(maxsize=64)
def _bold(model: _Same, constants: tuple[str, ...], dtype: str) -> _Compiled:
    return _compiled(bold_program(model.model, constants), dtype)


def _compiled(program: Program, dtype: str) -> _Compiled:
    graph = next(iter(program.writes.values())).graph
    return _Compiled(program, machine_code(program, dtype), flat_tables(graph)[0].astype(dtype))


class Block:
    """The numbers of a program, (parts, rows, LANES), changed in place by a run; nobody outside sees them."""

    def __init__(self, program: Program, nodes: int, width: int, dtype: str):
        self.program, self.nodes, self.width = program, nodes, width
        self.count = nodes * width
        self.numbers = np.zeros((-(-self.count // LANES), max(program.size, 1), LANES), dtype=dtype)

    @property
    def padded(self) -> int:
        """The numbers of a row, idle lanes included."""
        return len(self.numbers) * LANES

    @property
    def flat(self) -> Array:
        return self.numbers.reshape(-1)

    def fill(self, row: int, values: Any) -> None:
        """A row from values that broadcast to (nodes, sets); idle lanes repeat the last set."""
        values = _padded(np.asarray(values, dtype=float), self.width)
        flat = np.zeros(self.numbers.shape[0] * LANES)
        flat[: self.count] = np.broadcast_to(values, (self.nodes, self.width)).ravel()
        self.numbers[:, row] = flat.reshape(-1, LANES)

    def row(self, name: str, sets: int) -> Array:
        """(nodes, sets) of a row."""
        flat = self.numbers[:, self.program.rows[name]].ravel()[: self.count]
        return flat.reshape(self.nodes, self.width)[:, :sets].astype(float)

    def prepare(self, leaves: Mapping[str, Any]) -> None:
        """Fill the rows of what is given, and of all that stays as it is during the run."""
        for name, row in self.program.rows.items():
            if name in leaves:
                self.fill(row, leaves[name])
        done: dict[int, Any] = {}
        with np.errstate(all="ignore"):
            for k, node in enumerate(self.program.steady):
                self.fill(len(self.program.rows) + k, symbols.evaluate(node, leaves, done))


def _padded(values: Array, width: int) -> Array:
    """The last axis to `width` by its last value; one value for all stays one."""
    short = width - values.shape[-1] if values.ndim else 0
    if values.ndim == 0 or values.shape[-1] == 1 or not short:
        return values
    return np.concatenate([values, np.repeat(values[..., -1:], short, axis=-1)], axis=-1)


@dataclass(frozen=True, eq=False)
class Wiring:
    """Connections sorted by target; within one, those of LANES - 1 steps or more (far) before the others."""

    origin: Array  # where the source's past begins
    delay: Array
    start: Array  # (nodes + 1,)
    near: Array  # (nodes,)
    weights: Array  # (2, connections): C and C squared
    ring: int


def wiring(problem: Problem, width: int) -> Wiring:
    """The connections of a problem, and the length of a past: a power of 2."""
    ring = 1 << max(int(problem.longest + 2).bit_length(), 4)
    i, j = np.nonzero(problem.weights)
    delay = problem.delays[i, j].astype(np.int64)
    order = np.lexsort((j, delay < LANES - 1, i))
    i, j, delay = i[order], j[order], delay[order]
    c = problem.weights[i, j]
    start = np.searchsorted(i, np.arange(problem.nodes + 1))
    far = np.bincount(i[delay >= LANES - 1], minlength=problem.nodes)
    length = (ring + LANES) * width
    weights = np.stack([c, c**2]).astype(problem.dtype)
    return Wiring((j * length).astype(np.int64), delay, start, start[:-1] + far, weights, ring)


class _Group:
    """One group's numbers, changed in place from stretch to stretch; nobody outside sees them."""

    def __init__(self, problem: Problem, width: int):
        self.problem, self.model, self.width = problem, problem.model, width
        key = _Same(problem.model)
        self.step = _step(key, frozenset(problem.stimulus), problem.dtype)
        self.block = Block(self.step.program, problem.nodes, width, problem.dtype)
        self.wiring = wiring(problem, width)
        self.block.prepare(self._leaves())
        self.sent = _rows(self.step.program.rows[f"s.{name}"] for name in problem.model.transmitted)
        self.far = np.zeros((len(problem.model.inputs), 2 * self.block.padded * LANES), dtype=problem.dtype)
        self.pasts = self._pasts()
        self._prepare_bold(key)
        rows = self.step.program.rows
        self.keep = np.array([rows[f"s.{name}"] for name in problem.keep], dtype=np.int64)
        self.total = np.zeros(len(self.keep) * self.block.padded, dtype=problem.dtype)
        self.filled = 0
        sets = problem.batch
        self.outputs = {name: np.full((bins(problem), problem.nodes, sets), np.nan) for name in problem.keep}
        self.recorded = 0
        self.samples: list[Array] = []
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
            given = _padded(given, width)
            pasts[k][:, place] = np.broadcast_to(given, (problem.nodes, length, width))
        pasts = np.concatenate([pasts, pasts[:, :, :LANES]], axis=2)
        return np.ascontiguousarray(pasts.reshape(len(pasts), pasts[0].size if len(pasts) else 0))

    def _prepare_bold(self, key: _Same) -> None:
        problem = self.problem
        self.bold = self.bold_block = None
        if problem.bold is None:
            return
        constants = balloon.constants(problem.bold, problem.dt, problem.dtype)
        self.bold = _bold(key, tuple(constants), problem.dtype)
        self.bold_block = Block(self.bold.program, problem.nodes, self.width, problem.dtype)
        states = balloon.begin(problem)
        leaves = {f"balloon.{name}": value for name, value in constants.items()}
        self.bold_block.prepare(leaves | {f"bold.{name}": x for name, x in zip(balloon.STATES, states, strict=True)})
        self.constants = constants

    def whole(self, told: _Told) -> Record:
        problem = self.problem
        for block in noise.blocks(problem, noise.active(problem), by_set=True):
            self._stretch(block)
            self._flag(block.first + block.steps)
            told.add(block.steps)
        return self._answer()

    def _stretch(self, block: noise.Block) -> None:
        from . import loops

        problem, rows, dtype = self.problem, self.step.program.rows, self.problem.dtype
        own, tracts = self._inputs()
        drawn = [(rows[f"normal.{k}"], z) for k, z in enumerate(block.normals) if z is not None]
        normals = np.zeros(len(drawn) * block.steps * self.block.padded, dtype=dtype)
        for k, (_, z) in enumerate(drawn):
            at, z = k * block.steps * self.block.padded, np.ascontiguousarray(z)
            loops.spread(normals, at, z, problem.nodes, self.width, self.block.padded)
        at = block.first - problem.start.step + np.arange(block.steps) - problem.neurolib_inputs  # -1 is the last
        stimulated = [(rows[f"p.{n}"], series[at]) for n, series in problem.stimulus.items() if f"p.{n}" in rows]
        courses = self._stack([series for _, series in stimulated], block.steps)
        out = np.empty((block.steps // problem.every + 1, len(self.keep), self.block.padded), dtype=dtype)
        skip = max(problem.skip - (block.first - problem.start.step), 0)
        wire, bold = self.wiring, self._bold_arguments(block.steps)
        written, samples, self.filled = loops.advance(
            block.steps, block.first, problem.nodes, self.width, self.step.code.address, self.block.flat,
            self.block.numbers.shape[:2], self.step.tables, (wire.ring - 1, wire.ring),
            self.pasts, self.sent, tracts, own, (wire.origin, wire.delay, wire.start, wire.near), wire.weights,
            self.far, normals, _rows(r for r, _ in drawn), courses, _rows(r for r, _ in stimulated), self.keep,
            (skip, problem.every, self.filled, problem.binned == "mean"), self.total, out.ravel(), *bold,
        )  # fmt: skip
        self._keep(out[:written])
        self.samples += list(bold[-1].reshape(-1, 2, self.block.padded)[:samples])

    def _bold_arguments(self, steps: int) -> tuple[Any, ...]:
        """code, numbers, rows to and from, bins, out (samples, 2, nodes * width) of the BOLD model; idle without one."""
        problem, none = self.problem, np.zeros(0, dtype=np.int64)
        if self.bold_block is None or problem.bold is None:
            empty = np.zeros(0, problem.dtype)
            return 0, empty, 0, none, none, (False, 1, 1, 0, 0), empty
        rows, every = self.bold_block.program.rows, balloon.tr_steps(problem.bold, problem.dt)
        taken = [name for name in rows if name.startswith("s.")]
        out = np.empty((steps // every + 1) * 2 * self.block.padded, dtype=problem.dtype)
        return (
            self.bold.code.address, self.bold_block.flat, len(rows) + len(self.bold.program.steady), _rows(rows[name] for name in taken),
            _rows(self.step.program.rows[name] for name in taken),
            (True, every, balloon.FIRST, rows["bold.Q"], rows["bold.V"]), out,
        )  # fmt: skip

    def _inputs(self) -> tuple[Array, Array]:
        """own (n, 3): past, delay, row; tracts (n, 3): past, row of the sum, row of that with squared weights, or -1."""
        problem, rows, sent = self.problem, self.step.program.rows, self.model.transmitted
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
            cells[:] = _padded(values, self.width)
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
        sets = self.problem.batch
        sound = np.all([np.isfinite(self.block.row(f"s.{n}", sets)).all(0) for n in self.model.states], axis=0)
        self.failed[~sound & np.isnan(self.failed)] = step * self.problem.dt
        if not sound.all():
            for name in self.model.states:
                values = self.block.row(f"s.{name}", sets)
                values[:, ~sound] = np.nan
                self.block.fill(self.step.program.rows[f"s.{name}"], values)

    def _answer(self) -> Record:
        problem = self.problem
        return Record(
            t=times(problem),
            outputs=self.outputs,
            bold_t=balloon.sample_times(problem),
            bold=self._signal(),
            failed=self.failed,
            clamped=self._clamped(),
            end=self._end(),
            engine="numba",
        )

    def _signal(self) -> Array | None:
        problem = self.problem
        if self.bold_block is None:
            return None
        taken = np.array(self.samples, dtype=float).reshape(-1, 2, self.block.padded)[..., : self.block.count]
        taken = taken.reshape(-1, 2, problem.nodes, self.width)[..., : problem.batch]
        k = SimpleNamespace(**self.constants)
        with np.errstate(all="ignore"):
            return np.asarray(balloon.signal(taken[:, 0], taken[:, 1], k))

    def _clamped(self) -> Array:
        problem, program = self.problem, self.step.program
        cells = sum(node.operation == "cell" for node in program.nodes)
        if not cells:
            return np.full(problem.batch, np.nan)
        return self.block.row("clamped", problem.batch).mean(0) / (cells * max(problem.steps, 1))

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
        bold = None
        if self.bold_block is not None:
            bold = np.stack([self.bold_block.row(f"bold.{name}", sets) for name in balloon.STATES])
        return Start(states, past, ou, step, bold)


def _run_group(problem: Problem, width: int, told: _Told) -> Record:
    return _Group(problem, width).whole(told)


def _joined(problem: Problem, records: list[Record]) -> Record:
    """The records of all groups side by side."""
    if len(records) == 1:
        return records[0]

    def joined(parts: list[Any]) -> Any:
        return np.concatenate(parts, axis=-1)

    def named(mappings: list[Mapping[str, Array]]) -> dict[str, Array]:
        return {name: joined([m[name] for m in mappings]) for name in mappings[0]}

    ends = [record.end for record in records]
    has_bold = problem.bold is not None
    end = Start(
        named([e.states for e in ends]), named([e.past for e in ends]), named([e.ou for e in ends]), ends[0].step,
        joined([e.bold for e in ends]) if has_bold else None,
    )  # fmt: skip
    return replace(
        records[0],
        outputs=named([r.outputs for r in records]),
        bold=joined([r.bold for r in records]) if has_bold else None,
        failed=joined([r.failed for r in records]),
        clamped=joined([r.clamped for r in records]),
        end=end,
    )


def _rows(rows: Iterable[int]) -> Array:
    return np.array(list(rows), dtype=np.int64)


def _table(rows: Iterable[list[int]]) -> Array:
    return np.array(list(rows), dtype=np.int64).reshape(-1, 3)
