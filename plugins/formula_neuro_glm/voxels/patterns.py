"""Voxels whose responses are the same: one of them is fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def distinct(Y: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first voxel of each pattern in Y (C, n), and for every voxel which pattern is its own, (C,).

    >>> first, place = distinct(np.array([[0, 1], [1, 1], [0, 1]], dtype=np.uint8))
    >>> first.tolist(), place.tolist()
    ([0, 1], [0, 1, 0])
    """
    if Y.dtype != np.uint8:
        return np.arange(len(Y)), np.arange(len(Y))
    seen: dict[bytes, int] = {}
    bits = np.packbits(Y, axis=1)
    place = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in bits], dtype=np.intp)
    first = np.zeros(len(seen), dtype=np.intp)
    first[place[::-1]] = np.arange(len(Y))[::-1]
    return first, place
