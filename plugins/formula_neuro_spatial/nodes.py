"""Nodes: few rows of a design that give the sums over all rows which the probit likelihood is made of.

As long as the linear predictor of a voxel ranges over the rows by no more than REACH to both sides of its middle,
log Phi and its derivatives are, as functions of the row, in a space of few dimensions, whatever the design is made of.
Successes S_k = sum_i y_i L_ik and trials T_k = sum_i m_i L_ik at k nodes then stand for all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array
from formula_neuro.kernels.interpolation import interpolation

from .tails import Tails

if TYPE_CHECKING:
    from .rows import Rows

WIDEST = 1.5  # standard deviation of eta itself: errors of a gradient are below 1e-4 of its own then
REACH = 2.0  # of eta to both sides of its middle: four standard deviations of the latent variable in all
FURTHEST = 8.0  # middles of eta in the sample: beyond, one tail is below 1e-14 and the other nearly a parabola
TOLERANCE = 1e-12
WRONG = 2e-9  # error of a function that the nodes were not made for, of its largest value, at most
WORTH = 0.5  # share of the rows above which all of them are as quick
SAMPLES = (600, 1200, 2400)
CHOICE = 1000  # rows that nodes are chosen among at first
TINY = 1e-3  # largest value of a function below which its error counts as that of a function of this size


@dataclass(frozen=True, eq=False)
class Nodes:
    """X (k, P), offset (k,), trials (k,) and L (K, k), which turns successes of K distinct rows into those of nodes."""

    X: Array
    offset: Array
    trials: Array
    L: Array

    @classmethod
    def of(cls, rows: Rows) -> Nodes | None:
        """Nodes of these rows; None where they would not be clearly fewer, or not do."""
        for size in SAMPLES:
            chosen, L = interpolation(_sample(rows, size, 0), TOLERANCE, CHOICE)
            if len(chosen) > WORTH * len(rows.X):
                return None
            others = _sample(rows, size, 1)
            if np.abs(others - L @ others[chosen]).max() < WRONG:
                return cls(rows.X[chosen], rows.offset[chosen], rows.trials @ L, L)
        return None


def near(eta: Array, variance: Array | None = None) -> NDArray[np.bool_]:
    """(C,) whether linear predictors eta (C, k) at the nodes, the furthest rows among them, keep to the reach.

    And, where eta is normal with these variances (C, k), whether its deviations do: unlike eta they are not linear in
    the row, and wide ones are not of the functions that the nodes were made for.
    """
    within = eta.max(axis=1) - eta.min(axis=1) <= 2 * REACH
    return np.asarray(within if variance is None else within & (variance.max(axis=1) <= WIDEST**2))


def _sample(rows: Rows, size: int, seed: int) -> Array:
    """Functions (K, size) of the kinds that likelihood, gradient and curvature sum, their largest values 1.

    Each has a linear predictor in a random direction; half of them reach as far as they may.
    """
    rng = np.random.default_rng([size, seed])
    X, P = rows.X, rows.shape[1]
    ways = X @ rng.standard_normal((P, size))
    centred = ways - (ways.max(axis=0) + ways.min(axis=0)) / 2
    reach = (REACH + np.ptp(rows.offset) / 2) * np.where(np.arange(size) % 2, 1.0, np.sqrt(rng.random(size)))
    eta = centred / np.maximum(centred.max(axis=0), 1e-12) * reach + rng.uniform(-FURTHEST, FURTHEST, size)
    u = Tails.of(eta + rows.offset[:, None] - rows.offset.mean())
    along = X @ rng.standard_normal((P, size))
    along /= np.abs(along).max(axis=0)
    f = np.choose(np.arange(size) // 2 % 3, [u.log1, along * u.r1, along**2 * u.r1 * (u.r1 + u.eta)])
    return np.asarray(f / np.maximum(np.abs(f).max(axis=0), TINY))
