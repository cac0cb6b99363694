"""Statistics of a hypothesis in every voxel when the tested columns are permuted over the images.

Binomial and poisson responses: Rao's score statistic. With u and W the scores and the information of the null model's
rows, x the tested columns with the others Z taken out, and P a permutation,

    U = (Px)'u,   V = (Px)'W(Px) - (Px)'WZ (Z'WZ)^-1 Z'W(Px),   U'V^-1 U    (its signed root where x is one column)

(Rao 1948; permuted as Potter 2005). x is what is left of the tested columns after Z by least squares with the weights
W, averaged over voxels. Where Z is the intercept alone, null models are constant, and the test is exact.
Gaussian responses: t (or F) of the responses that Freedman and Lane (1983) make, the null model's fitted values plus
its permuted residuals: permuting those is permuting the rows of x and Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...family import Array
from .nulls import Rows

SINGULAR = 1e-9  # of a column's information: below it, nothing is left of it beside the others
Orders = NDArray[np.intp]  # (m, n): permutations


@dataclass(frozen=True, eq=False)
class Scores:
    """Rao's score statistics: x (n, q) the tested columns less the nuisance Z (n, k), both orthonormal or near it.

    `level`: whether the null model is a constant, without weights or offset, so that x'WZ is 0 however x is permuted.
    """

    x: Array
    Z: Array
    level: bool = False

    def statistics(self, rows: Rows, orders: Orders) -> Array:
        """(C, m): the signed root of the statistic where q = 1, else the statistic; NaN where there is none."""
        moved = [np.ascontiguousarray(column[orders].T) for column in self.x.T]  # (n, m) each
        U = [rows.u @ one for one in moved]
        if self.level:
            w = rows.W.max(axis=1)
            V = [[np.outer(w, (a * b).sum(axis=0)) for b in moved] for a in moved]
        else:
            V = _left(rows.W, moved, self.Z)
        least = SINGULAR * rows.W.max(axis=1, initial=0.0)[:, None]
        return _quadratic(U, V, least)


def _left(W: Array, moved: Sequence[Array], Z: Array) -> list[list[Array]]:
    """(C, m) for every pair of columns: the information that the nuisance leaves."""
    roots = _roots(W, Z)  # (C, k, k)
    beside = [[_weighted(W, Z, roots[:, j]) @ one for one in moved] for j in range(Z.shape[1])]
    V = [[W @ (a * b) for b in moved] for a in moved]
    for part in beside:
        for a, first in enumerate(part):
            for b, second in enumerate(part):
                V[a][b] -= first * second
    return V


def _weighted(W: Array, Z: Array, root: Array) -> Array:
    """W times the combinations root (C, k) of the columns of Z, (C, n)."""
    return np.asarray(W * (root @ Z.T))


def _roots(W: Array, Z: Array) -> Array:
    """R (C, k, k) with R'R the inverse of Z'WZ, or its pseudo-inverse where rows at their limits leave it singular."""
    k = Z.shape[1]
    i, j = np.tril_indices(k)
    information = np.empty((len(W), k, k))
    information[:, i, j] = information[:, j, i] = W @ (Z[:, i] * Z[:, j])
    values, vectors = np.linalg.eigh(information)
    top = values[:, -1:].max(axis=1, keepdims=True) if k else values
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(values > SINGULAR * top, 1 / np.sqrt(values), 0.0)
    return np.asarray(scale[:, :, None] * vectors.transpose(0, 2, 1))


def _quadratic(U: list[Array], V: list[list[Array]], least: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        if len(U) == 1:
            return np.where(V[0][0] > least, U[0] / np.sqrt(V[0][0]), np.nan)
        u, square = np.stack(U, axis=-1), np.stack([np.stack(row, axis=-1) for row in V], axis=-2)
        values, vectors = np.linalg.eigh(np.where(np.isfinite(square), square, 0.0))
        along = np.einsum("cmij,cmi->cmj", vectors, u)
        known = values > least[:, :, None]
        parts = np.where(known, along**2 / values, 0.0)
    return np.where(known.any(axis=2), parts.sum(axis=2), np.nan)


@dataclass(frozen=True, eq=False)
class FreedmanLane:
    """t of one column, F of several: columns x (n, q) and Z (n, k) orthonormal together, times the root of weights."""

    x: Array
    Z: Array
    root: Array  # (n,)
    df: float

    def statistics(self, rows: Rows, orders: Orders) -> Array:
        """(C, m), NaN where nothing varies."""
        e = rows.residual * self.root
        total = (e**2).sum(axis=1)[:, None]
        by = [e @ np.ascontiguousarray(column[orders].T) for column in self.x.T]
        explained = sum(part**2 for part in by)
        left = total - explained
        for column in self.Z.T:
            left -= (e @ np.ascontiguousarray(column[orders].T)) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.where(left > SINGULAR * total, left / self.df, np.nan)
            return by[0] / np.sqrt(spread) if len(by) == 1 else explained / len(by) / spread


def without(x: Array, Z: Array, w: Array) -> Array:
    """What weighted least squares on Z (n, k) leave of x (n, q), its columns of length 1."""
    root = np.sqrt(w)[:, None]
    left = x - Z @ np.linalg.lstsq(root * Z, root * x, rcond=None)[0]
    return np.asarray(left / np.linalg.norm(left, axis=0))
