"""Which voxels are looked at: the mask that is given, or the voxels that hold something."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .folders import Kept
from .grid import Grid, difference
from .headers import Header, header, values
from .layout import Sparse, sparse
from .resampling import resampled
from .sources import Source, is_image
from .values import REMEDY, WORDS, look

WITH_EVENTS = "those that are 1 in any image"  # where no mask was given


@dataclass(frozen=True, eq=False)
class GivenMask:
    """A mask as the user gave it: an image with its checked header, or an array, which has no grid of its own."""

    header: Header | None
    array: NDArray[Any] | None = None

    @property
    def grid(self) -> Grid | None:
        return self.header.grid if self.header is not None else None

    @property
    def name(self) -> str:
        return self.header.source.name if self.header is not None else "mask="

    def check(self, grid: Grid) -> None:
        """Raises ImageError where it does not lie on the images' grid."""
        if self.header is None:
            shape = np.asarray(self.array).shape
            if shape != grid.shape:
                raise ImageError(f"mask= has shape {shape}, but the images have {grid.describe()}")
        elif not self.header.grid.same(grid):
            raise ImageError(
                f"{self.name} is on another grid than the images: {difference(self.header.grid, grid)}; use a mask on "
                "their grid, or read_images(..., resample=True)"
            )


def given_mask(mask: Any) -> GivenMask | None:
    """The mask= of a user, its header checked, its data unread."""
    if mask is None:
        return None
    if isinstance(mask, (str, os.PathLike)):
        return GivenMask(header(Source(f"the mask {Path(mask).name}", Path(mask).expanduser())))
    if is_image(mask):
        return GivenMask(header(Source("the mask", image=mask)))
    array = np.asarray(mask)
    if array.ndim != 3 or array.dtype.kind not in "biuf":
        fitted = "; give its .mask_img_, after .fit()" if hasattr(mask, "fit_transform") else ""
        raise ImageError(
            f"mask= is a path, an image or a 3-D array, got {type(mask).__name__} of shape {array.shape}{fitted}"
        )
    return GivenMask(None, array)


def on_grid(mask: GivenMask, grid: Grid, resample: bool) -> tuple[NDArray[np.bool_], str]:
    """The mask as a boolean array on the images' grid, and how it came there.

    Raises ImageError where it lies on another grid, is empty or no mask.
    """
    found, how = _found(mask, grid, resample)
    seen = look(found.values)
    if seen.kind == "empty":
        raise ImageError(f"{mask.name} is empty: no voxel is other than 0")
    if seen.kind != "mask" or seen.missing:
        nan = f", and {seen.missing} missing values (NaN)" if seen.missing else ""
        raise ImageError(f"{mask.name} is not a mask of 0 and 1: it holds {seen.words}{nan}; pass mask=values > limit")
    inside = np.zeros(grid.size, bool)
    inside[found.voxels] = True
    return inside.reshape(grid.shape), how


def _found(mask: GivenMask, grid: Grid, resample: bool) -> tuple[Sparse, str]:
    if not resample or mask.header is None:
        mask.check(grid)
    if mask.header is None:
        return sparse(np.asarray(mask.array)), "as given"
    if mask.header.grid.same(grid):
        return values(mask.header), "as given"
    return resampled(
        values(mask.header), mask.header.grid, grid, "nearest"
    ), "as given, brought to this grid by nearest neighbours"


def check_masks(names: Sequence[str], held: Kept) -> None:
    """Raises ImageError where a kept store holds numbers, but masks are required."""
    if held.store.binary:
        return
    first = next(i for i, kind in enumerate(held.images["kind"]) if kind not in ("mask", "empty"))
    kind = held.images["kind"][first]
    raise ImageError(f"{names[first]} is not a mask of 0 and 1: it holds {WORDS[kind]}; {REMEDY[kind]}")


def derived(held: Kept, threshold: float | None = None) -> tuple[NDArray[np.bool_], str]:
    """The mask without mask=, and how it came about."""
    store = held.store
    if store.binary:
        used, how = store.counts > 0, WITH_EVENTS
    elif held.images["kind"].isin(["labels", "whole", "mask"]).all():  # 0 is one of the counts, not a background
        used, how = store.complete, "those that are other than 0 in any image and missing in none"
    else:
        used, how = store.counts == store.n, "those that are neither 0 nor missing in any image"
    if store.binary and not used.any():
        limit = f"of the threshold, {threshold:g}, or above it" if threshold else "1"
        raise ImageError(f"all {store.n} images are empty: no voxel is {limit}; are these the right files?")
    if not used.any():
        raise ImageError(f"no voxel is among {how}, and no mask can be derived; do the images overlap? Or give mask=")
    inside = np.zeros(store.grid.size, bool)
    inside[store.voxels[used]] = True
    return inside.reshape(store.grid.shape), how
