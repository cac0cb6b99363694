"""The covariance of a regression of totals by leaving out each study, to first order (CR3).

With I the information, H_k what study k adds to it and u_k its score, the study moves the estimate by
(I - H_k)^-1 u_k, one Newton step of the fit without it, and (Bell & McCaffrey 2002)

    V = (K - 1) / K sum_k (I - H_k)^-1 u_k u_k' (I - H_k)^-1.

The sandwich without H_k is too small where few studies weigh much on a coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from .problem import Index
from .totals import Level, Totals, small_sample

LOST = 1e-9  # of the largest eigenvalue: a coefficient that nothing determines without the study


@dataclass(frozen=True, eq=False)
class Regression:
    """Totals t (M,) with fitted means on columns D (M, r) of full rank; `ratio` and `pull` are those of frailties.

    `unit` (M,) numbers what shares a frailty, each inside one study; pull (U,) is 0 for Poisson.
    """

    D: Array
    t: Array
    means: Array
    ratio: Array
    study: Index
    unit: Index
    pull: Array


def of_level(totals: Totals, level: Level) -> Regression:
    """The regression of a level: groups' levels, then gamma."""
    alpha = level.alpha[totals.unit_group]
    pull = alpha / (1 + alpha * totals.by_unit(level.means))
    return Regression(totals.columns, totals.t, level.means, level.ratio, totals.study, totals.unit, pull)


def jackknife(given: Regression) -> Array:
    """V (r, r); raises FitError for one study."""
    Q, R = np.linalg.qr(given.D)  # columns of any scale: a year beside an intercept
    added = informations(given, Q)
    u = _sums((given.t - given.ratio * given.means)[:, None] * Q, given.study)
    total = added.sum(axis=0)
    values, vectors = np.linalg.eigh(total - added)
    kept = values > LOST * values[:, -1:]
    inverse = np.where(kept, 1 / np.where(kept, values, 1.0), 0.0)
    turned = np.einsum("kji,kj->ki", vectors, u) * inverse
    moved = np.linalg.solve(R, np.einsum("kij,kj->ki", vectors, turned).T)
    return np.asarray(moved @ moved.T / small_sample(len(u)))


def informations(given: Regression, Q: Array) -> Array:
    """H_k (K, r, r) of columns Q: sum_i L_i q q' less, of every unit, pull times g g', g = sum_i L_i q."""
    weighted = given.means[:, None] * Q
    plain = _sums(weighted[:, :, None] * Q[:, None, :], given.study)
    g = _sums(weighted, given.unit)
    owner = np.zeros(len(g), dtype=np.intp)
    owner[given.unit] = given.study
    shared = np.zeros_like(plain)
    np.add.at(shared, owner, given.pull[:, None, None] * g[:, :, None] * g[:, None, :])
    return np.asarray(plain - shared)


def _sums(values: Array, number: Index) -> Array:
    out = np.zeros((int(number.max(initial=-1)) + 1, *values.shape[1:]))
    np.add.at(out, number, values)
    return out
