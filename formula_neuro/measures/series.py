"""What counts as a series."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..family import Array


def as_series(given: Any, what: str = "the series", samples: int = 2, why: str = "") -> Array:
    """Finite numbers (time, node); a single series is a column. Raises DataError."""
    try:
        found = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what} cannot be read as numbers; an array (time, node) is expected") from None
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2:
        raise DataError(f"{what} has the shape {found.shape}; (time, node) is expected")
    if len(found) < samples:
        raise DataError(f"{what} has {len(found)} samples in time; {samples} or more are expected{why}")
    gone = ~np.isfinite(found)
    if gone.any():
        raise DataError(f"{what} has {int(gone.sum())} missing or infinite values in {int(gone.any(0).sum())} nodes")
    return found


def as_matrix(given: Any, what: str) -> Array:
    """Numbers (n, n). Raises DataError."""
    found = np.asarray(given, dtype=np.float64)
    if found.ndim != 2 or found.shape[0] != found.shape[1] or len(found) < 2:
        raise DataError(f"{what} has the shape {found.shape}; a square matrix of 2 rows or more is expected")
    return found


def triangle(matrix: Array) -> Array:
    """The values above the diagonal, row by row."""
    return matrix[np.triu_indices(len(matrix), k=1)]
