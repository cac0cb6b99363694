"""Which voxels foci fall into, and which foci lie outside the mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..family import Array
from ..images.brain import Brain
from .request import Located
from .table import Foci


@dataclass(frozen=True, eq=False)
class Outside:
    """Foci outside the mask: `foci` (J,) says which of all, `studies` has study, outside, foci for studies with any."""

    foci: NDArray[np.bool_]
    studies: pd.DataFrame


def located(foci: Foci, brain: Brain) -> tuple[Located, Outside]:
    """The foci inside the mask with their voxels, and the others counted by study.

    A focus belongs to the voxel whose centre is nearest; half-way between two, to the one of the even index (as numpy
    rounds, and NiMARE). Points stay as they are. Raises DataError where no focus lies inside.

    >>> import formula_neuro as fn
    >>> from formula_neuro.foci.truth import ellipsoid
    >>> table = {"study": ["a", "a", "b"], "x": [0, 0, 4], "y": [-16, 90, -16], "z": [20, 0, 22]}
    >>> inside, outside = located(fn.read_foci(table), ellipsoid())
    >>> len(inside.voxel), outside.studies.to_dict("records")
    (2, [{'study': 'a', 'outside': 1, 'foci': 2}])
    """
    points = foci.points
    places = voxel_of(points, brain)
    inside = places >= 0
    if not inside.any():
        raise DataError(
            f"all {len(points)} foci lie outside the mask; x, y, z run over {_ranges(points)} mm, the mask over "
            f"{_ranges(_box(brain))} mm: are they in the same space, and in mm?"
        )
    table = foci.foci[["study"]].assign(outside=~inside)
    studies = table.groupby("study", sort=False)["outside"].agg(["sum", "size"]).reset_index()
    studies.columns = ["study", "outside", "foci"]
    lost = studies[studies["outside"] > 0].reset_index(drop=True)
    return Located(points[inside], places[inside], foci.rows[inside]), Outside(~inside, lost)


def voxel_of(points: Array, brain: Brain) -> NDArray[np.intp]:
    """(J,) the analysed voxel, counted as brain.voxels, whose centre is nearest to each point (mm); -1 outside.

    Indices are taken to 1e-6 of a voxel before they are rounded, so that a tie is one whatever the affine's rounding.
    """
    grid = brain.grid
    back = np.linalg.inv(grid.affine)
    index = np.rint(np.round(points @ back[:3, :3].T + back[:3, 3], 6)).astype(np.intp)
    held = ((index >= 0) & (index < grid.shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(index[held].T), grid.shape)
    at = np.minimum(np.searchsorted(brain.voxels, flat), len(brain.voxels) - 1)
    out = np.full(len(points), -1, dtype=np.intp)
    out[held] = np.where(brain.voxels[at] == flat, at, -1)
    return out


def _box(brain: Brain) -> Array:
    """Opposite corners of the analysed voxels, mm."""
    ijk = np.stack(np.unravel_index(brain.voxels, brain.grid.shape), axis=1)
    ends = np.stack([ijk.min(axis=0), ijk.max(axis=0)])
    corners = np.asarray(ends @ brain.grid.affine[:3, :3].T + brain.grid.affine[:3, 3])
    return np.sort(corners, axis=0)


def _ranges(points: Array) -> str:
    return ", ".join(f"{low:g} to {high:g}" for low, high in zip(points.min(axis=0), points.max(axis=0), strict=True))
