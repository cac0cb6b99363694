"""Relative covariance factors: lme4's theta and the lower-triangular templates that it fills.

Each random term has a K x K template L with Cov(u) = sigma^2 L L'; theta holds the lower triangles
column by column, one term after the other (Bates et al. 2015, section 2).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..family import Array


@cache
def positions(K: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a template's free elements, in theta's order.

    >>> [(int(i), int(j)) for i, j in zip(*positions(2))]
    [(0, 0), (1, 0), (1, 1)]
    """
    columns, rows = np.triu_indices(K)
    return rows, columns


def template(theta: Array, K: int) -> Array:
    """The (K, K) lower-triangular template of one term's theta.

    >>> template(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [[1.0, 0.0], [2.0, 3.0]]
    """
    L = np.zeros((K, K))
    L[positions(K)] = theta
    return L


def vech(L: Array) -> Array:
    """The lower triangle of a (K, K) matrix column by column: template's inverse."""
    return np.asarray(L[positions(len(L))])


def lower_factor(F: Array) -> Array:
    """The lower-triangular L with L L' = F F' and no negative diagonal, also where F is singular.

    Rounding dust (below 1e-12 of its row) becomes 0, so that a singular template is exactly singular.
    """
    if F.size == 1:
        return np.abs(F)
    if F.shape == (2, 2):
        return _two(*F.ravel().tolist())
    L = np.linalg.qr(F.T)[1].T
    L = L * np.where(np.diag(L) < 0, -1.0, 1.0)
    length = np.sqrt((L**2).sum(axis=1, keepdims=True))
    return np.asarray(np.where(np.abs(L) < 1e-12 * length, 0.0, L))


def _two(a: float, b: float, c: float, d: float) -> Array:
    """The same of [[a, b], [c, d]], for which LAPACK would take ten times as long."""
    first, second = math.hypot(a, b), math.hypot(c, d)
    if first == 0:
        return np.array([[0.0, 0.0], [0.0, second]])
    a, b = a / first, b / first
    across, last = a * c + b * d, abs(a * d - b * c)
    dust = 1e-12 * second
    return np.array([[first, 0.0], [across if abs(across) > dust else 0.0, last if last > dust else 0.0]])
