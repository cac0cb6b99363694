"""Levels of factors in which a voxel has no event, or nothing else: the usual separation of lesion maps.

The coefficients that belong to such a level's indicator run to infinity, whatever the other rows are. Where those
overlap among themselves, the cone of all infinite directions depends on which levels are pure alone, so that it is
sought once for all voxels of that kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.spatial import ConvexHull, QhullError

from formula_neuro.family import Array
from formula_neuro.kernels.cone import recession_cone
from formula_neuro.kernels.rank import column_norms
from formula_neuro.kernels.separation import SIGMOID

from .design import Rows
from .estimates import OPEN


@dataclass(frozen=True, eq=False)
class Cells:
    """Row masks (k, n) whose indicators the design's columns span."""

    masks: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Rows) -> Cells:
        """Both levels of columns of two values, and what is left over by columns that exclude each other."""
        X, n = rows.X, len(rows.Q)
        found: list[NDArray[np.bool_]] = []
        factor = np.zeros(n, dtype=bool)
        for x in X.T:
            low, high = x.min(initial=0.0), x.max(initial=0.0)
            tie = 1e-9 * max(abs(low), abs(high), 1e-300)
            upper, lower = x > high - tie, x < low + tie
            if not (upper | lower).all() or high - low <= tie:
                continue
            factor = factor | upper if not (factor & upper).any() else upper
            found += [upper, lower, ~factor]
        spanned = [m for m in found if _in_span(rows.Q, m) and 0 < m.sum() < n]
        return cls(np.unique(np.array(spanned), axis=0) if spanned else np.zeros((0, n), dtype=bool))

    def pure(self, rows: Rows, Y: NDArray[Any]) -> NDArray[np.int8]:
        """(C, k) -1 for masks without an event, 1 for masks of nothing but events where these have a limit, else 0."""
        if not len(self.masks):
            return np.zeros((len(Y), 0), dtype=np.int8)
        pure = -_none(Y > 0, self.masks).astype(np.int8)
        if rows.family.link.name in SIGMOID:
            pure += _none(Y < 1, self.masks).astype(np.int8)
        return pure


def _none(which: NDArray[np.bool_], masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(C, k) where no row of a mask (k, n) is marked in which (C, n)."""
    bits = np.packbits(which, axis=1)
    return np.column_stack([~(bits & mask).any(axis=1) for mask in np.packbits(masks, axis=1)])


def _in_span(Q: Array, mask: NDArray[np.bool_]) -> bool:
    m = mask.astype(float)
    return bool(np.abs(m - Q @ (Q.T @ m) / len(Q)).max(initial=0.0) < 1e-8)


def signs_of(rows: Rows, sides: NDArray[np.int8]) -> NDArray[np.int8]:
    """(r,) signs of infinite coefficients; rows of side 0 (n,) overlap among themselves, the others are pure."""
    X = rows.X / column_norms(rows.X)
    _, size, ways = np.linalg.svd(np.linalg.qr(X[sides == 0], mode="r"))
    others = ways[: len(size)][
        size > 1e-9 * size[0]
    ]  # says as well which directions leave the other rows where they are
    own = _extreme(X[sides != 0] * sides[sides != 0][:, None], others)
    cone = recession_cone(np.vstack([others, own]), np.r_[np.zeros(len(others)), np.ones(len(own))])
    if cone is None:
        return np.zeros(rows.rank, dtype=np.int8)
    return np.where(cone.infinite, np.where(cone.sign == 0, OPEN, cone.sign), 0).astype(np.int8)


def _extreme(A: Array, others: Array) -> Array:
    """The rows of A (m, r) that decide which z with others z = 0 have A z >= 0: corners of their convex hull.

    Levels are spanned by columns, so that some z takes all rows of A to 1: seen along it, they are points.
    """
    N = null_space(others, rcond=1e-9)
    points, *_ = np.linalg.lstsq(A @ N, np.ones(len(A)), rcond=None)
    along = A @ N @ points
    if N.shape[1] == 0 or along.min() <= 0:
        return A
    places = A @ N @ null_space(points[None]) / along[:, None]
    if N.shape[1] == 1:
        return A[:1]
    if N.shape[1] == 2:
        return A[[places.argmin(), places.argmax()]]
    try:
        return np.asarray(A[ConvexHull(places).vertices])
    except QhullError:  # the points lie in fewer dimensions
        return A
