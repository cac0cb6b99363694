"""How the fast engine lays out numbers: nodes and sets in parts of LANES, and connections sorted for the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from . import programs, symbols
from .problem import Problem
from .tracing import LANES, Program
from .vector_code import flat_tables

TILE = 24  # targets whose sums of LANES steps and sets stay in a core's nearest cache


class Block:
    """The numbers of a program, (parts, rows, LANES), changed in place by a run; nobody outside sees them.

    leaves: what is given, by name: start values, and all that stays as it is during the run.
    """

    def __init__(self, program: Program, nodes: int, width: int, dtype: str, leaves: Mapping[str, Any]):
        self.program, self.nodes, self.width = program, nodes, width
        self.count = nodes * width
        done: dict[int, Any] = {}
        with np.errstate(all="ignore"):
            steady = [symbols.evaluate(node, leaves, done) for node in program.steady]
        uniform = tuple(value.size == 1 for value in steady)
        rows = [value for value in steady if value.size > 1]
        self.code = programs.code(program, dtype, uniform)
        alike = np.array([value.item() for value in steady if value.size == 1])
        self.constants = np.concatenate([alike, flat_tables(program.graph)[0]]).astype(dtype)
        self.numbers = np.zeros((-(-self.count // LANES), len(program.rows) + len(rows), LANES), dtype=dtype)
        for name, row in program.rows.items():
            if name in leaves:
                self.fill(row, leaves[name])
        for k, value in enumerate(rows):
            self.fill(len(program.rows) + k, value)

    @property
    def padded(self) -> int:
        """The numbers of a row, idle lanes included."""
        return len(self.numbers) * LANES

    @property
    def flat(self) -> Array:
        return self.numbers.reshape(-1)

    def fill(self, row: int, values: Any) -> None:
        """A row from values that broadcast to (nodes, sets); idle lanes repeat the last set and node."""
        values = padded(np.asarray(values, dtype=float), self.width)
        flat = np.empty(self.padded)
        flat[: self.count] = np.broadcast_to(values, (self.nodes, self.width)).ravel()
        flat[self.count :] = flat[self.count - 1]
        self.numbers[:, row] = flat.reshape(-1, LANES)

    def row(self, name: str, sets: int) -> Array:
        """(nodes, sets) of a row."""
        flat = self.numbers[:, self.program.rows[name]].ravel()[: self.count]
        return flat.reshape(self.nodes, self.width)[:, :sets].astype(float)


def padded(values: Array, width: int) -> Array:
    """The last axis to `width` by its last value; one value for all stays one."""
    short = width - values.shape[-1] if values.ndim else 0
    if values.ndim == 0 or values.shape[-1] == 1 or not short:
        return values
    return np.concatenate([values, np.repeat(values[..., -1:], short, axis=-1)], axis=-1)


@dataclass(frozen=True, eq=False)
class Wiring:
    """Connections in the order of the loop: those of LANES - 1 steps or more (far), then the others by target.

    Far ones of one set stand by target; of several by TILE of targets, source and target, so that sums and a source's
    past stay in the cache. Either way the sources of one target are in their order.
    """

    origin: NDArray[np.int64]  # where the source's past begins
    delay: NDArray[np.int64]
    target: NDArray[np.int64]
    far: NDArray[np.int64]  # (nodes + 1,): where the far ones of a target begin, for one set
    near: NDArray[np.int64]  # (nodes + 1,): and the others
    weights: Array  # (2, connections): C and C squared
    ring: int

    @property
    def ends(self) -> tuple[NDArray[np.int64], ...]:
        """What loops takes of them, but for the weights."""
        return self.origin, self.delay, self.target, self.far, self.near


def wiring(problem: Problem, width: int) -> Wiring:
    """The connections of a problem, and the length of a past: a power of 2."""
    ring = 1 << max(int(problem.longest + 2).bit_length(), 4)
    i, j = np.nonzero(problem.weights)
    close = problem.delays[i, j] < LANES - 1
    by_target = np.lexsort((j, i))
    ahead = by_target if width == 1 else np.lexsort((i, j, i // TILE))
    order = np.concatenate([ahead[~close[ahead]], by_target[close[by_target]]])
    i, j, far = i[order], j[order], int(np.sum(~close))
    c = problem.weights[i, j]
    nodes = np.arange(problem.nodes + 1)
    return Wiring(
        (j * (ring + LANES) * width).astype(np.int64),
        problem.delays[i, j].astype(np.int64),
        i.astype(np.int64),
        np.searchsorted(i[:far], nodes) if width == 1 else np.full(len(nodes), far),
        far + np.searchsorted(i[far:], nodes),
        np.stack([c, c**2]).astype(problem.dtype),
        ring,
    )
