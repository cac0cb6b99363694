"""One map whose voxel totals are negative binomial (Yu et al. 2024): foci of all analyses pile up in single voxels.

With Y_v the foci of the cell's analyses in voxel v, w_i their exposures, S1 = sum w_i, S2 = sum w_i^2 and s = X b,

    Y_v ~ negative binomial,   mean m_v = S1 exp(s_v),   dispersion phi = alpha S2 / S1^2,

the sum over analyses moment-matched (exact for equal w_i). The score of b is r - X'(rho m) - lambda S b with
r = X'y, rho = (1 + phi Y) / (1 + phi m); its information X' diag(W) X + lambda S with W = rho m / (1 + phi m)
(observed) or m / (1 + phi m) (expected). Newton's method goes in b and log phi together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from . import frailty
from .factor import Factor, factor
from .frailty import Counts
from .poisson import Cell, Splined, newton

TOLERANCE = 1e-12  # of the decrement, as for Poisson's maps
STEPS = 200
LARGEST = 2.0  # change of log phi in one step
REACH = 30.0  # of a log intensity in one step
VANISHING = 1e-9  # of phi times the largest expected total of a voxel: Poisson's to rounding


@dataclass(frozen=True, eq=False)
class VoxelCell:
    """A cell's foci: r = X'y (P,), totals Y (V,), sums S1 and S2 of exposures and of their squares."""

    name: str
    r: Array
    Y: Array
    S1: float
    S2: float

    @cached_property
    def counts(self) -> Counts:
        return Counts(self.Y)

    @property
    def poisson(self) -> Cell:
        return Cell(self.name, self.r, float(self.Y.sum()), self.S1)


@dataclass(frozen=True, eq=False)
class VoxelFound:
    """A map at its optimum: b (P,), s (V,), voxel means m (V,), phi, alpha with the standard error of log alpha.

    `A` is the factor of the (penalised) expected information, `observed` (P, P) the inverse of the observed one, alpha
    free. `loglik` leaves out sum_i t_i log w_i and the factorials of counts.
    """

    b: Array
    s: Array
    m: Array
    phi: float
    alpha: float
    alpha_se: float
    A: Factor
    observed: Array
    loglik: float
    steps: int
    decrement: float
    gradient: float
    converged: bool


@dataclass(frozen=True, eq=False)
class _Point:
    b: Array
    s: Array
    m: Array
    phi: float
    value: float


def voxel_newton(
    cell: VoxelCell, splined: Splined, smoothing: float, begin: tuple[Array, float] | None = None
) -> VoxelFound:
    """The optimum of one map's penalised log-likelihood in b and phi; `begin` are b and phi to start from.

    Where voxels vary no more than Poisson's, phi is 0.
    """
    search = _Search(cell, splined, smoothing)
    point = search.start() if begin is None else search.at(*begin)
    for step in range(1, STEPS + 1):
        way, change, decrement = search.step(point)
        moved = search.moved(point, way, change)
        point = point if moved is None else moved
        edge = search.edge(point)
        if edge is None and (moved is None or decrement < TOLERANCE):
            return search.found(point, step, decrement, decrement < 1e-6)
        point = point if edge is None else edge
    return search.found(point, STEPS, decrement, converged=False)


class _Search:
    """The penalised log-likelihood of one cell and its derivatives."""

    def __init__(self, cell: VoxelCell, splined: Splined, smoothing: float):
        self.cell, self.splined, self.smoothing = cell, splined, smoothing

    def start(self) -> _Point:
        found = newton(self.cell.poisson, self.splined, self.smoothing)
        return self.at(found.b, self.moments(found.mu) if self.rises(found.mu) else 0.0)

    def at(self, b: Array, phi: float) -> _Point:
        s = self.splined.basis.expand(b)
        with np.errstate(over="ignore", invalid="ignore"):
            m = self.cell.S1 * np.exp(s)
            ways = frailty.loglik(self.cell.counts, m, self.all(phi)).sum()
        value = float(self.cell.r @ b) + float(ways) - 0.5 * self.smoothing * self.splined.penalty.roughness(b)
        return _Point(b, s, m, phi, value if np.isfinite(value) else -np.inf)

    def all(self, phi: float) -> Array:
        return np.full(len(self.cell.Y), phi)

    def rises(self, m: Array) -> bool:
        """Whether the likelihood rises as phi leaves 0."""
        return bool(frailty.rises(self.cell.counts, m, lambda of_voxels: of_voxels.sum(keepdims=True))[0])

    def moments(self, m: Array) -> float:
        excess = float(((self.cell.Y - m) ** 2 - self.cell.Y).sum())
        return float(np.clip(excess / float((m**2).sum()), 1e-3, 1e3))

    def edge(self, point: _Point) -> _Point | None:
        """The point with phi 0 where it vanishes, or freed where the likelihood rises; None if it stays."""
        if 0 < point.phi * point.m.max() < VANISHING:
            return self.at(point.b, 0.0)
        if point.phi == 0 and self.rises(point.m):
            return self.at(point.b, self.moments(point.m))
        return None

    def ratio(self, point: _Point) -> Array:
        return frailty.ratio(self.cell.counts, point.m, self.all(point.phi))

    def score(self, point: _Point) -> Array:
        pulled = self.smoothing * (self.splined.penalty.S @ point.b)
        return np.asarray(self.cell.r - self.splined.basis.project(self.ratio(point) * point.m) - pulled)

    def information(self, point: _Point, observed: bool) -> Factor:
        weights = point.m / (1 + point.phi * point.m) * (self.ratio(point) if observed else 1.0)
        return factor(self.splined.gram.weighted(weights) + self.smoothing * self.splined.S)

    def of_phi(self, point: _Point) -> tuple[float, float, Array]:
        """Of log phi: slope, minus the second derivative, and minus the mixed derivatives with b (P,)."""
        counts, phi = self.cell.counts, self.all(point.phi)
        slope = point.phi * float(frailty.slope(counts, point.m, phi).sum())
        bend = point.phi**2 * float(frailty.curvature(counts, point.m, phi).sum()) + slope
        mixed = point.phi * self.splined.basis.project(point.m * frailty.cross(counts, point.m, phi))
        return slope, -bend, -mixed

    def step(self, point: _Point) -> tuple[Array, float, float]:
        """Newton's step of b and of log phi, and the rise that they predict, twice."""
        A, g = self.information(point, observed=True), self.score(point)
        way = A.solve(g)
        if point.phi == 0:
            return way, 0.0, float(g @ way)
        slope, bend, mixed = self.of_phi(point)
        side = A.solve(mixed)
        schur = bend - float(mixed @ side)
        left = slope - float(mixed @ way)
        # where the likelihood is not concave in log phi, up its slope
        change = left / schur if schur > 0 else float(np.sign(left))
        change = float(np.clip(change, -LARGEST, LARGEST))
        return way - change * side, change, float(g @ way) + abs(left * change)

    def moved(self, point: _Point, way: Array, change: float) -> _Point | None:
        """The point after as much of the step as does not lower the likelihood; None where none is left."""
        ahead = float(np.abs(self.splined.basis.expand(way)).max())
        share, slack = min(1.0, REACH / max(ahead, REACH)), 1e-13 * (abs(point.value) + 1.0)
        for _ in range(40):
            there = self.at(point.b + share * way, point.phi * float(np.exp(share * change)))
            if there.value >= point.value - slack:
                return there
            share /= 2
        return None

    def found(self, point: _Point, steps: int, decrement: float, converged: bool) -> VoxelFound:
        A = self.information(point, observed=True)
        observed, alpha_se = A.inverse, float("nan")
        if point.phi > 0:
            _, bend, mixed = self.of_phi(point)
            side = A.solve(mixed)
            schur = bend - float(mixed @ side)
            if not schur > 0:
                raise FitError(f"{self.cell.name}: the foci do not determine the dispersion of voxel totals")
            alpha_se = schur**-0.5
            observed = observed + np.outer(side, side) / schur
        return VoxelFound(
            point.b,
            point.s,
            point.m,
            point.phi,
            alpha=point.phi * self.cell.S1**2 / self.cell.S2,
            alpha_se=alpha_se,
            A=self.information(point, observed=False),
            observed=observed,
            loglik=point.value + 0.5 * self.smoothing * self.splined.penalty.roughness(point.b),
            steps=steps,
            decrement=decrement,
            gradient=float(np.abs(self.score(point)).max()),
            converged=converged,
        )
