"""Which columns say something that the columns before them do not."""

from __future__ import annotations

import numpy as np

from ..family import Array

SMALL = 1e-7  # of a column's length, that is left of it beside those before: R's lm() takes the same


def independent(columns: Array, before: Array | None = None) -> tuple[int, ...]:
    """The places of those of `columns` (n, p) that are no combinations of earlier ones, nor of `before` (n, k).

    >>> independent(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 2.0], [1.0, 1.0, 5.0]]))
    (0, 2)
    """
    n = len(columns)
    basis = np.zeros((n, 0)) if before is None else _orthonormal(before)
    kept = []
    for j, column in enumerate(np.asarray(columns, dtype=np.float64).T):
        length = float(np.linalg.norm(column))
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # twice: once leaves rounding errors of the size of what is sought
        left = float(np.linalg.norm(rest))
        if length > 0 and left > SMALL * length:
            kept.append(j)
            basis = np.column_stack([basis, rest / left])
    return tuple(kept)


def _orthonormal(columns: Array) -> Array:
    """An orthonormal basis of the columns' span."""
    scale = np.linalg.norm(columns, axis=0)
    u, s, _ = np.linalg.svd(columns[:, scale > 0] / scale[scale > 0], full_matrices=False)
    return np.asarray(u[:, s > SMALL * max(s[0], 1.0)] if len(s) else u)
