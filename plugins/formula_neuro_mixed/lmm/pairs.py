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
    if (sizes * (sizes + 1) // 2).sum() * K * (K + 1) / 2 > LISTED:
        return Multiplied(Z12, L, K, B, m)
    return _listed(Z12, pattern, sizes, K, B, m)


@dataclass(frozen=True, eq=False)
class Listed:
    """One sparse (B m m, L) matrix for every pair of columns x <= y of the eliminated factor.

    Each holds half of a symmetric matrix: what is above the diagonal, and half of the diagonal.
    """

    K: int
    B: int
    m: int
    matrices: tuple[tuple[int, int, sparse.csc_array], ...]
    transposed: tuple[sparse.csr_array, ...]  # the same memory

    def fold(self, W: Array) -> Array:
        flat = sum(matrix @ np.ascontiguousarray(W[:, x, y]) for x, y, matrix in self.matrices)
        half = np.asarray(flat).reshape(self.B, self.m, self.m)
        return np.asarray(half + half.transpose(0, 2, 1))

    def unfold(self, T: Array) -> Array:
        flat = T.ravel()
        out = np.empty((self.matrices[0][2].shape[1], self.K, self.K))
        for (x, y, _), transposed in zip(self.matrices, self.transposed, strict=True):
            out[:, x, y] = out[:, y, x] = (transposed @ flat) * (2 if x == y else 1)
        return out


def _listed(Z12: sparse.csr_array, pattern: sparse.csr_array, sizes: np.ndarray, K: int, B: int, m: int) -> Listed:
    """Every entry of a level with itself and those after it, level by level."""
    L, nnz = len(sizes), pattern.nnz
    kind = np.int32 if B * m * m < 2**31 else np.int64
    partners = np.repeat(pattern.indptr[1:], sizes) - np.arange(nnz)  # of each entry
    own = np.cumsum(partners) - partners  # where the pair of each entry with itself stands
    second = np.arange(partners.sum(), dtype=kind) + np.repeat((np.arange(nnz) - own).astype(kind), partners)
    columns = pattern.indices.astype(kind)
    places = np.repeat(columns * m, partners)  # block * m m + row * m + column
    places += (columns % m)[second]
    indptr = np.concatenate([[0], np.cumsum(sizes * (sizes + 1) // 2)])
    rows = np.repeat(np.arange(L), sizes)
    values = [_values(Z12, rows, columns, x, K) for x in range(K)]
    matrices = []
    for x in range(K):
        for y in range(x, K):
            data = np.repeat(values[x], partners) * values[y][second]
            if x != y:
                data += np.repeat(values[y], partners) * values[x][second]
            data[own] /= 2
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
