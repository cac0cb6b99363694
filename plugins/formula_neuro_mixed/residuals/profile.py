"""Deviances of a model with a residual structure, with one parameter held: sds, correlations, sigma, ratios or phi."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from scipy import optimize

from formula_neuro.errors import DataError, FitError
from formula_neuro.family import Array
from formula_neuro.inference.intervals.held import Held
from formula_neuro.request import Request
from formula_neuro.result import Fit

from ..held import Deviance, Place, units_of
from ..lmm.profiled import Products
from ..profile import of_lmm
from ..terms import Term
from .rows import Rows
from .search import FARTHEST, Profile

STEP = 1e-4  # central differences then err by about 1e-8


@dataclass(frozen=True, eq=False)
class StructuredProfiler:
    """The least deviance of a fit by maximum likelihood with one parameter at a value."""

    deviance: Deviance  # of theta and the rest: log sigma, then rho
    along: Profile
    rho: Array

    def held(self, what: Held, value: float, start: Any) -> tuple[float, Any]:
        """See inference.held.Profiler."""
        if what.residual is None:
            return self.deviance.held(what, value, start)
        k = what.residual
        at = float(np.arctanh(value)) if k >= self.along.rows.n_ratios else float(np.log(value))
        x0 = np.delete(self.rho, k) if start is None else start.x

        def least(x: Array) -> float:
            return self.along.value(np.insert(x, k, at))

        if not len(x0):
            return least(x0), Place(x0, np.empty((0, 0)))
        slope = differences(least)
        found = optimize.minimize(least, x0, jac=slope, method="BFGS", options={"gtol": 1e-5, "maxiter": 100})
        return float(found.fun), Place(np.asarray(found.x), np.asarray(found.hess_inv))


def profiler(fit: Fit, rows: Rows, rho: Array, products: Callable[[Request], Products], plain: Profile) -> Any:
    """The profiler of a fit by maximum likelihood; `products` are the sums over whitened rows."""
    known: dict[bytes, Deviance] = {}

    def at(rho: Array) -> Deviance:
        if rho.tobytes() not in known:
            if len(known) > 50:
                known.clear()
            known[rho.tobytes()] = of_lmm(fit, products(rows.whitened(rho)))
        return known[rho.tobytes()]

    terms = at(rho).terms

    def value(theta: Array, rest: Array) -> float:
        if np.abs(rest[1:]).max() > FARTHEST:
            return float("inf")
        try:
            own = at(rest[1:])
            return own.value(moved(theta, terms, own.terms), rest[:1]) + rows.log_determinant(rest[1:])
        except (LinAlgError, FitError, DataError):
            return float("inf")

    def slope(theta: Array, rest: Array) -> tuple[float, Array, Array]:
        cut = len(theta)
        found = differences(lambda point: value(point[:cut], point[cut:]))(np.concatenate([theta, rest]))
        return value(theta, rest), found[:cut], found[cut:]

    covariances = tuple(effect.covariance for effect in fit.random)
    units = units_of(terms, fit.sigma, covariances)
    rest = np.concatenate([[np.log(fit.sigma)], rho])
    return StructuredProfiler(Deviance(terms, value, slope, True, covariances, units, rest, sigma=0), plain, rho)


def moved(theta: Array, terms: Sequence[Term], others: Sequence[Term]) -> Array:
    """theta of the same covariances in the inner coordinates of other rows."""
    found = []
    for one, other in zip(terms, others, strict=True):
        F = np.linalg.solve(other.change, one.change @ one.template(theta))
        found.append(other.theta_of(np.asarray(F, dtype=np.float64)))
    return np.concatenate(found)


def differences(value: Callable[[Array], float]) -> Callable[[Array], Array]:
    """The gradient by central differences."""

    def slope(point: Array) -> Array:
        E = STEP * np.eye(len(point))
        return np.array([value(point + e) - value(point - e) for e in E]) / (2 * STEP)

    return slope
