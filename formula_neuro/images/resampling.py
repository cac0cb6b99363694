"""Images brought to another grid, where the user asks for it; nilearn does the interpolation."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .grid import Grid, grid_of
from .headers import opened
from .sources import Source, is_image


def target_grid(asked: Any, reference: Grid) -> Grid:
    """What resample= means: True is the reference grid, "2 mm" other voxels in its field of view, else an image's grid.

    >>> target_grid("2 mm", Grid((181, 217, 181), np.eye(4))).describe()
    '91 x 109 x 91 voxels of 2 mm'
    """
    if asked is True:
        return reference
    if is_image(asked):
        return grid_of(asked)
    size = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*mm\s*", asked) if isinstance(asked, str) else None
    if size and float(size[1]) > 0:
        return with_voxels(reference, float(size[1]))
    if isinstance(asked, (str, os.PathLike)) and os.path.exists(asked):
        return grid_of(opened(Source(str(asked), Path(asked))))
    raise ImageError(
        f"resample={asked!r} is not understood; give True (the mask's grid, or that of most images), a voxel size as "
        "'2 mm', or an image (or its path) whose grid is meant"
    )


def with_voxels(grid: Grid, size: float) -> Grid:
    """The same field of view in cubes of this size (mm), the first voxel's centre kept, as in the MNI templates."""
    step = size / grid.voxel_size
    shape = tuple(int(np.floor((k - 1) / s + 1e-9)) + 1 for k, s in zip(grid.shape, step, strict=True))
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, :3] * step
    return Grid(shape, affine)  # type: ignore[arg-type]


def resampled(source: Source, grid: Grid, interpolation: str) -> NDArray[Any]:
    """The values of an image on another grid, C order (N,); "nearest" keeps masks what they are."""
    resample = _nilearn()
    image = opened(source)
    if source.volume is not None:
        image = image.slicer[..., source.volume]
    elif len(image.shape) == 4:
        image = image.slicer[..., 0]
    moved = resample(
        image,
        target_affine=grid.affine,
        target_shape=grid.shape,
        interpolation=interpolation,
        force_resample=True,
        copy_header=True,
    )
    return np.asanyarray(moved.dataobj).ravel()


def _nilearn() -> Any:
    try:
        from nilearn.image import resample_img
    except ImportError:
        raise ImportError("resampling needs nilearn: pip install 'formula_neuro[plot]'") from None
    return resample_img
