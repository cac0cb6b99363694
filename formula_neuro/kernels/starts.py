"""Where the scoring of a generalized linear model may begin: coefficients whose means lie in the family's range."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..family import Array, Family
from .normal_equations import solved


def starts(X: Array, y: Array, w: Array, offset: Array, family: Family) -> Iterator[Array]:
    """Candidates (r,), the best first: R's own first step, simpler guesses, and a feasible point, if there is one.

    X (n, r), w > 0. R stops with "no valid set of coefficients" where its first step is not feasible.
    """
    with np.errstate(all="ignore"):
        eta = np.asarray(family.link(family.start(y, w)))
        yield from _scored(X, y, w, offset, family, eta)
        yield from _projected(X, eta - offset)
        overall = np.full(len(y), np.average(y, weights=w))
        yield from _projected(X, np.asarray(family.link(overall)) - offset)
        size = np.full(len(y), np.average(np.abs(y), weights=w))  # a logarithm wants a mean above 0
        yield from _projected(X, np.asarray(family.link(size)) - offset)
    yield from _feasible(X, offset, family)


def _scored(X: Array, y: Array, w: Array, offset: Array, family: Family, eta: Array) -> Iterator[Array]:
    """Fisher scoring's step from a linear predictor that is not of the model."""
    mu1, mu = family.link.derivative(eta), family.link.inverse(eta)
    root = np.sqrt(w / family.variance(mu)) * np.abs(mu1)
    z = eta - offset + (y - mu) / mu1
    if np.isfinite(root).all() and np.isfinite(z).all():
        b = solved(X.T @ (X * (root**2)[:, None]), X.T @ (root**2 * z))
        yield np.asarray(np.linalg.lstsq(X * root[:, None], root * z, rcond=None)[0]) if b is None else b


def _projected(X: Array, target: Array) -> Iterator[Array]:
    if np.isfinite(target).all():
        yield np.asarray(np.linalg.lstsq(X, target, rcond=None)[0])


def _feasible(X: Array, offset: Array, family: Family) -> Iterator[Array]:
    """The coefficients whose linear predictors keep farthest from their limits, by a linear programme.

    maximise t subject to low + t <= X b + offset <= high - t, t <= 1, |b| <= bound; feasible when t > 0.
    """
    from scipy.optimize import linprog

    low, high = family.limits
    n, r = X.shape
    ones = np.ones((n, 1))
    sides = [(np.hstack([-X, ones]), offset - low), (np.hstack([X, ones]), high - offset)]
    kept = [side for side in sides if np.isfinite(side[1]).all()]
    if not kept:
        yield np.zeros(r)
        return
    rows, limits = np.vstack([side[0] for side in kept]), np.concatenate([side[1] for side in kept])
    wide = 1e3 * (1 + np.abs(limits).max()) * np.sqrt(n)  # of an orthonormal X's coefficients
    bounds = [(-wide, wide)] * r + [(None, 1.0)]
    answer = linprog(np.r_[np.zeros(r), -1.0], A_ub=rows, b_ub=limits, bounds=bounds, method="highs")
    if answer.x is not None and answer.x[-1] > 0:
        yield np.asarray(answer.x[:-1])
