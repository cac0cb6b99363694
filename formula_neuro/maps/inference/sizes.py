"""What joint draws say of the clusters of a thresholded map: shares of their voxels, and their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from ...family import Array
from .clusters import STRUCTURES, members

if TYPE_CHECKING:
    from .threshold import Thresholded

COLUMNS = ("all_beyond", "beyond", "beyond_low", "size", "size_low", "size_high")


def cluster_beliefs(found: Thresholded, draws: NDArray[np.floating[Any]], conf_level: float) -> pd.DataFrame:
    """found.to_frame() with what draws (V, n), in standard deviations from the value, say; see Excursions.clusters."""
    table = found.to_frame()
    rows = []
    clusters = members(found)
    sizes = {sign: cluster_sizes(found, draws, sign, [v for s, v in clusters if s == sign]) for sign in (1, -1)}
    seen = {1: 0, -1: 0}
    for sign, inside in clusters:
        share = (draws[inside] * sign > 0).mean(axis=0)
        size = sizes[sign][seen[sign]]
        seen[sign] += 1
        low, high = np.quantile(size, [(1 - conf_level) / 2, (1 + conf_level) / 2], method="inverted_cdf")
        bound = np.quantile(share, 1 - conf_level, method="inverted_cdf")
        rows.append([(share == 1).mean(), share.mean(), bound, size.mean(), low, high])
    return table.join(pd.DataFrame(rows, columns=list(COLUMNS), index=table.index, dtype=float))


def cluster_sizes(
    found: Thresholded, draws: NDArray[np.floating[Any]], sign: int, clusters: list[NDArray[np.intp]]
) -> Array:
    """(C, n) voxels of the largest cluster of each draw that shares a voxel with each of C clusters; 0 for none."""
    sizes = np.zeros((len(clusters), draws.shape[1]))
    if not clusters:
        return sizes
    brain, structure = found.contrast.fit.brain, STRUCTURES[found.connectivity]
    for k in range(draws.shape[1]):
        beyond = brain.unmask((draws[:, k] * sign >= found.height).astype(float), fill=0.0) > 0
        names = ndimage.label(beyond, structure)[0].ravel()
        size = np.bincount(names)
        size[0] = 0
        for c, inside in enumerate(clusters):
            sizes[c, k] = size[names[brain.voxels[inside]]].max()
    return sizes
