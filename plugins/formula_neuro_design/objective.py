"""The objective in the paper's letters, at any Z and c: what the solver's answer is checked against.

The paper is the manuscript on optimal design matrices for fMRI (IEEE Transactions on Medical Imaging, 2010).
"""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .family import Family


def estimator(Z: Array, c: Array) -> Array:
    """a = Z (Z'Z)^-1 c: the weights of the scans, c' gamma_hat = a'y and |a|^2 = c'(Z'Z)^-1 c.

    c (p,) has a (n,); s contrasts c (s, p) have a (s, n).
    """
    Q, R = np.linalg.qr(Z)
    return np.asarray((Q @ np.linalg.solve(R.T, c.T)).T)


def misfit(Z: Array, v: Array) -> Array:
    """D (m,): the part of each column of v (n, m) that Z leaves, v'(I - P)v."""
    Q = np.linalg.qr(Z)[0]
    left = v - Q @ (Q.T @ v)
    return (left**2).sum(axis=0)


def objective(Z: Array, c: Array, family: Family) -> float:
    """G = sum_i w_i f_i: twice phi times the expected estimated variance, and 2 - 2 phi times the squared bias.

    f_i = 2 phi_i c'Kc (1 + D_i / (n - p)) + (2 - 2 phi_i)(a'v_i - l_i)^2 with K = (Z'Z)^-1. Z is n x p, c has p
    entries, or is (s, p) for s contrasts, whose f_i add up. D_i and the squared bias are sums over the design's
    columns where it has several. The sum is not divided by the number of designs.
    """
    n, p = Z.shape
    a = np.atleast_2d(estimator(Z, c))
    tau = family.kappa + family.price @ misfit(Z, family.v) / (n - p)
    bias = a @ family.v - family.truth
    return float(tau @ (a**2).sum(axis=1) + (family.push * bias**2).sum())


def gradient(Z: Array, c: Array, family: Family) -> tuple[Array, Array]:
    """dG/dZ (n, p) and dG/dc, of c's shape: the paper's equations 40 and 41.

    With g = 2 (tau a + M_B a - h) and u = Kc: dG/dc = KZ'g, dG/dZ = P g u' - a g'ZK - 2 |a|^2 P M_V Z K, where P takes
    away what Z fits. Several contrasts have a row each in g, a and u, and their dG/dZ add up.
    """
    n, p = Z.shape
    Q, R = np.linalg.qr(Z)
    ZK = np.linalg.solve(R, Q.T).T
    a = np.atleast_2d(c) @ ZK.T
    u = a @ ZK
    left = family.v - Q @ (Q.T @ family.v)
    tau = family.kappa + family.price @ (left**2).sum(axis=0) / (n - p)
    g = 2 * (tau[:, None] * a + (family.push * (a @ family.v - family.truth)) @ family.v.T)
    paid = (a**2).sum(axis=1) @ family.price / (n - p)
    spread = (left * paid) @ (family.v.T @ ZK)  # P M_V Z K, without an n x n matrix
    dZ = (g - (g @ Q) @ Q.T).T @ u - a.T @ (g @ ZK) - 2 * spread
    return dZ, (g @ ZK).reshape(c.shape)
