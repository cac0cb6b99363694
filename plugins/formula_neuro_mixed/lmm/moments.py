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

from ..stacks import times
from .information import OnFactor
from .profiled import Products, Solution, solve

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

    def projected(self, C: Array) -> tuple[Array, Array]:
        """tr(P B_i) (m,) and tr(P B_i P B_j) (m, m)."""
        m, CP = len(self.trace), C @ self.P
        flat, turned = CP.reshape(m, -1), CP.transpose(0, 2, 1).reshape(m, -1)
        trace = self.trace - self.P.reshape(m, -1) @ C.ravel()
        return trace, self.traces - 2 * self.Q.reshape(m, m, -1) @ C.ravel() + flat @ turned.T


def moments(products: Products, theta: Array, directions: Sequence[Direction], at: Solution | None = None) -> Moments:
    """The moments at theta in the given directions; `at` saves solving the model there again."""
    at = solve(products, theta) if at is None else at
    return moments_of(at, [_on_factor(products, *d) for d in directions])


def _on_factor(products: Products, term: int, D: Array) -> OnFactor:
    """The same direction among the columns of the term's factor."""
    for f, factor in enumerate(products.factors):
        for index, where in factor.members:
            if index == term:
                wide = np.zeros((factor.K, factor.K))
                wide[where, where] = D
                return f, wide
    raise IndexError(f"term {term} of {len(products.terms)}")


def moments_of(at: Solution, directions: Sequence[OnFactor]) -> Moments:
    """The moments of a solution, in directions of factors."""
    m, r, H, W = len(directions), len(at.b), at.H, at.Gk
    moved = _moved(W, directions)  # D_i [G k]: one (L, K, m (r + 1)) array a factor
    first, second = np.zeros((r + 1, m * (r + 1))), np.zeros((m * (r + 1), m * (r + 1)))
    for own, change, product in zip(W, moved, H.product(moved), strict=True):
        flat = change.reshape(-1, change.shape[2])
        first += own.reshape(-1, r + 1).T @ flat
        second += flat.T @ product.reshape(flat.shape)
    single = first.reshape(r + 1, m, r + 1).transpose(1, 0, 2)
    double = second.reshape(m, r + 1, m, r + 1).transpose(0, 2, 1, 3)
    a = single[:, :r, r]
    return Moments(
        trace=np.array([np.vdot(D, H.diagonal[f]) for f, D in directions]),
        traces=H.traces(directions),
        P=single[:, :r, :r],
        Q=double[:, :, :r, :r],
        linear=single[:, r, r],
        quadratic=double[:, :, r, r] - a @ at.C @ a.T,
    )


def _moved(W: Sequence[Array], directions: Sequence[OnFactor]) -> list[Array]:
    """D_i W side by side; zero where the direction is another factor's."""
    out = []
    for f, own in enumerate(W):
        L, K, c = own.shape
        mine = [i for i, (g, _) in enumerate(directions) if g == f]
        D = np.array([directions[i][1] for i in mine]).transpose(1, 0, 2).reshape(-1, K)  # rows of D_i side by side
        wide = times(D, own).reshape(L, K, len(mine), c)
        if len(mine) < len(directions):
            part, wide = wide, np.zeros((L, K, len(directions), c))
            wide[:, :, mine] = part
        out.append(wide.reshape(L, K, -1))
    return out
