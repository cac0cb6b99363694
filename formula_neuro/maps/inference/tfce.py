"""Threshold-free cluster enhancement (Smith and Nichols 2009), exactly.

    TFCE(v) = integral from 0 to h_v of e_v(h)^E h^H dh

with e_v(h) the number of voxels in the cluster above height h that holds v. Clusters merge at the edges of a spanning
tree of the highest bottlenecks, so that e_v is constant between the merges and the integral a sum: no step of height.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import minimum_spanning_tree

from ...family import Array
from .clusters import STRUCTURES

if TYPE_CHECKING:
    from ...images.brain import Brain
    from ...images.stack import Images

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Pairs of analysed voxels that touch: their numbers `one` and `other`, among V."""

    voxels: int
    one: Indices
    other: Indices

    @classmethod
    def of(cls, brain: Brain | Images, connectivity: int) -> Neighbours:
        """The pairs of the analysed voxels by 6, 18 or 26 neighbours."""
        shape = brain.grid.shape
        number = np.full(np.add(shape, 2), -1, dtype=np.intp)  # with a border, so that no shift runs over an edge
        place = tuple(axis + 1 for axis in np.unravel_index(brain.voxels, shape))
        number[place] = np.arange(len(brain.voxels))
        pairs = []
        for shift in product((-1, 0, 1), repeat=3):
            if shift > (0, 0, 0) and STRUCTURES[connectivity][tuple(s + 1 for s in shift)]:
                there = number[tuple(axis + s for axis, s in zip(place, shift, strict=True))]
                pairs.append(np.stack([np.flatnonzero(there >= 0), there[there >= 0]]))
        one, other = np.concatenate(pairs, axis=1)
        return cls(len(brain.voxels), one, other)


def enhanced(h: Array, pairs: Neighbours, E: float = 0.5, H: float = 2.0) -> Array:
    """TFCE of heights h (V,), each sign by itself and with its sign; NaN counts as 0.

    >>> line = Neighbours(3, np.array([0, 1]), np.array([1, 2]))
    >>> enhanced(np.array([1.0, 2.0, -3.0]), line).round(4).tolist()  # sqrt(2) / 3, that + 7 / 3, -9
    [0.4714, 2.8047, -9.0]
    """
    h = np.nan_to_num(h, nan=0.0)
    return _above(h, pairs, E, H) - _above(-h, pairs, E, H)


def _above(h: Array, pairs: Neighbours, E: float, H: float) -> Array:
    """TFCE of the positive heights (V,), 0 elsewhere."""
    found = np.zeros(len(h))
    inside = np.flatnonzero(h > 0)
    if not len(inside):
        return found
    number = np.full(len(h), -1, dtype=np.intp)
    number[inside] = np.arange(len(inside))
    both = (h[pairs.one] > 0) & (h[pairs.other] > 0)
    one, other = number[pairs.one[both]], number[pairs.other[both]]
    parent, size, height = _merges(h[inside], one, other)
    above = np.append(height, 0.0)[parent] ** (H + 1)  # the last is what nothing lies under: height 0
    share = size**E * (height ** (H + 1) - above) / (H + 1)
    found[inside] = _down(share, parent)[: len(inside)]
    return found


def _merges(h: Array, one: Indices, other: Indices) -> tuple[Indices, Array, Array]:
    """Clusters as heights fall: each one's successor, size and the height at which it begins, single voxels first."""
    n = len(h)
    low = np.minimum(h[one], h[other])
    graph = sparse.csr_array((1.0 + h.max() - low, (one, other)), shape=(n, n))
    tree = minimum_spanning_tree(graph).tocoo()
    order = np.argsort(tree.data, kind="stable")
    first, second = tree.row[order], tree.col[order]
    at = np.minimum(h[first], h[second])
    up, cluster = list(range(n)), list(range(n))
    parent, size = [-1] * (n + len(order)), [1] * n
    for new, (i, j) in enumerate(zip(first.tolist(), second.tolist(), strict=True), start=n):
        while up[i] != i:
            up[i] = i = up[up[i]]
        while up[j] != j:
            up[j] = j = up[up[j]]
        a, b = cluster[i], cluster[j]
        if size[a] < size[b]:
            i, j = j, i
        up[j] = i
        cluster[i] = new
        parent[a] = parent[b] = new
        size.append(size[a] + size[b])
    return np.array(parent), np.array(size, dtype=float), np.concatenate([h, at])


def _down(share: Array, parent: Indices) -> Array:
    """Each cluster's share and those of all that it becomes part of: by doubling the distance looked ahead."""
    total, ahead = np.append(share, 0.0), np.append(parent, -1)
    ahead[ahead < 0] = len(share)
    while (ahead < len(share)).any():
        total, ahead = total + total[ahead], ahead[ahead]
    return total[:-1]
