"""The two colours of a mask's graph: voxels of either parity, which have neighbours in the other alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from formula_neuro.family import Array

from .graph import MaskGraph

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Halves:
    """V voxels as `first` (F,) and `second` (V - F,), with n_s neighbours (V,) and the adjacency (V, V).

    `rows` and `columns` (E,) say which voxels of the second and of the first an edge joins, in the rows' order. A
    sparse matrix of P x P blocks at the edges has `indptr` and `indices`, and `order` (E P P,) takes blocks' numbers
    to their places there.
    """

    first: Indices
    second: Indices
    n_s: Array
    adjacency: sparse.csr_array
    rows: Indices
    columns: Indices
    indptr: NDArray[np.int32]
    indices: NDArray[np.int32]
    order: Indices

    @classmethod
    def of(cls, graph: MaskGraph, P: int) -> Halves:
        first, second = np.flatnonzero(graph.parity == 0), np.flatnonzero(graph.parity == 1)
        place = np.empty(graph.size, dtype=np.intp)
        place[first], place[second] = np.arange(len(first)), np.arange(len(second))
        s, t = graph.edges.T
        turned = graph.parity[s] == 0
        rows, columns = place[np.where(turned, t, s)], place[np.where(turned, s, t)]
        sorted_ = np.lexsort((columns, rows))
        rows, columns = rows[sorted_], columns[sorted_]
        return cls(first, second, graph.n_s, graph.adjacency, rows, columns, *_pattern(rows, columns, len(second), P))

    def matrix(self, blocks: Array) -> sparse.csr_array:
        """The matrix ((V - F) P, F P) of blocks (E, P, P)."""
        P = blocks.shape[1]
        shape = (len(self.second) * P, len(self.first) * P)
        return sparse.csr_array((blocks.ravel()[self.order], self.indices, self.indptr), shape=shape)


def _pattern(rows: Indices, columns: Indices, n: int, P: int) -> tuple[NDArray[np.int32], NDArray[np.int32], Indices]:
    """Row starts and column indices of P x P blocks, and where in the blocks (E, P, P) each number is found."""
    p = np.arange(P)
    row = (rows[:, None, None] * P + p[:, None]).repeat(P, axis=2)
    column = np.broadcast_to(columns[:, None, None] * P + p, row.shape)
    order = np.lexsort((column.ravel(), row.ravel()))
    starts = np.concatenate([[0], np.cumsum(np.bincount(row.ravel(), minlength=n * P))])
    return starts.astype(np.int32), column.ravel()[order].astype(np.int32), order
