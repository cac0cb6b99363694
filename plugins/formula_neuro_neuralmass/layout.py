"""How the fast engine lays out numbers: nodes and sets in parts of LANES, and connections sorted for the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from formula_neuro.family import Array

from . import symbols
from .problem import Problem
from .tracing import Program
from .vector_code import LANES


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
        values = padded(np.asarray(values, dtype=float), self.width)
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


def padded(values: Array, width: int) -> Array:
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
