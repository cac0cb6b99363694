"""Newton's method for many functions of the same few parameters at once; those that are done leave the batch.

The rules are those of newton.minimise, one replicate a row: |eigenvalues|, halving, a trust region, saddles left along
their most negative curvature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

NEAR = 1e-3  # of the decrement: nearer to a stationary point than this, a negative curvature is looked at
HALVINGS = 25

Which = NDArray[np.intp]


class Many(Protocol):
    """B functions of m parameters; `which` (A,) are the replicates meant, psi (A, m) their parameters."""

    def expand(self, psi: Array, which: Which) -> tuple[Array, Array, Array]:
        """Values (A,), inf where there are none; gradients (A, m); Hessians (A, m, m), or what stands for them."""

    def length(self, psi: Array, step: Array) -> Array:
        """(A,) of steps, in units of which at most 1 is allowed."""


@dataclass(frozen=True, eq=False)
class Minima:
    """Where B searches ended: points (B, m), values (B,), and which are minima."""

    point: Array
    value: Array
    converged: NDArray[np.bool_]


@dataclass(eq=False)
class _State:
    """The replicates still searching, and what is known at their points; inside this file it is changed in place."""

    which: Which
    point: Array
    value: Array
    gradient: Array
    hessian: Array

    def kept(self, mask: NDArray[np.bool_]) -> _State:
        return _State(self.which[mask], self.point[mask], self.value[mask], self.gradient[mask], self.hessian[mask])


def minimise_many(
    target: Many, start: Array, which: Which, *, tolerance: float, enough: float = 1e-6, iterations: int = 60
) -> Minima:
    """Local minima from start (A, m) of the replicates `which` (A,).

    A search ends when one more step would gain less than `tolerance`; it counts as converged when that is below
    `enough` and no direction curves downwards.
    """
    A = len(which)
    out = Minima(start.copy(), np.full(A, np.inf), np.zeros(A, dtype=bool))
    place = np.arange(A)
    state = _State(which, start.copy(), *target.expand(start, which))
    possible = np.isfinite(state.value)
    state, place = state.kept(possible), place[possible]
    for _ in range(iterations):
        if not len(place):
            break
        step, decrement, lowest, downhill = _steps(state)
        saddle = (decrement < NEAR) & (lowest < 0)
        step[saddle] = downhill[saddle]
        done = (decrement < tolerance) & ~saddle
        moved = np.zeros(len(place), dtype=bool)
        moved[~done] = _searched(target, state, step, decrement, saddle, np.flatnonzero(~done))
        stuck = ~done & ~moved
        ends = done | stuck
        out.point[place[ends]], out.value[place[ends]] = state.point[ends], state.value[ends]
        out.converged[place[ends]] = ((decrement < enough) & (lowest == 0))[ends]
        state, place = state.kept(~ends), place[~ends]
    out.point[place], out.value[place] = state.point, state.value
    return out


def _steps(state: _State) -> tuple[Array, Array, Array, Array]:
    """Modified Newton steps (A, m), decrements (A,), lowest negative eigenvalues or 0 (A,), downhill (A, m)."""
    size = np.maximum(1.0, np.abs(state.point))
    values, vectors = np.linalg.eigh(state.hessian * size[:, :, None] * size[:, None, :])
    largest = np.maximum(np.abs(values).max(axis=1), 1e-300)[:, None]
    along = np.einsum("aij,ai->aj", vectors, size * state.gradient)
    scaled = along / np.maximum(np.abs(values), 1e-6 * largest)
    step = -size * np.einsum("aij,aj->ai", vectors, scaled)
    lowest = np.minimum(values[:, 0], 0.0)
    lowest = np.where(lowest < -1e-7 * largest[:, 0], lowest, 0.0)  # less is rounding
    first = vectors[:, :, 0]
    sign = np.sign(np.take_along_axis(first, np.abs(first).argmax(axis=1)[:, None], axis=1))
    return step, (along * scaled).sum(axis=1) / 2, lowest, size * first * sign


def _searched(
    target: Many, state: _State, step: Array, decrement: Array, saddle: NDArray[np.bool_], todo: Which
) -> NDArray[np.bool_]:
    """Move each of `todo` to the first of its halved steps that goes down enough; which of them moved."""
    moved = np.zeros(len(step), dtype=bool)
    asked = todo
    scale = 1 / np.maximum(1.0, target.length(state.point, step))
    rounding = 1e-9 * np.maximum(1.0, np.abs(state.value))
    slope = np.where(saddle, 0.0, (state.gradient * step).sum(axis=1))
    for _ in range(HALVINGS):
        if not len(todo):
            break
        point = state.point[todo] + scale[todo, None] * step[todo]
        value, gradient, hessian = target.expand(point, state.which[todo])
        gain = state.value[todo] - value
        fine = np.isfinite(value) & (gain > 0) & (gain >= -1e-4 * scale[todo] * slope[todo])
        # the value's own rounding hides so small a gain: the gradient is the better judge
        flatter = np.abs(gradient).max(axis=1) < np.abs(state.gradient[todo]).max(axis=1)
        fine |= (decrement[todo] < rounding[todo]) & (scale[todo] == 1) & flatter & (gain >= -rounding[todo])
        into = todo[fine]
        state.point[into], state.value[into] = point[fine], value[fine]
        state.gradient[into], state.hessian[into] = gradient[fine], hessian[fine]
        moved[into] = True
        todo = todo[~fine]
        scale[todo] /= 2
    return moved[asked]
