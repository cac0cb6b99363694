"""Clusters of voxels that touch: where they lie, how large they are, and what an atlas calls the place."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import DataError
from ...family import Array

if TYPE_CHECKING:
    from ...images.brain import Brain
    from .threshold import Thresholded

# neighbours by faces; by edges as well; by corners as well
STRUCTURES = {n: ndimage.generate_binary_structure(3, k) for k, n in ((1, 6), (2, 18), (3, 26))}
COLUMNS = ("cluster", "sign", "voxels", "mm3", "peak_z", "p_adjusted", "x", "y", "z")


def cluster_table(found: Thresholded, atlas: Any = None, labels: Any = None) -> pd.DataFrame:
    """One row a cluster, the strongest first; each sign by itself.

    Columns: cluster, sign, voxels, mm3, peak_z, p_adjusted (of the peak), x, y, z (of the peak, mm in the images'
    world), and with an atlas: region (of the peak) and share (of the cluster that lies in it). labels: names in the
    order of the numbers, from 0, by number, or a table with the columns index and name.
    """
    contrast = found.contrast
    brain = contrast.fit.brain
    z = contrast.values["z"]
    regions = None if atlas is None else regions_of(brain, atlas)
    if isinstance(labels, pd.DataFrame):
        labels = _of_table(labels)
    rows = []
    world, volume = brain.world, float(abs(np.linalg.det(brain.grid.affine[:3, :3])))
    for sign, inside in members(found):
        peak = inside[np.argmax(np.abs(z[inside]))]
        row = [sign, len(inside), len(inside) * volume, z[peak], found.adjusted[peak], *world[peak]]
        rows.append((row, _region(regions, inside, peak, labels)))
    table = pd.DataFrame([[k, *row] for k, (row, _) in enumerate(rows, start=1)], columns=list(COLUMNS))
    table["sign"] = np.where(table["sign"] > 0, "+", "-")
    if regions is not None:
        table["region"] = [name for _, (name, _) in rows]
        table["share"] = [share for _, (_, share) in rows]
    return table


def members(found: Thresholded) -> list[tuple[int, NDArray[np.intp]]]:
    """The sign and the analysed voxels of each cluster, the strongest first; a joint test has no sides."""
    contrast = found.contrast
    brain, z = contrast.fit.brain, contrast.values["z"]
    clusters = []
    for sign in (1, -1) if contrast.signed else (1,):
        side = found.kept & (np.sign(z) == sign) if contrast.signed else found.kept
        names, count = ndimage.label(brain.unmask(side.astype(float), fill=0.0) > 0, STRUCTURES[found.connectivity])
        own = names.ravel()[brain.voxels]
        order = np.argsort(own, kind="stable")
        starts = np.searchsorted(own[order], np.arange(1, count + 2))
        clusters += [(sign, order[first:last]) for first, last in pairwise(starts)]
    return sorted(clusters, key=lambda cluster: -float(np.abs(z[cluster[1]]).max()))


def regions_of(brain: Brain, atlas: Any) -> Array:
    """The number that an atlas gives each analysed voxel, (V,): the nearest voxel of it; 0 outside."""
    import nibabel as nib

    loaded: Any = atlas if hasattr(atlas, "dataobj") else nib.load(atlas)
    numbers = np.asarray(loaded.dataobj)
    if numbers.ndim == 4 and numbers.shape[3] == 1:
        numbers = numbers[..., 0]
    if numbers.ndim != 3 or (numbers != np.round(numbers)).any():
        raise DataError(
            f"an atlas is one image of whole numbers, a region each; this one has shape {numbers.shape}"
            + ("" if numbers.ndim != 3 else " and other values (a probabilistic atlas? take its maximum first)")
        )
    inverse = np.linalg.inv(loaded.affine)
    there = np.round(brain.world @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = ((there >= 0) & (there < numbers.shape)).all(axis=1)
    found = np.zeros(len(brain.voxels))
    found[inside] = numbers[tuple(there[inside].T)]
    return found


def _of_table(labels: pd.DataFrame) -> dict[int, str]:
    """Names by number, from a table with the columns "index" and "name", as the atlases of nilearn have."""
    if not {"index", "name"} <= set(labels.columns):
        raise DataError(
            f"a table of labels has the columns index and name; this one has {', '.join(map(str, labels.columns))}"
        )
    return {int(number): str(name) for number, name in zip(labels["index"], labels["name"], strict=True)}


def _region(regions: Array | None, inside: Any, peak: int, labels: Any) -> tuple[str, float]:
    """The name of the peak's region, and the share of the cluster within it."""
    if regions is None:
        return "", float("nan")
    number = int(regions[peak])
    share = float((regions[inside] == number).mean())
    if number == 0:
        return "", share
    if isinstance(labels, Mapping):
        return str(labels.get(number, number)), share
    if labels is not None and number < len(labels):
        return str(labels[number]), share
    return str(number), share
