"""The objective in the paper's letters, at any Z and c: what the solver's answer is checked against.

The paper is the manuscript on optimal design matrices for fMRI (IEEE Transactions on Medical Imaging, 2010).
"""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .family import Family


def estimator(Z: Array, c: Array) -> Array:
    """a = Z (Z'Z)^-1 c, shape (n,): the weights of the scans, c' gamma_hat = a'y and |a|^2 = c'(Z'Z)^-1 c."""
    Q, R = np.linalg.qr(Z)
    return Q @ np.linalg.solve(R.T, c)


def misfit(Z: Array, v: Array) -> Array:
    """D (m,): the part of each column of v (n, m) that Z leaves, v'(I - P)v."""
    Q = np.linalg.qr(Z)[0]
    left = v - Q @ (Q.T @ v)
    return (left**2).sum(axis=0)


def objective(Z: Array, c: Array, family: Family) -> float:
    """G = sum_i w_i f_i: twice phi times the expected estimated variance, and 2 - 2 phi times the squared bias.

    f_i = 2 phi_i c'Kc (1 + D_i / (n - p)) + (2 - 2 phi_i)(a'v_i - l_i)^2 with K = (Z'Z)^-1. Z is n x p, c has p
    entries. The sum is not divided by the number of designs.
    """
    n, p = Z.shape
    a = estimator(Z, c)
    variance = (a @ a) * (1 + misfit(Z, family.v) / (n - p))
    bias = a @ family.v - family.l
    return float(family.w @ (2 * family.phi * variance + (2 - 2 * family.phi) * bias**2))


def gradient(Z: Array, c: Array, family: Family) -> tuple[Array, Array]:
    """dG/dZ (n, p) and dG/dc (p,), the paper's equations 40 and 41.

    With g = 2 (tau a + M_B a - h) and u = Kc: dG/dc = KZ'g, dG/dZ = P g u' - a g'ZK - 2 |a|^2 P M_V Z K, where P takes
    away what Z fits.
    """
    n, p = Z.shape
    Q, R = np.linalg.qr(Z)
    a, ZK = Q @ np.linalg.solve(R.T, c), np.linalg.solve(R, Q.T).T
    u = np.linalg.solve(R, Q.T @ a)
    price, push = 2 * family.phi * family.w, (2 - 2 * family.phi) * family.w
    left = family.v - Q @ (Q.T @ family.v)
    tau = price @ (1 + (left**2).sum(axis=0) / (n - p))
    g = 2 * (tau * a + family.v @ (push * (a @ family.v - family.l)))
    spread = (left * (price / (n - p))) @ (family.v.T @ ZK)  # P M_V Z K, without an n x n matrix
    dZ = np.outer(g - Q @ (Q.T @ g), u) - np.outer(a, ZK.T @ g) - 2 * (a @ a) * spread
    return dZ, ZK.T @ g
