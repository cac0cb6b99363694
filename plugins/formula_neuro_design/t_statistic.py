"""T = c'gamma / (s1 sqrt(c'Kc)), the estimate over its standard error, when the truth is not the design fitted.

T is (z + eta) / s with z standard normal and nu s^2 chi-squared of nu = n - p degrees of freedom and sum of squared
means D: a doubly non-central t. eta = a'v / |a| is the expected estimate over its true standard deviation and D the
misfit v'(I - P)v. Given s the tail is a normal one, so that one rule of integration over s serves every threshold.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import special

from formula_neuro.family import Array

Rows: TypeAlias = NDArray[np.intp]  # numbers of designs

REACH = 9.0  # |a normal vector| strays further than this from its mean with probability 2 exp(-40)
PANEL = 2.0  # of such a length, which spreads by about .7: wider ones would do, narrower ones change nothing
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)  # a panel


def tail(t: Array, eta: Array, D: Array, nu: int) -> Array:
    """P(T > t) of every design and threshold, (m, k), for t (k,), eta (m,), D (m,).

    Right to about 1e-13, not relatively: of a smaller probability the size is not known. P(T < -t) is the tail at t
    with -eta.

    >>> tail(np.array([2.0]), np.array([1.5]), np.array([15.0]), 20).round(4)
    array([[0.1476]])
    """
    t = np.atleast_1d(np.asarray(t, dtype=float))
    found = np.empty((len(eta), len(t)))
    steepness = max(1.0, float(np.abs(t).max()) / np.sqrt(nu))
    for size, rows in _alike(D):
        s, weights = scale_law(nu, size, steepness)
        for i in rows:
            found[i] = weights @ special.ndtr(eta[i] - np.multiply.outer(s, t))
    return found


def expected_t(eta: Array, D: Array, nu: int) -> Array:
    """E T (m,): eta E(1/s), none for one degree of freedom. At least eta / sqrt(1 + D/nu) where eta >= 0."""
    inverse = np.empty(len(eta))
    for size, rows in _alike(D):
        s, weights = scale_law(nu, size)
        inverse[rows] = weights @ (1 / s)
    return eta * inverse if nu > 1 else np.where(eta == 0, np.nan, np.sign(eta) * np.inf)


def scale_law(nu: int, D: float, steepness: float = 1.0) -> tuple[Array, Array]:
    """Values of s and their weights: sums of weights times f(s) are E f(s) for f that changes over 1 / steepness.

    nu s^2 is a Poisson mixture (mean D/2) of chi-squared variables of nu + 2j degrees of freedom, and s sqrt(nu) the
    length of a normal vector, which lies within 9 of its mean.
    """
    centre = np.sqrt(nu + D)
    low, high = max(0.0, centre - REACH - 1), centre + REACH
    edges = np.linspace(low, high, int(np.ceil((high - low) * steepness / PANEL)) + 1)
    half = (edges[1] - edges[0]) / 2
    r = ((edges[:-1] + half)[:, None] + half * NODES).ravel()
    weights = 2 * r * _chi_squared_mixture(r**2, nu, D) * np.tile(half * WEIGHTS, len(edges) - 1)
    return r / np.sqrt(nu), weights


def _chi_squared_mixture(x: Array, nu: int, D: float) -> Array:
    """The density of chi-squared with nu degrees of freedom and sum of squared means D at x > 0."""
    mean = D / 2
    first = max(0, int(mean - 9 * np.sqrt(mean)) - 1)
    j = np.arange(first, int(mean + 9 * np.sqrt(mean)) + 40)  # what is left out has a probability below 1e-17
    share = special.xlogy(j, mean) - mean - special.gammaln(j + 1)
    half = nu / 2 + j
    log_size = np.multiply.outer(np.log(x / 2), half - 1) - x[:, None] / 2 - special.gammaln(half) - np.log(2)
    return np.asarray(np.exp(log_size + share).sum(axis=1))


def _alike(D: Array) -> list[tuple[float, Rows]]:
    """Each misfit that occurs, with the designs that have it."""
    sizes, which = np.unique(D, return_inverse=True)
    return [(float(size), np.flatnonzero(which == i)) for i, size in enumerate(sizes)]
