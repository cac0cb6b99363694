"""Which voxels are looked at: the mask that is given, or the voxels that hold something."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .folders import Kept
from .grid import Grid, difference
from .headers import data, header
from .resampling import resampled
from .sources import Source, is_image
from .values import events


@dataclass(frozen=True, eq=False)
class GivenMask:
    """A mask as the user gave it; an array has no grid of its own."""

    source: Source | None
    array: NDArray[Any] | None
    grid: Grid | None


def given_mask(mask: Any) -> GivenMask | None:
    """The mask= of a user, its header checked, its data unread."""
    if mask is None:
        return None
    if isinstance(mask, (str, os.PathLike)):
        source = Source(f"the mask {Path(mask).name}", Path(mask).expanduser())
        return GivenMask(source, None, header(source).grid)
    if is_image(mask):
        source = Source("the mask", image=mask)
        return GivenMask(source, None, header(source).grid)
    array = np.asarray(mask)
    if array.ndim != 3 or array.dtype.kind not in "biuf":
        raise ImageError(f"mask= is a path, an image or a 3-D array, got {type(mask).__name__} of shape {array.shape}")
    return GivenMask(None, array, None)


def on_grid(mask: GivenMask, grid: Grid, resample: bool) -> NDArray[np.bool_]:
    """The mask as a boolean array on the images' grid; raises ImageError where it lies on another or is empty."""
    if mask.source is None:
        assert mask.array is not None
        if mask.array.shape != grid.shape:
            raise ImageError(f"mask= has shape {mask.array.shape}, but the images have {grid.describe()}")
        values = mask.array.ravel()
    elif mask.grid is not None and not mask.grid.same(grid):
        if not resample:
            raise ImageError(
                f"{mask.source.name} is on another grid than the images: {difference(mask.grid, grid)}; use a mask on "
                "their grid, or read_images(..., resample=True)"
            )
        values = resampled(mask.source, grid, "nearest")
    else:
        values = data(mask.source)
    name = mask.source.name if mask.source is not None else "mask="
    inside = np.zeros(grid.size, bool)
    inside[events(values, name, None).voxels] = True
    if not inside.any():
        raise ImageError(f"{name} is empty: no voxel is other than 0")
    return inside.reshape(grid.shape)


def derived(held: Kept) -> tuple[NDArray[np.bool_], str]:
    """The mask without mask=, and how it came about."""
    store = held.store
    if store.binary:
        used, how = store.counts > 0, "1 in any image"
    elif held.images["kind"].isin(["labels", "whole", "mask"]).all():  # 0 is one of the counts, not a background
        used, how = store.complete, "other than 0 in any image and missing in none"
    else:
        used, how = store.counts == store.n, "neither 0 nor missing in any image"
    if not used.any():
        raise ImageError(f"no voxel is {how}, so that no mask can be derived; do the images overlap? Or give mask=")
    inside = np.zeros(store.grid.size, bool)
    inside[store.voxels[used]] = True
    return inside.reshape(store.grid.shape), how
