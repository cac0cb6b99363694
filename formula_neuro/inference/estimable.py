"""Which rows of new data an aliased design can answer for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq

from ..family import Array

TOLERANCE = 1e-7  # that of a rank: what broke it in training must hold in the new rows to the same digits


def estimable(trained: Array, kept: NDArray[np.bool_], X: Array) -> NDArray[np.bool_]:
    """Which rows x of X (n, p) are combinations of the rows of `trained` (m, p), so that x b is one number, (n,).

    A column without a coefficient is X_kept C in training; x is estimable where its own dropped columns are x_kept C
    too (Searle 1971, section 5.4). Rows with a missing value pass.

    >>> trained = np.array([[1.0, 1, 2], [1, 2, 4], [1, 3, 6]])
    >>> estimable(trained, np.array([True, True, False]), np.array([[1.0, 5, 10], [1, 5, 9]])).tolist()
    [True, False]
    """
    if kept.all():
        return np.ones(len(X), dtype=bool)
    norms = np.linalg.norm(trained[:, kept], axis=0)
    C = lstsq(trained[:, kept] / norms, trained[:, ~kept])[0] / norms[:, None]
    gap = np.abs(X[:, ~kept] - X[:, kept] @ C)
    size = np.abs(X[:, ~kept]) + np.abs(X[:, kept]) @ np.abs(C)
    return ~(gap > TOLERANCE * size).any(axis=1)
