"""Images: a table with one image a row and the values of these images in every analysed voxel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, ImageError
from ..family import Array
from .grid import Grid
from .store import Indices, Store

AT_ONCE = 32 << 20  # bytes of unpacked values that are held at a time


@dataclass(frozen=True, eq=False)
class Images:
    """What read_images returns: data for fit().

    `table` (n rows) goes with the images in order; `mask` is where one looks, and `voxels` (V,) are the C-order flat
    indices of those voxels of it that at least `min_count` images have an event in (masks) or a value other than 0.
    `counts` (V,) are these numbers of images. `messages` say what was found on the way.
    """

    table: pd.DataFrame
    response: str
    mask: NDArray[np.bool_]
    store: Store
    rows: Indices  # (n,) the store's images, in the table's order
    min_count: int
    voxels: Indices
    counts: Indices
    messages: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        return self.store.grid

    @property
    def binary(self) -> bool:
        """Whether the values are 0 and 1."""
        return self.store.binary

    @cached_property
    def key(self) -> str:
        """A hash of the values, the rows and the voxels; equal for equal content, wherever the files lie."""
        parts = (self.store.key.encode(), self.rows.tobytes(), self.voxels.tobytes())
        return hashlib.blake2b(b"|".join(parts), digest_size=16).hexdigest()

    @cached_property
    def _places(self) -> Indices:
        return self.store.places(self.voxels)

    @cached_property
    def _whole(self) -> bool:
        return len(self.rows) == self.store.n and bool((self.rows == np.arange(self.store.n)).all())

    def block(self, first: int, last: int) -> NDArray[Any]:
        """(last - first, n): the analysed voxels first..last-1 in all images; uint8 0/1 of masks, else float64."""
        if not 0 <= first <= last <= len(self.voxels):
            raise IndexError(f"voxels {first}..{last - 1} are asked for, there are 0..{len(self.voxels) - 1}")
        values = self.store.values(self._places[first:last])
        return values if self._whole else values[:, self.rows]

    def select(self, rows: Any) -> Images:
        """The images of these rows (0-based), with voxels and counts by the same rule."""
        rows = np.asarray(rows)
        if rows.dtype.kind not in "iu" or rows.ndim != 1 or not len(rows):
            raise DataError(f"select takes row numbers counted from 0, got {rows!r}")
        if rows.min() < 0 or rows.max() >= len(self.rows):
            raise DataError(f"select: row {int(rows.max())} is asked for, the rows are 0..{len(self.rows) - 1}")
        kept, table = self.rows[rows], self.table.iloc[rows].reset_index(drop=True)
        voxels, counts = analysed(self.store, self.mask, kept, self.min_count)
        return Images(table, self.response, self.mask, self.store, kept, self.min_count, voxels, counts, self.messages)

    def unmask(self, values: Any, fill: float = np.nan) -> Array:
        """Values (V,) or (V, k) of the analysed voxels as an array (x, y, z) or (x, y, z, k) on the grid."""
        values = np.asarray(values)
        if len(values) != len(self.voxels):
            raise ValueError(f"values of {len(self.voxels)} voxels are expected, got {len(values)}")
        kind = (
            np.result_type(values.dtype, type(fill)) if not np.isnan(fill) else np.result_type(values.dtype, np.float64)
        )
        out = np.full((self.grid.size, *values.shape[1:]), fill, kind)
        out[self.voxels] = values
        return out.reshape(*self.grid.shape, *values.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        kind = "masks" if self.binary else "images"
        return f"Images({len(self)} {kind} of {self.response}, {self.grid.describe()}, {len(self.voxels)} analysed)"


def analysed(store: Store, mask: NDArray[np.bool_], rows: Indices, min_count: int) -> tuple[Indices, Indices]:
    """The voxels of the mask (ascending) with an event or a value in at least min_count of these images; and counts."""
    inside = np.flatnonzero(mask.ravel())
    places = store.places(inside)
    held = places >= 0
    counts = np.zeros(len(inside), np.int64)
    counts[held] = _counts(store, places[held], rows)
    kept = counts >= min_count
    if not store.binary:  # a voxel that one image misses would need other rows
        kept[held] &= store.complete[places[held]]
    if not kept.any():
        raise ImageError(
            f"no voxel is left to analyse: of the {len(inside)} in the mask, none has an event in {min_count} or more "
            f"of {len(rows)} images; are mask and images in the same space?"
        )
    return inside[kept].astype(np.int64), counts[kept]


def _counts(store: Store, places: Indices, rows: Indices) -> Indices:
    """In how many of these images each voxel has an event or a value other than 0."""
    if len(rows) == store.n and len(np.unique(rows)) == store.n:
        return store.counts[places]
    step = max(1, AT_ONCE // store.n)
    pieces = []
    for i in range(0, len(places), step):
        values = store.values(places[i : i + step])[:, rows]
        pieces.append(np.count_nonzero(np.nan_to_num(values), axis=1))
    return np.concatenate(pieces).astype(np.int64) if pieces else np.empty(0, np.int64)
