"""Welch's statistic of maps that studies contribute to, and the same when the contributions' labels are permuted.

A contribution j (of J) is what the analyses of one study in one cell add to a map: L_j(v), of weight T_j. With columns
D (J, C) that tell apart what is compared (an indicator a cell, or a centred covariate),

    theta_c = sum_j D_jc L_j / N_c,   N_c = sum_j D_jc^2 T_j,   d_r = sum_c W_rc theta_c
    e_j = L_j - T_j sum_c D_jc theta_c,   h_j = T_j sum_c D_jc^2 / N_c,   a_jr = sum_c W_rc D_jc / N_c / (1 - h_j)
    Var_rs = sum over studies of (sum_{j of it} a_jr e_j) (sum_{j of it} a_js e_j)

1 / (1 - h) makes residuals those of a fit without the contribution (MacKinnon and White 1985: HC3, the jackknife): foci
are skewed, and studies with many of them weigh much. Two cells of n studies with weight 1 each give Welch's t (1947)
times sqrt((n - 1) / n); a study in both cells counts with the difference of its residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...family import Array

Index = NDArray[np.intp]
ALONE = 1e-9  # of 1 - h: a contribution that is its column's only one
BLOCK = 1024  # voxels at a time, which a processor's own memory holds


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
        N = self.T @ D**2
        h = self.T * (D**2 @ (1 / N))
        return N, D @ (self.W / N).T / np.maximum(1 - h, ALONE)[:, None]


def welch(L: NDArray[Any], by: Compared) -> Array:
    """The statistic in every voxel from L (J, V): (V,) z of one row, chi-squared of several."""
    blocks = range(0, L.shape[1], BLOCK)
    return np.concatenate([_welch(np.asarray(L[:, v : v + BLOCK], dtype=np.float64), by) for v in blocks])


def _welch(L: Array, by: Compared) -> Array:
    N, a = by.weights(by.D)
    theta = by.D.T @ L / N[:, None]
    e = L - by.T[:, None] * (by.D @ theta)
    J, of_study = len(by.T), by.study
    sums = [sparse.csr_array((weights, (of_study, np.arange(J)))) @ e for weights in a.T]
    variance = np.array([[(one * other).sum(axis=0) for other in sums] for one in sums])
    return quadratic(by.W @ theta, variance)


@dataclass(frozen=True, eq=False)
class Permuted:
    """B other columns of the contributions, and all sums over them that no voxel enters."""

    by: Compared
    means: Array  # (C, B, J): theta_c = means_c L
    squares: Array  # (q, q, B, pairs)
    mixed: Array  # (q, q, C, B, J)
    left: Array  # (q, q, C, C, B)

    @classmethod
    def of(cls, by: Compared, D: Array) -> Permuted:
        """Of columns D (B, J, C)."""
        (B, J, C), q = D.shape, len(by.W)
        i, j = by.pairs
        N, a = np.empty((B, C)), np.empty((q, B, J))
        for b, columns in enumerate(D):
            N[b], own = by.weights(columns)
            a[:, b] = own.T
        g = np.zeros((int(by.study.max()) + 1, q, C, B))  # sums over studies of a T D
        np.add.at(g, by.study, np.einsum("rbj,j,bjc->jrcb", a, by.T, D))
        squares = np.einsum("rbp,sbp->rsbp", a[:, :, i], a[:, :, j])
        once = np.einsum("rbj,jscb->rscbj", a, g[by.study])
        mixed = once + np.swapaxes(once, 0, 1)
        left = np.einsum("krcb,ksdb->rscdb", g, g)
        return cls(by, np.moveaxis(D / N[:, None], 2, 0), squares, mixed, left)

    def statistics(self, L: Array) -> Array:
        """(V, B) from L (J, V), by products of matrices."""
        i, j = self.by.pairs
        C, q = len(self.means), len(self.by.W)
        theta = np.stack([means @ L for means in self.means])  # (C, B, V)
        square = L[i] * L[j]
        variance = np.empty((q, q, *theta.shape[1:]))
        for r in range(q):
            for s in range(r + 1):
                found = self.squares[r, s] @ square
                for c in range(C):
                    same = multiple(self.mixed[r, s, c], self.means[c])
                    rest = -self.mixed[r, s, c] @ L if same is None else -same[:, None] * theta[c]
                    for d in range(C):
                        weight = self.left[r, s, c, d][:, None]
                        if weight.any():
                            rest += weight * theta[d]
                    found += theta[c] * rest
                variance[r, s] = variance[s, r] = found
        return quadratic(np.einsum("rc,cbv->rbv", self.by.W, theta), variance).T


def multiple(rows: Array, of: Array) -> Array | None:
    """The numbers (B,) that make `of` (B, J) into these rows, or None: of equal weights a product is spared."""
    there = of != 0
    if (rows[~there] != 0).any():
        return None
    found = np.einsum("bj,bj->b", rows, of) / np.maximum(np.einsum("bj,bj->b", of, of), 1e-300)
    return found if np.allclose(found[:, None] * of, rows, rtol=1e-12, atol=0) else None


def quadratic(d: Array, V: Array) -> Array:
    """d / sqrt(V) of one row, d'V^-1 d of several; d (q, ...), V (q, q, ...); NaN where nothing varies."""
    if len(d) == 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(d[0] / np.sqrt(np.where(V[0, 0] > 0, V[0, 0], np.nan)))
    rows, square = np.moveaxis(d, 0, -1), np.moveaxis(V, (0, 1), (-2, -1))
    fine = np.linalg.matrix_rank(square, hermitian=True) == len(d)
    out = np.full(rows.shape[:-1], np.nan)
    out[fine] = np.einsum("vi,vi->v", rows[fine], np.linalg.solve(square[fine], rows[fine][:, :, None])[:, :, 0])
    return out
