"""Traces and products of a linear mixed model's V^-1 with changes of its covariance, without anything n x n.

V = I + Z S Z' in units of s2 (rows scaled by the roots of their weights), B_i = Z D_i Z', where D_i repeats one
symmetric matrix for every level of one term. Satterthwaite's and Kenward and Roger's degrees of freedom, the
gradient and the Hessian are sums of these. Everything comes from H = Z'V^-1Z, G = Z'V^-1X and k = Z'Py:

    V^-1 B_i traces: D_i's with H;   X'V^-1 B_i V^-1X = G'D_iG;   X'V^-1 B_i V^-1 B_j V^-1X = G'D_i H D_jG
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from .profiled import Products, Solution, solve
from .terms import diagonal_blocks

Direction = tuple[int, Array]  # index of the term, symmetric (K, K) change of its S, in inner coordinates


@dataclass(frozen=True, eq=False)
class Moments:
    """m directions, r coefficients of X's orthonormal basis; P = V^-1 - V^-1X C X'V^-1."""

    trace: Array  # (m,) tr(V^-1 B_i)
    traces: Array  # (m, m) tr(V^-1 B_i V^-1 B_j)
    P: Array  # (m, r, r) X'V^-1 B_i V^-1 X
    Q: Array  # (m, m, r, r) X'V^-1 B_i V^-1 B_j V^-1 X
    linear: Array  # (m,) y'P B_i P y
    quadratic: Array  # (m, m) y'P B_i P B_j P y


def moments(products: Products, theta: Array, directions: Sequence[Direction], at: Solution | None = None) -> Moments:
    """The moments at theta in the given directions; `at` saves solving the model there again."""
    at = solve(products, theta) if at is None else at
    H = products.ZZ - at.U.T @ at.U
    r = at.G.shape[1]
    W = np.column_stack([at.G, at.k])
    moved = np.stack([_moved(products, direction, W) for direction in directions])  # D_i [G k], (m, q, r + 1)
    first = W.T @ moved
    second = np.einsum("iqx,jqy->ijxy", moved, H @ moved, optimize=True)
    a = first[:, :r, r]
    return Moments(
        trace=np.array([np.sum(D * diagonal_blocks(products.terms[t], H).sum(axis=0)) for t, D in directions]),
        traces=np.array([[_trace(products, H, one, two) for two in directions] for one in directions]),
        P=first[:, :r, :r],
        Q=second[:, :, :r, :r],
        linear=first[:, r, r],
        quadratic=second[:, :, r, r] - a @ at.C @ a.T,
    )


def _moved(products: Products, direction: Direction, W: Array) -> Array:
    """D W, where D repeats the direction's matrix for every level of its term and is 0 elsewhere."""
    term, D = products.terms[direction[0]], direction[1]
    out = np.zeros_like(W)
    out[term.columns] = (D @ W[term.columns].reshape(term.levels, term.K, -1)).reshape(-1, W.shape[1])
    return out


def _trace(products: Products, H: Array, one: Direction, two: Direction) -> float:
    """tr(H D_i H D_j): sums over pairs of levels."""
    t, u = products.terms[one[0]], products.terms[two[0]]
    block = H[t.columns, u.columns].reshape(t.levels, t.K, u.levels, u.K)
    return float(np.einsum("axby,xz,azbw,wy->", block, one[1], block, two[1], optimize=True))
