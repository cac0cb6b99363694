"""The voxels of a mask as a graph: neighbours are those that share a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from formula_neuro.family import Array

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class MaskGraph:
    """V voxels with their edges (E, 2) s < t, n_s neighbours each (V,), parity (V,) and number of component (V,).

    `places` (V, axes) are their indices i, j, k in the grid.

    Parity is that of i + j + k: voxels of one parity have no edge among themselves. Components are numbered by their
    size, 0 the largest.
    """

    edges: Indices
    n_s: Array
    parity: NDArray[np.int8]
    component: NDArray[np.int32]
    places: Indices

    @classmethod
    def of(cls, voxels: Indices, shape: tuple[int, ...]) -> MaskGraph:
        """The graph of ascending C-order flat indices (V,) of a grid.

        >>> MaskGraph.of(np.array([0, 1, 2, 5]), (3, 3)).edges.tolist()
        [[2, 3], [0, 1], [1, 2]]
        """
        V, place = len(voxels), np.full(int(np.prod(shape)), -1, dtype=np.int64)
        place[voxels] = np.arange(V)
        at = np.array(np.unravel_index(voxels, shape))
        pairs = []
        for axis, size in enumerate(shape):
            s = np.flatnonzero(at[axis] < size - 1)
            t = place[voxels[s] + int(np.prod(shape[axis + 1 :]))]
            pairs.append(np.column_stack([s, t])[t >= 0])
        edges = np.concatenate(pairs)
        n_s = np.bincount(edges.ravel(), minlength=V).astype(np.float64)
        return cls(edges, n_s, (at.sum(axis=0) % 2).astype(np.int8), _components(edges, V), at.T.astype(np.int64))

    @property
    def size(self) -> int:
        return len(self.n_s)

    @property
    def components(self) -> NDArray[np.int64]:
        """Voxels of every component, the largest first."""
        return np.bincount(self.component)

    @property
    def adjacency(self) -> sparse.csr_array:
        """(V, V) 1 for neighbours."""
        s, t = self.edges.T
        ones = np.ones(2 * len(s))
        return sparse.csr_array((ones, (np.r_[s, t], np.r_[t, s])), shape=(self.size, self.size))

    @property
    def incidence(self) -> sparse.csr_array:
        """(V, E) 1 at the first voxel of an edge and -1 at the second: B B' is the graph's Laplacian."""
        s, t = self.edges.T
        e = np.arange(len(s))
        ones = np.ones(len(s))
        return sparse.csr_array((np.r_[ones, -ones], (np.r_[s, t], np.r_[e, e])), shape=(self.size, len(s)))


def _components(edges: Indices, V: int) -> NDArray[np.int32]:
    ones = np.ones(len(edges), dtype=np.int8)
    _, label = connected_components(sparse.csr_array((ones, (edges[:, 0], edges[:, 1])), shape=(V, V)), directed=False)
    rank = np.empty(label.max(initial=0) + 1, dtype=np.int32)
    rank[np.argsort(-np.bincount(label), kind="stable")] = np.arange(len(rank))
    return rank[label]
