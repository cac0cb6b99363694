"""The best parameters of a residual structure: Newton's method on the criterion at the best theta of each rho.

Derivatives are differences of that criterion, which the ordinary fits inside give to about 1e-11.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from formula_neuro.errors import DataError, FitError
from formula_neuro.family import Array
from formula_neuro.request import Request
from formula_neuro.result import Fit
from formula_neuro.searches.search import Point

from ..newton import Target
from ..optimizers import searcher
from .rows import Rows

STEP = 1e-3  # of log sd ratios and atanh(phi): errors of 1e-8 by rounding and 1e-7 by truncation, relative to curvature
FARTHEST = 12.0  # sd ratios of e^12 mean that a spread is 0
ENOUGH = 1e-6


@dataclass(frozen=True, eq=False)
class Optimum:
    """rho (m,), the ordinary fit there, the slopes (m, p, p) of its covariance and the criterion's curvature (m, m)
    and gradient (m,)."""

    rho: Array
    fit: Fit
    slopes: Array
    curvature: Array
    gradient: Array
    converged: bool
    iterations: int


@dataclass(frozen=True, eq=False)
class Profile:
    """The criterion along rho; fits are kept, because searches come back to where they were."""

    rows: Rows
    ordinary: Callable[[Request], Fit]
    known: dict[bytes, Fit] = field(default_factory=dict)

    def fit(self, rho: Array) -> Fit:
        key = rho.tobytes()
        if key not in self.known:
            self.known[key] = self.ordinary(self.rows.whitened(rho))
        return self.known[key]

    def value(self, rho: Array) -> float:
        if np.abs(rho).max() > FARTHEST:
            return float("inf")
        try:
            return self.fit(rho).criterion + self.rows.log_determinant(rho)
        except (FitError, DataError):
            return float("inf")

    def gradient(self, rho: Array) -> tuple[float, Array]:
        """Value and gradient by central differences."""
        E = STEP * np.eye(len(rho))
        up, down = (np.array([self.value(rho + sign * e) for e in E]) for sign in (1, -1))
        return self.value(rho), (up - down) / (2 * STEP)

    def derivatives(self, rho: Array) -> tuple[float, Array, Array]:
        """Value, gradient and Hessian by central differences."""
        m, middle = len(rho), self.value(rho)
        E = STEP * np.eye(m)
        up, down = (np.array([self.value(rho + sign * e) for e in E]) for sign in (1, -1))
        hessian = np.diag(up - 2 * middle + down)
        for i in range(m):
            for j in range(i):
                corner = self.value(rho + E[i] + E[j]) + self.value(rho - E[i] - E[j])
                own = up[i] + down[i] + up[j] + down[j] - 2 * middle
                hessian[i, j] = hessian[j, i] = (corner - own) / 2
        return middle, (up - down) / (2 * STEP), hessian / STEP**2

    def slopes(self, rho: Array) -> Array:
        """How the covariance of the coefficients changes with each parameter, (m, p, p)."""
        E = STEP * np.eye(len(rho))
        return np.array([(self.fit(rho + e).covariance - self.fit(rho - e).covariance) / (2 * STEP) for e in E])


def search(rows: Rows, ordinary: Callable[[Request], Fit]) -> Optimum:
    """The rho of the least criterion, from the spread and correlation of a plain fit's residuals on."""
    profile = Profile(rows, ordinary)
    how = rows.request.search
    if isinstance(how.start, Point):
        raise ValueError("start= of numbers is of theta alone: beside a residual structure take a word, 'identity'")
    plain = np.zeros(rows.size)
    start = _start(rows, profile.fit(plain)) if how.start in (None, "moments") else plain
    target = Target(
        value=profile.value,
        gradient=profile.gradient,
        derivatives=profile.derivatives,
        length=lambda point, step: float(np.abs(step).max() / 2),  # a spread changes by e^2 at most
        secant=rows.size > 2,  # a Hessian takes m (m - 1) fits more than a gradient
    )
    found = searcher(how, target, tolerance=1e-10, iterations=50, enough=ENOUGH)(start)
    _, gradient, curvature = profile.derivatives(found.point)
    return Optimum(
        found.point,
        profile.fit(found.point),
        profile.slopes(found.point),
        curvature,
        gradient,
        found.converged,
        found.iterations,
    )


def _start(rows: Rows, plain: Fit) -> Array:
    """Log ratios of the residual sds, and the correlation of neighbours' residuals."""
    request = rows.request
    residuals = np.sqrt(plain.request.weights) * (plain.request.y - plain.eta)
    rho = np.zeros(rows.size)
    if rows.n_ratios:
        used = request.weights > 0
        squares = np.bincount(rows.codes[used], residuals[used] ** 2) / np.bincount(rows.codes[used])
        logs = np.log(np.maximum(squares, 1e-6 * squares.max())) / 2
        rho[: rows.n_ratios] = logs[1:] - logs[0]
    if rows.blocks is not None:
        e = (residuals * np.sqrt(rows.weights(rho) / request.weights))[rows.blocks.rows]
        same = np.flatnonzero(np.diff(rows.blocks.codes) == 0) + 1
        r = float((e[same] * e[same - 1]).sum() / max((e[same] ** 2).sum(), 1e-300))
        rho[-1] = np.arctanh(np.clip(r, -0.8, 0.8))
    return rho
