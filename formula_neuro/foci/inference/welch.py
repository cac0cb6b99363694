"""Welch's statistic of maps that studies contribute to, and the same when the contributions' labels are permuted.

A contribution j (of J) is what the analyses of one study in one cell add to a map: L_j(v), of weight T_j. With columns
D (J, C) that tell apart what is compared (an indicator a cell, or a centred covariate),

    theta_c = sum_j D_jc L_j / N_c,   N_c = sum_j D_jc^2 T_j,   d_r = sum_c W_rc theta_c
    e_j = L_j - T_j sum_c D_jc theta_c,   a_jr = sum_c W_rc f_c D_jc / N_c
    Var_rs = sum over studies of (sum_{j of it} a_jr e_j) (sum_{j of it} a_js e_j)

f_c^2 = n_c / (n_c - 1) for the n_c studies that a cell has. Two cells of studies with weight 1 each give Welch's t
(Welch 1947); a study in both cells counts with the difference of its residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...family import Array

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Compared:
    """Contributions: T (J,), their columns D (J, C), the study of each (J,), and the rows W (q, C) that are tested."""

    T: Array
    D: Array
    study: Index
    W: Array

    @cached_property
    def pairs(self) -> tuple[Index, Index]:
        """All ordered pairs (j, j') of contributions of one study, each with itself first."""
        J = len(self.T)
        order = np.argsort(self.study, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(self.study[order]) > 0])
        one, other = [np.arange(J)], [np.arange(J)]
        for members in np.split(order, starts[1:]):
            if len(members) > 1:
                i, j = np.nonzero(~np.eye(len(members), dtype=bool))
                one.append(members[i])
                other.append(members[j])
        return np.concatenate(one), np.concatenate(other)

    def weights(self, D: Array) -> tuple[Array, Array]:
        """N (C,) and a (J, q) for columns D (J, C)."""
        used = D != 0
        n = np.array([len(np.unique(self.study[column])) for column in used.T])
        N = self.T @ D**2
        f = np.sqrt(n / np.maximum(n - 1, 1))
        return N, D @ (self.W * f / N).T


def welch(L: Array, by: Compared) -> Array:
    """The statistic in every voxel from L (J, V): (V,) z of one row, chi-squared of several."""
    N, a = by.weights(by.D)
    theta = by.D.T @ L / N[:, None]
    e = L - by.T[:, None] * (by.D @ theta)
    K = int(by.study.max()) + 1
    sums = np.zeros((len(by.W), K, L.shape[1]))
    for r in range(len(by.W)):
        np.add.at(sums[r], by.study, a[:, r, None] * e)
    return quadratic(by.W @ theta, np.einsum("rkv,skv->rsv", sums, sums))


def welch_of_permuted(L: Array, by: Compared, D: Array) -> Array:
    """The statistics (V, B) for B other columns D (B, J, C), from products of matrices alone."""
    B, q = len(D), len(by.W)
    i, j = by.pairs
    K = int(by.study.max()) + 1
    every = [by.weights(columns) for columns in D]
    N, a = np.array([N for N, _ in every]), np.array([a for _, a in every])  # (B, C), (B, J, q)
    theta = np.array([L.T @ D[:, :, c].T / N[:, c] for c in range(D.shape[2])])  # (C, V, B)
    g = np.zeros((K, B, q, D.shape[2]))
    np.add.at(g, by.study, np.moveaxis(a[:, :, :, None] * (by.T[:, None] * D)[:, :, None, :], 1, 0))
    g = np.moveaxis(g, 0, 1)
    own = g[:, by.study]  # (B, J, q, C)
    V = np.empty((q, q, L.shape[1], B))
    squares = (L[i] * L[j]).T
    for r in range(q):
        for s in range(r + 1):
            found = squares @ (a[:, i, r] * a[:, j, s]).T
            for c in range(D.shape[2]):
                mixed = a[:, :, r] * own[:, :, s, c] + a[:, :, s] * own[:, :, r, c]
                found -= theta[c] * (L.T @ mixed.T)
                for k in range(D.shape[2]):
                    found += theta[c] * theta[k] * np.einsum("bi,bi->b", g[:, :, r, c], g[:, :, s, k])
            V[r, s] = V[s, r] = found
    return quadratic(np.einsum("rc,cvb->rvb", by.W, theta), V)


def quadratic(d: Array, V: Array) -> Array:
    """d / sqrt(V) of one row, d'V^-1 d of several; d (q, ...), V (q, q, ...); NaN where nothing varies."""
    if len(d) == 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(V[0, 0] > 0, d[0] / np.sqrt(V[0, 0]), np.nan)
    rows, square = np.moveaxis(d, 0, -1), np.moveaxis(V, (0, 1), (-2, -1))
    fine = np.linalg.matrix_rank(square, hermitian=True) == len(d)
    out = np.full(rows.shape[:-1], np.nan)
    out[fine] = np.einsum("vi,vi->v", rows[fine], np.linalg.solve(square[fine], rows[fine][:, :, None])[:, :, 0])
    return out
