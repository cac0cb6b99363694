"""What is added to the score of a GLM so that its root is less biased, in an orthonormal basis of the columns.

X (n, r) of full rank is Q R; b = R beta. Q'WQ = Rw'Rw with sqrt(W) Q = Qw Rw, so that the hat values are
h = rowsum(Qw^2). The adjustments are free of the dispersion (the score is U / dispersion).
Sources: Firth (1993); Kosmidis & Firth (2009); Kenne Pagui, Salvan & Sartori (2017); Kosmidis & Firth (2021);
Kosmidis, Kenne Pagui & Sartori (2020), "Mean and median bias reduction in generalized linear models".
"""

from __future__ import annotations

import numpy as np
from formula_neuro.estimator import Estimator, Jeffreys, MedianBR
from formula_neuro.family import Array
from scipy.linalg import solve_triangular

from .moments import Moments


def adjustment(how: Estimator, m: Moments, Q: Array, R: Array, Qw: Array, Rw: Array) -> Array:
    """A(b) (r,) of mean or median bias reduction or of Jeffreys' penalty.

    m rows (n,), Q and Qw (n, r), R and Rw (r, r).
    """
    h = (Qw**2).sum(axis=1)
    if isinstance(how, Jeffreys):
        return np.asarray(Q.T @ jeffreys_rows(m, h, how.power))
    A = np.asarray(Q.T @ mean_rows(m, h))
    return A + median_shift(m, R, Qw, Rw) if isinstance(how, MedianBR) else A


def mean_rows(m: Moments, h: Array) -> Array:
    """(n,) with A = X'a for mean bias reduction: h mu2 / (2 mu1)."""
    return h * m.bend / 2


def jeffreys_rows(m: Moments, h: Array, power: float) -> Array:
    """(n,) with A = X'a for the gradient of power * log det X'WX: power h (2 mu2/mu1 - V' mu1/V)."""
    return power * h * (2 * m.bend - m.skew)


def median_shift(m: Moments, R: Array, Qw: Array, Rw: Array) -> Array:
    """What median bias reduction adds to the mean's, (r,): the information times c, of R's coefficients each.

    With V = (X'WX)^-1 and g_ij = x_i'V e_j:  c_j = sum_i g_ij (W_i g_ij^2 / V_jj) (skew_i / 6 - bend_i / 2).
    """
    T = solve_triangular(Rw, np.linalg.inv(R).T, trans="T")  # V = T'T
    with np.errstate(all="ignore"):
        root_g = Qw @ T  # sqrt(W) g
        third = np.where(m.W[:, None] > 0, root_g**3 / np.sqrt(m.W)[:, None], 0.0)
    c = (m.skew / 6 - m.bend / 2) @ third / (T**2).sum(axis=0)
    return np.asarray(Rw.T @ (Rw @ (R @ c)))
