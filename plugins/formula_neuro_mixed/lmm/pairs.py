"""Sums over the levels of the eliminated factor of products of pairs of effects that meet there.

With z_b the rows of Z1'Z2 that belong to level b, (K, B m), `fold` is sum_b z_b' W_b z_b and `unfold` is z_b T z_b'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from formula_neuro.family import Array

LISTED = 3e7  # pairs up to which they are listed, at 12 bytes each; beyond, sparse matrices are multiplied anew
CHUNK = 1e7  # elements of a dense chunk


class Pairs(Protocol):
    def fold(self, W: Array) -> Array:
        """(B, m, m) from symmetric W (L, K, K)."""

    def unfold(self, T: Array) -> Array:
        """(L, K, K) from symmetric T (B, m, m)."""


def pairs_of(Z12: sparse.csr_array, L: int, K: int, B: int, m: int) -> Pairs:
    """Z12 (L * K, B * m), of which a row has entries in one block only."""
    if K == 1:
        pattern = Z12
    else:  # the same columns in each of a level's K rows
        pattern = sparse.csr_array((np.ones(Z12.nnz), Z12.indices.copy(), Z12.indptr[::K].copy()), shape=(L, B * m))
        pattern.sum_duplicates()
    sizes = np.diff(pattern.indptr).astype(np.int64)
    if (sizes**2).sum() * K * (K + 1) / 2 > LISTED:
        return Multiplied(Z12, L, K, B, m)
    return _listed(Z12, pattern, sizes, K, B, m)


@dataclass(frozen=True, eq=False)
class Listed:
    """One sparse (B m m, L) matrix for every pair of columns x <= y of the eliminated factor."""

    K: int
    B: int
    m: int
    matrices: tuple[tuple[int, int, sparse.csc_array], ...]
    transposed: tuple[sparse.csr_array, ...]  # the same memory

    def fold(self, W: Array) -> Array:
        out = sum(matrix @ np.ascontiguousarray(W[:, x, y]) for x, y, matrix in self.matrices)
        return np.asarray(out).reshape(self.B, self.m, self.m)

    def unfold(self, T: Array) -> Array:
        flat = T.ravel()
        out = np.empty((self.matrices[0][2].shape[1], self.K, self.K))
        for (x, y, _), transposed in zip(self.matrices, self.transposed, strict=True):
            out[:, x, y] = out[:, y, x] = (transposed @ flat) / (1 if x == y else 2)
        return out


def _listed(Z12: sparse.csr_array, pattern: sparse.csr_array, sizes: np.ndarray, K: int, B: int, m: int) -> Listed:
    """Every ordered pair of the entries of a level, level by level."""
    L, nnz = len(sizes), pattern.nnz
    level = np.repeat(np.arange(L), sizes)
    partners = sizes[level]  # of each entry
    first = np.repeat(np.arange(nnz), partners)
    within = np.arange(len(first)) - np.repeat(np.cumsum(partners) - partners, partners)
    second = pattern.indptr[:-1].astype(np.int64)[level[first]] + within
    columns = pattern.indices.astype(np.int64)
    places = columns[first] * m + columns[second] % m  # block * m m + row * m + column
    indptr = np.concatenate([[0], np.cumsum(sizes**2)])
    rows = np.repeat(np.arange(L), sizes)
    values = [_values(Z12, rows, columns, x, K) for x in range(K)]
    matrices = []
    for x in range(K):
        for y in range(x, K):
            data = values[x][first] * values[y][second]
            if x != y:
                data += values[y][first] * values[x][second]
            matrices.append((x, y, sparse.csc_array((data, places, indptr), shape=(B * m * m, L))))
    return Listed(K, B, m, tuple(matrices), tuple(matrix.T for _, _, matrix in matrices))


def _values(Z12: sparse.csr_array, rows: np.ndarray, columns: np.ndarray, x: int, K: int) -> Array:
    """The entries of each level's row x in the columns of the level's pattern."""
    return Z12.data if K == 1 else np.asarray(Z12[rows * K + x, columns]).ravel()


@dataclass(frozen=True, eq=False)
class Multiplied:
    """The same by sparse products, where the pairs are too many to be listed."""

    Z12: sparse.csr_array
    L: int
    K: int
    B: int
    m: int

    def fold(self, W: Array) -> Array:
        product = (self.Z12.T @ (_block_diagonal(W) @ self.Z12)).tocoo()
        row, column = product.coords
        out = np.zeros(self.B * self.m * self.m)
        out[row.astype(np.int64) * self.m + column % self.m] = product.data
        return out.reshape(self.B, self.m, self.m)

    def unfold(self, T: Array) -> Array:
        out = np.empty((self.L, self.K, self.K))
        wide = sparse.bsr_array((T, np.arange(self.B), np.arange(self.B + 1))) if self.B > 1 else T[0]
        step = max(1, int(CHUNK / (self.K * self.m)))
        for start in range(0, self.L, step):
            z = self.Z12[start * self.K : (start + step) * self.K]
            zT = z @ wide
            for x in range(self.K):
                for y in range(self.K):
                    out[start : start + step, x, y] = (z[x :: self.K] * zT[y :: self.K]).sum(axis=1)
        return out


def _block_diagonal(W: Array) -> sparse.bsr_array:
    return sparse.bsr_array((W, np.arange(len(W)), np.arange(len(W) + 1)))
