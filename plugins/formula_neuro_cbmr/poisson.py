"""One map by Newton's method: foci of a cell as a Poisson process whose log intensity is a spline.

With r = X'y the foci's rows summed, T the exposure (analyses, or their sum of exp(offset + z'gamma)),

    l(b) = r'b - T sum_v exp(x_v'b) - lambda/2 b'Sb,   gradient r - X'mu - lambda S b,   A = X' diag(mu) X + lambda S,

mu_v = T exp(x_v'b). It is concave; a step is halved until l does not fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .basis import Basis
from .factor import Factor, factor
from .gram import Gram
from .penalty import Penalty

TOLERANCE = (
    1e-12  # of the decrement g'A^-1 g: coefficients are a millionth of a standard error off before the last step
)
ENOUGH = 1e-6  # of the decrement where rounding keeps it from the tolerance, as a huge lambda does
IDLE = 4  # steps without a rise that rounding would let through: the search is over
EXACT = 1e-18  # below it, the information of the point before the last step is that of the optimum to 9 digits
STEPS = 200
HALVINGS = 40
REACH = 30.0  # of a log intensity in one step, beyond which halving would have to find its way back from infinity


@dataclass(frozen=True, eq=False)
class Splined:
    """What all maps of one basis share."""

    basis: Basis
    gram: Gram
    penalty: Penalty

    @cached_property
    def S(self) -> Array:
        """Dense (P, P)."""
        return np.asarray(self.penalty.S.toarray())


@dataclass(frozen=True, eq=False)
class Cell:
    """The foci of one map: r = X'y (P,), how many, and the exposure T; `name` for messages."""

    name: str
    r: Array
    foci: float
    T: float


@dataclass(frozen=True, eq=False)
class Found:
    """A map at its optimum: b (P,), eta = X b (V,), mu (V,), the factor of A, X'mu (P,), and r'b - T sum exp.

    `decrement` is g'A^-1 g before the last step, `gradient` the largest element of g after it.
    """

    b: Array
    eta: Array
    mu: Array
    A: Factor
    projected: Array
    loglik: float
    steps: int
    decrement: float
    gradient: float
    converged: bool


def start(cell: Cell, splined: Splined) -> Array:
    """The coefficients of a constant intensity, as near as the basis comes to it, (P,)."""
    basis = splined.basis
    level = np.log(cell.foci / (basis.V * cell.T))
    if basis.renormalised:
        return np.full(basis.P, level)
    ones = np.ones(basis.V)
    return factor(splined.gram.weighted(ones)).solve(basis.project(level * ones))


def newton(
    cell: Cell, splined: Splined, smoothing: float, begin: Array | None = None, tolerance: float = TOLERANCE
) -> Found:
    """The optimum of one map's penalised log-likelihood at this smoothing parameter."""
    basis = splined.basis
    b = start(cell, splined) if begin is None else begin
    eta = basis.expand(b)
    value = _value(cell, splined, smoothing, b, eta)
    idle = 0
    for step in range(1, STEPS + 1):
        mu = cell.T * np.exp(eta)
        A = factor(splined.gram.weighted(mu) + smoothing * splined.S)
        g = cell.r - basis.project(mu) - smoothing * (splined.penalty.S @ b)
        way = A.solve(g)
        decrement = float(g @ way)
        ahead = basis.expand(way)
        length = min(1.0, REACH / max(float(np.abs(ahead).max()), REACH))
        moved = _ahead(cell, splined, smoothing, (b, eta, value), (way, ahead, length, decrement))
        if moved is None:  # rounding decides: the predicted rise is below what the sums resolve
            return _found(cell, splined, smoothing, (b, A), step, decrement)
        risen = moved[2] - value
        b, eta, value = moved
        idle = idle + 1 if risen <= slack(value) else 0
        if decrement < tolerance or idle >= IDLE:
            exact = tolerance > TOLERANCE or decrement < EXACT
            known = A if exact else None
            return _found(cell, splined, smoothing, (b, known), step, decrement, converged=decrement < ENOUGH)
    return _found(cell, splined, smoothing, (b, A), STEPS, decrement, converged=False)


def slack(value: float) -> float:
    """The rounding of a sum over voxels."""
    return 1e-13 * (abs(value) + 1.0)


def _value(cell: Cell, splined: Splined, smoothing: float, b: Array, eta: Array) -> float:
    with np.errstate(over="ignore"):
        total = float(np.exp(eta).sum())
    return float(cell.r @ b) - cell.T * total - 0.5 * smoothing * splined.penalty.roughness(b)


def _ahead(
    cell: Cell,
    splined: Splined,
    smoothing: float,
    at: tuple[Array, Array, float],
    move: tuple[Array, Array, float, float],
) -> tuple[Array, Array, float] | None:
    """The next coefficients, eta and value: the step halved until the value does not fall; None where none is left."""
    b, eta, value = at
    way, ahead, length, decrement = move
    least = value - slack(value)
    for _ in range(HALVINGS):
        new = b + length * way
        along = eta + length * ahead
        found = _value(cell, splined, smoothing, new, along)
        if found >= least and np.isfinite(found):
            return new, along, found
        length /= 2
    if decrement > ENOUGH:
        raise FitError(f"{cell.name}: no step along Newton's direction raises the log-likelihood")
    return None


def _found(
    cell: Cell,
    splined: Splined,
    smoothing: float,
    at: tuple[Array, Factor | None],
    steps: int,
    decrement: float,
    converged: bool = True,
) -> Found:
    b, A = at
    basis = splined.basis
    eta = basis.expand(b)  # afresh, free of the rounding of many steps
    mu = cell.T * np.exp(eta)
    projected = basis.project(mu)
    g = cell.r - projected - smoothing * (splined.penalty.S @ b)
    loglik = float(cell.r @ b) - float(mu.sum())
    if A is None:
        A = factor(splined.gram.weighted(mu) + smoothing * splined.S)
    return Found(b, eta, mu, A, projected, loglik, steps, decrement, float(np.abs(g).max()), converged)
