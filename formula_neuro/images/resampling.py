"""Images brought to another grid, where the user asks for it; nilearn does the interpolation."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError
from .grid import Grid, grid_of
from .headers import opened
from .layout import Sparse, sparse
from .sources import Source, is_image


def target(asked: Any) -> Grid | float:
    """What resample= means beside True and False: the size of voxels (mm), or the grid of an image.

    >>> target("2 mm"), target(2)
    (2.0, 2.0)
    """
    if is_image(asked):
        return grid_of(asked)
    number = isinstance(asked, (int, float)) and not isinstance(asked, bool)
    size = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:mm)?\s*", str(asked)) if number or isinstance(asked, str) else None
    if size and float(size[1]) > 0:
        return float(size[1])
    if isinstance(asked, (str, os.PathLike)) and os.path.exists(asked):
        return grid_of(opened(Source(str(asked), Path(asked))))
    raise ImageError(
        f"resample={asked!r} is not understood; give True (the mask's grid, or that of most images), a voxel size as "
        "'2 mm', or an image (or its path) whose grid is meant"
    )


def with_voxels(grid: Grid, size: float) -> Grid:
    """The same field of view in cubes of this size (mm), the first voxel's centre kept, as in the MNI templates.

    >>> with_voxels(Grid((181, 217, 181), np.eye(4)), 2.0).describe()
    '91 x 109 x 91 voxels of 2 mm'
    """
    step = size / grid.voxel_size
    shape = tuple(int(np.floor((k - 1) / s + 1e-9)) + 1 for k, s in zip(grid.shape, step, strict=True))
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, :3] * step
    return Grid(shape, affine)  # type: ignore[arg-type]


def resampled(found: Sparse, grid: Grid, to: Grid, interpolation: str) -> Sparse:
    """The values of an image on another grid; "nearest" keeps masks what they are, "linear" takes means."""
    import nibabel

    kind = np.float32 if interpolation == "nearest" else np.float64
    moved = needs_nilearn()(
        nibabel.Nifti1Image(found.dense(grid.size, kind).reshape(grid.shape), grid.affine),
        target_affine=to.affine,
        target_shape=to.shape,
        interpolation=interpolation,
        force_resample=True,
        copy_header=True,
    )
    return sparse(np.asanyarray(moved.dataobj))


def needs_nilearn() -> Any:
    """nilearn's resample_img; raises ImportError with the command that installs it."""
    try:
        from nilearn.image import resample_img
    except ImportError:
        raise ImportError("resample= needs nilearn: pip install 'formula_neuro[plot]'") from None
    return resample_img
