"""What is added to the score of a GLM so that its root is less biased, in an orthonormal basis of the columns.

X (n, r) of full rank is Q R; b = R beta. Q'WQ = L'L and G = Q L^-1, so that the hat values are h = W rowsum(G^2):
written so, a row of no weight has exactly none, however large its mu2 / mu1.
The adjustments are free of the dispersion (the score is U / dispersion).
Sources: Firth (1993); Kosmidis & Firth (2009); Kenne Pagui, Salvan & Sartori (2017); Kosmidis & Firth (2021);
Kosmidis, Kenne Pagui & Sartori (2020), "Mean and median bias reduction in generalized linear models".
"""

from __future__ import annotations

import numpy as np

from formula_neuro.estimator import Estimator, Jeffreys, MedianBR
from formula_neuro.family import Array

from .moments import Moments


def adjustment(how: Estimator, m: Moments, Q: Array, R: Array, L: Array) -> Array:
    """A(b) (r,) of mean or median bias reduction or of Jeffreys' penalty.

    m rows (n,), Q (n, r), R and L (r, r) upper triangular.
    """
    G = Q @ np.linalg.inv(L)
    h = m.W * (G**2).sum(axis=1)
    if isinstance(how, Jeffreys):
        return np.asarray(Q.T @ jeffreys_rows(m, h, how.power))
    A = np.asarray(Q.T @ mean_rows(m, h))
    return A + median_shift(m, G, L, R) if isinstance(how, MedianBR) else A


def mean_rows(m: Moments, h: Array) -> Array:
    """(n,) with A = X'a for mean bias reduction: h mu2 / (2 mu1)."""
    return np.where(h > 0, h * m.bend / 2, 0.0)


def jeffreys_rows(m: Moments, h: Array, power: float) -> Array:
    """(n,) with A = X'a for the gradient of power * log det X'WX: power h (2 mu2/mu1 - V' mu1/V)."""
    return np.where(h > 0, power * h * (2 * m.bend - m.skew), 0.0)


def median_shift(m: Moments, G: Array, L: Array, R: Array) -> Array:
    """What median bias reduction adds to the mean's, (r,): the information times c, of R's coefficients each.

    With V = (X'WX)^-1 and g_ij = x_i'V e_j:  c_j = sum_i W_i g_ij^3 / V_jj (skew_i / 6 - bend_i / 2).
    """
    T = np.linalg.solve(L.T, np.linalg.inv(R).T)  # V = T'T, g = G T
    third = np.where(m.W > 0, m.W * (m.skew / 6 - m.bend / 2), 0.0)
    c = third @ (G @ T) ** 3 / (T**2).sum(axis=0)
    return np.asarray(L.T @ (L @ (R @ c)))
