"""Images: a table with one image a row and the values of these images in every analysed voxel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError, ImageError
from ..family import Array
from ..running.fingerprint import fingerprint
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
        return fingerprint((self.store.key, self.rows, self.voxels))

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
        return replace(self, table=table, rows=kept, voxels=voxels, counts=counts)

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Masks go as bits: workers get the images by pickle, of which the values alone would be many times more."""
        inside = np.zeros(self.grid.size, bool)
        inside[self.voxels] = True
        counts = self.counts.astype(np.min_scalar_type(len(self)))
        bits = (np.packbits(self.mask), np.packbits(inside), counts)
        return _unpickled, (bits, self.table, self.response, self.store, self.rows, self.min_count, self.messages)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        kind = "masks" if self.binary else "images"
        return f"Images({len(self)} {kind} of {self.response}, {self.grid.describe()}, {len(self.voxels)} analysed)"


def _unpickled(
    bits: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[Any]],
    table: pd.DataFrame,
    response: str,
    store: Store,
    rows: Indices,
    min_count: int,
    messages: tuple[str, ...],
) -> Images:
    mask, inside = (np.unpackbits(part, count=store.grid.size).astype(bool) for part in bits[:2])
    voxels, counts = np.flatnonzero(inside).astype(np.int64), bits[2].astype(np.int64)
    return Images(table, response, mask.reshape(store.grid.shape), store, rows, min_count, voxels, counts, messages)


def analysed(store: Store, mask: NDArray[np.bool_], rows: Indices, min_count: int) -> tuple[Indices, Indices]:
    """The voxels of the mask (ascending) with an event or a value in at least min_count of these images; and counts."""
    inside = np.flatnonzero(mask.ravel())
    places = store.places(inside)
    held = places >= 0
    counts, complete = np.zeros(len(inside), np.int64), np.ones(len(inside), bool)
    counts[held], complete[held] = _counts(store, places[held], rows)
    kept = (counts >= min_count) & complete  # a voxel that one image misses would need other rows
    most = int(counts[complete].max(initial=0))
    if not kept.any() and most:
        raise ImageError(
            f"no voxel is left to analyse: min_count={min_count}, but the most that a voxel of the mask has is an "
            f"event in {most} of {len(rows)} images; give a smaller min_count"
        )
    if not kept.any():
        raise ImageError(
            f"no voxel is left to analyse: of the {len(inside)} in the mask, none has an event in {min_count} or more "
            f"of {len(rows)} images; are mask and images in the same space?"
        )
    return inside[kept].astype(np.int64), counts[kept]


def _counts(store: Store, places: Indices, rows: Indices) -> tuple[Indices, NDArray[np.bool_]]:
    """In how many of these images each voxel has an event or a value other than 0, and whether none misses one."""
    if len(rows) == store.n and len(np.unique(rows)) == store.n:
        return store.counts[places], store.complete[places]
    step = max(1, AT_ONCE // store.n)
    counts, complete = np.empty(len(places), np.int64), np.empty(len(places), bool)
    for i in range(0, len(places), step):
        values = store.values(places[i : i + step])[:, rows]
        missing = np.isnan(values).sum(axis=1) if not store.binary else np.zeros(len(values), np.int64)
        counts[i : i + step] = np.count_nonzero(values, axis=1) - missing
        complete[i : i + step] = missing == 0
    return counts, complete
