"""What simulated foci follow: where peaks lie, how foci scatter about them, and what changes their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..family import Array
from ..images.brain import Brain
from ..images.grid import Grid

ALL = "(Intercept)"  # the one cell of foci without groups, as s(1) calls its map
FWHM_TO_SD = 1 / np.sqrt(8 * np.log(2))
CENTRE, AXES = (0.0, -16.0, 20.0), (54.0, 70.0, 40.0)  # mm: an ellipsoid inside MNI's brain


@dataclass(frozen=True, eq=False, repr=False)
class Truth:
    """What simulate_foci drew from: `peaks` (K, 3) mm and `intensity` (V,) of every cell, in the voxels of `brain`.

    An intensity is the mean number of foci of an analysis in a voxel, where covariates are 0 or at a level without an
    effect. `effects` are those of covariates on the log mean number, a row each (term, estimate); `dispersion` is the
    variance of the studies' common factor, whose mean is 1 (0: Poisson).
    """

    brain: Brain
    peaks: Mapping[str, Array]
    intensity: Mapping[str, Array]
    effects: pd.DataFrame
    dispersion: float = 0.0

    def __repr__(self) -> str:
        peaks = ", ".join(f"{cell} {len(places)}" for cell, places in self.peaks.items())
        return f"Truth(peaks: {peaks}; dispersion {self.dispersion:g}; .peaks, .intensity, .effects, .image(cell))"

    def image(self, cell: str = ALL) -> Any:
        """A cell's intensity as a Nifti1Image, NaN outside the mask."""
        if cell not in self.intensity:
            raise DataError(f"{cell!r} is no cell of the simulation; there are {', '.join(self.intensity)}")
        return self.brain.image(self.intensity[cell])


def ellipsoid(spacing: float = 4.0) -> Brain:
    """An ellipsoid inside MNI's brain on a grid of `spacing` mm, in place of a mask.

    >>> brain = ellipsoid()
    >>> brain.grid.describe(), len(brain.voxels)
    ('27 x 35 x 21 voxels of 4 mm', 9893)
    """
    steps = [int(axis // spacing) for axis in AXES]
    shape = (2 * steps[0] + 1, 2 * steps[1] + 1, 2 * steps[2] + 1)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = [centre - spacing * step for centre, step in zip(CENTRE, steps, strict=True)]
    away = np.indices(shape) - np.array(steps).reshape(3, 1, 1, 1)
    inside = ((away * spacing / np.array(AXES).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) <= 1
    return Brain(Grid(shape, affine), inside, np.flatnonzero(inside), 4)


def centres(brain: Brain) -> Array:
    """(V, 3) mm, where the analysed voxels lie."""
    ijk = np.stack(np.unravel_index(brain.voxels, brain.grid.shape), axis=1)
    return np.asarray(ijk @ brain.grid.affine[:3, :3].T + brain.grid.affine[:3, 3])


def scatter(peak: Array, sd: float, at: Array) -> Array:
    """How a Gaussian of sd mm about a peak is shared by voxels at (V, 3) mm: (V,), the sum is 1.

    >>> scatter(np.zeros(3), 2.0, np.array([[0.0, 0, 0], [2.0, 0, 0]])).round(3).tolist()
    [0.622, 0.378]
    """
    square = ((at - peak) ** 2).sum(axis=1)
    share = np.exp(-(square - square.min()) / (2 * sd**2))  # the nearest voxel has 1: no underflow of all
    return np.asarray(share / share.sum())


def blurred(intensity: Array, sd: float, brain: Brain) -> Array:
    """The intensity (V,) of foci about parents of this intensity, Gaussian of sd mm and inside the mask."""
    from scipy.ndimage import gaussian_filter

    steps = sd / brain.grid.voxel_size
    inside = brain.unmask(np.ones(len(brain.voxels)), 0.0)
    reach = gaussian_filter(inside, steps, mode="constant").ravel()[brain.voxels]  # the share of children kept
    out = gaussian_filter(brain.unmask(intensity / reach, 0.0), steps, mode="constant").ravel()[brain.voxels]
    return np.asarray(out)
