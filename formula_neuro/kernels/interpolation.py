"""Few rows from which functions at all rows follow: an interpolative decomposition.

Functions f_1..f_M of a row, each smooth, span numerically a space of few dimensions k. Then k of the n rows can be
chosen with weights L (n, k) such that f_j(i) = sum_k L_ik f_j(k) for all of them (Cheng, Gimbutas, Martinsson and
Rokhlin 2005, SIAM Journal on Scientific Computing 26, 1389), and so for other functions of the same space.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ..family import Array

FAR = 2.0  # weight of a row from which it lies beyond the chosen ones
ADDED = 500  # such rows that join the choice at a time
ROUNDS = 10


def interpolation(F: Array, tolerance: float, choice: int = 2000) -> tuple[NDArray[np.intp], Array]:
    """The chosen rows (k,) and L (n, k) with F = L F[rows] but for `tolerance` of the largest row; F is (n, M).

    Rows are taken greedily, each the furthest from what those before it span (QR with pivots of F'). Of many rows they
    are chosen among `choice` of them and those that lie beyond these, which would need large weights.

    >>> x = np.linspace(0, 1, 50)
    >>> rows, L = interpolation(np.column_stack([x**0, x, x**2]), 1e-12)
    >>> len(rows), bool(np.allclose(L @ x[rows] ** 2, x**2))
    (3, True)
    """
    among = np.arange(0, len(F), -(-len(F) // choice))
    for _ in range(ROUNDS):
        rows = _chosen(F, tolerance, among)
        Q, R = np.linalg.qr(F[rows].T)
        L = linalg.solve_triangular(R, Q.T @ F.T).T
        L[rows] = np.eye(len(rows))
        largest = np.abs(L).max(axis=1)
        far = np.flatnonzero(largest > FAR)
        if not len(np.setdiff1d(far, among)):
            break
        among = np.union1d(among, far[np.argsort(-largest[far])[:ADDED]])
    return rows, L


def _chosen(F: Array, tolerance: float, among: NDArray[np.intp]) -> NDArray[np.intp]:
    R, pivots = linalg.qr(F[among].T, mode="r", pivoting=True)
    size = np.abs(np.diagonal(R))
    return np.asarray(among[pivots[: int((size > tolerance * size[0]).sum())]], dtype=np.intp)
