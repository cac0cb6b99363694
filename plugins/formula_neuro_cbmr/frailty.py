"""Counts that share a gamma frailty of mean 1 and variance alpha: negative binomial sums, down to alpha = 0.

Per unit k with count t and mean L (a sum over the analyses that share the frailty), free of what does not depend on
the parameters beside the log means,

    l = sum_{j<t} log(1 + j alpha) - (t + 1/alpha) log(1 + alpha L)

which is -L at alpha = 0 (Poisson). Given t the frailty's mean is rho = (1 + alpha t) / (1 + alpha L).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from formula_neuro.family import Array

NEAR = 0.02  # of alpha L: below, differences of nearly equal numbers give way to series of 9 terms, exact to 1e-15
ROUNDING = 1e-7  # of squares of residuals, which are as exact as the search for means


@dataclass(frozen=True, eq=False)
class Counts:
    """Whole counts t (K,) of the units."""

    t: Array

    @cached_property
    def _steps(self) -> tuple[NDArray[np.intp], Array]:
        """The unit of every j in 1..t-1, and j itself."""
        more = np.maximum(np.asarray(self.t, dtype=np.intp) - 1, 0)
        unit = np.repeat(np.arange(len(more)), more)
        first = np.repeat(np.cumsum(more) - more, more)
        return unit, np.arange(len(unit)) - first + 1.0

    def rise(self, alpha: Array, order: int = 0) -> Array:
        """sum_{j<t} log(1 + j alpha) of each unit (K,), or its first or second derivative by alpha (K,)."""
        unit, j = self._steps
        x = j * alpha[unit]
        terms = (np.log1p(x), j / (1 + x), -((j / (1 + x)) ** 2))[order]
        return np.bincount(unit, weights=terms, minlength=len(self.t)).astype(np.float64)


def loglik(counts: Counts, means: Array, alpha: Array) -> Array:
    """l of each unit (K,), t log L left out: it belongs to the places.

    >>> loglik(Counts(np.array([2.0])), np.array([3.0]), np.array([0.0]))
    array([-3.])
    """
    x = alpha * means
    return counts.rise(alpha) - counts.t * np.log1p(x) - means * _log1p_ratio(x)


def ratio(counts: Counts, means: Array, alpha: Array) -> Array:
    """rho (K,): what a unit's count says of its frailty."""
    return (1 + alpha * counts.t) / (1 + alpha * means)


def slope(counts: Counts, means: Array, alpha: Array) -> Array:
    """dl/d alpha (K,); at alpha = 0 it is ((t - L)^2 - t) / 2.

    >>> slope(Counts(np.array([5.0])), np.array([3.0]), np.array([0.0]))
    array([-0.5])
    """
    x = alpha * means
    return counts.rise(alpha, 1) - counts.t * means / (1 + x) + means**2 * _f(x)


def rises(counts: Counts, means: Array, sums: Callable[[Array], Array]) -> NDArray[np.bool_]:
    """Whether l, in each of the `sums` over units, rises as alpha leaves 0, by more than rounding.

    Whole counts can vary exactly as Poisson's do, as 2 and 6 about 4: their alpha is 0.

    >>> rises(Counts(np.array([2.0, 6.0])), np.array([4.0, 4.0]), lambda of_units: of_units.sum(keepdims=True))
    array([False])
    """
    squares = (counts.t - means) ** 2
    return np.asarray(sums(squares - counts.t) > ROUNDING * sums(squares + counts.t))


def curvature(counts: Counts, means: Array, alpha: Array) -> Array:
    """d2l/d alpha2 (K,)."""
    x = alpha * means
    return counts.rise(alpha, 2) + counts.t * (means / (1 + x)) ** 2 + means**3 * _f_slope(x)


def cross(counts: Counts, means: Array, alpha: Array) -> Array:
    """d2l/(d alpha dL) (K,); its mean is 0."""
    return (means - counts.t) / (1 + alpha * means) ** 2


def pull(counts: Counts, means: Array, alpha: Array, observed: bool) -> Array:
    """How much of g g', g = dL/d theta, the information lacks beside Poisson's (K,): -d rho/dL, or its mean."""
    shrunken = alpha / (1 + alpha * means)
    return shrunken * ratio(counts, means, alpha) if observed else shrunken


def best(counts: Counts, means: Array) -> float:
    """The alpha of the largest likelihood given the units' means, 0 where counts vary no more than Poisson's.

    >>> best(Counts(np.array([3.0, 4.0])), np.array([3.5, 3.5]))
    0.0
    """

    def total(log_alpha: float) -> float:
        return float(slope(counts, means, np.full(len(means), np.exp(log_alpha))).sum())

    if not rises(counts, means, lambda of_units: of_units.sum(keepdims=True))[0]:
        return 0.0
    excess = float(((counts.t - means) ** 2 - counts.t).sum() / (means**2).sum())
    low = high = float(np.log(excess))
    while total(low) <= 0:
        low -= 1.0
    while total(high) > 0:
        high += 1.0
    return float(np.exp(brentq(total, low, high, xtol=1e-13))) if low < high else float(np.exp(low))


def _log1p_ratio(x: Array) -> Array:
    """log(1 + x) / x, 1 at 0."""
    safe = np.where(x > 0, x, 1.0)
    return np.where(x > 0, np.log1p(safe) / safe, 1.0)


def _f(x: Array) -> Array:
    """(log(1 + x) - x / (1 + x)) / x^2."""
    safe = np.maximum(x, NEAR)
    far = (np.log1p(safe) - safe / (1 + safe)) / safe**2
    return np.where(x < NEAR, _series(x, [(-1.0) ** n * (n - 1) / n for n in range(2, 11)]), far)


def _f_slope(x: Array) -> Array:
    safe = np.maximum(x, NEAR)
    far = (1 / (1 + safe) ** 2 - 2 * (np.log1p(safe) / safe - 1 / (1 + safe)) / safe) / safe
    return np.where(x < NEAR, _series(x, [(-1.0) ** n * (n - 1) * (n - 2) / n for n in range(3, 12)]), far)


def _series(x: Array, terms: list[float]) -> Array:
    return np.asarray(np.polynomial.polynomial.polyval(np.minimum(x, NEAR), terms))
