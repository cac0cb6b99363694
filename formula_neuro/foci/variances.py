"""Variances of maps, unknown over studies where a map rests on one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..family import Array

if TYPE_CHECKING:
    from .fit import FociFit


def map_variance(fit: FociFit, R: Array, covariance: str, what: str = "intensity") -> Array:
    """Covariances of the maps R b, R (k, C), in every voxel, (V, k, k).

    NaN where covariance="robust" and a row rests on a cell of a single study, whose score is 0 as the cell fits it
    exactly: a variance over studies does not exist.
    """
    found = fit.engine.variance(R, covariance, what)
    alone = resting_on_one(fit, R) if covariance == "robust" else np.zeros(len(R), dtype=bool)
    if alone.any():
        found = np.where(alone[:, None] | alone[None, :], np.nan, found)
    return found


def resting_on_one(fit: FociFit, R: Array) -> NDArray[np.bool_]:
    """Which rows R (k, C) have a weight on a map, or cell, that the analyses of one study alone determine, (k,)."""
    request = fit.request
    patterns = np.stack(list(request.cells.values()))
    if patterns.shape[0] == patterns.shape[1]:  # as many maps as cells: each cell is by itself
        weights = R @ np.linalg.inv(patterns)
        members = [request.group == g for g in range(len(patterns))]
    else:
        weights, members = R, [column != 0 for column in request.L.T]
    lone = np.array([len(np.unique(request.cluster[rows])) < 2 for rows in members])
    return np.asarray((np.abs(weights[:, lone]) > 1e-9).any(axis=1))
