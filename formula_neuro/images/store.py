"""The values of all images by voxel: bits of masks or numbers, in memory or in a file that is read as needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .grid import Grid

Indices = NDArray[np.int64]


class Rows(Protocol):
    """An array of which some first-axis rows are read at a time."""

    def take(self, places: Indices) -> NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class InMemory:
    """Rows that lie in memory."""

    array: NDArray[Any]

    def take(self, places: Indices) -> NDArray[Any]:
        return self.array[places]


@dataclass(frozen=True)
class InFile:
    """Rows of an .npy file; pickled as the file's path, and mapped again by whoever reads."""

    path: Path

    def take(self, places: Indices) -> NDArray[Any]:
        return np.load(self.path, mmap_mode="r")[places]


@dataclass(frozen=True, eq=False)
class Store:
    """The values of n images in the U voxels where any image has one.

    Masks are bits: row u holds voxel u in all images, as numpy.packbits (U, ceil(n/8)); other images are numbers
    (U, n). `counts` are the images that are 1 there (masks), or whose value is neither missing nor 0. `key` is a hash
    of the content.
    """

    grid: Grid
    n: int
    binary: bool
    voxels: Indices  # (U,) C-order flat indices, ascending
    counts: Indices  # (U,)
    complete: NDArray[np.bool_]  # (U,) no image misses a value
    rows: Rows
    key: str
    folder: Path | None = None  # where it lies, if it is on disk

    def __reduce__(self) -> Any:
        """A store on disk is pickled as its place."""
        if self.folder is None:
            return super().__reduce__()
        from .folders import reopened  # which makes stores

        return reopened, (self.folder, self.key)

    def values(self, places: Indices) -> NDArray[Any]:
        """(C, n) of some voxels: 0 and 1 as uint8, or float64; a place of -1 is a voxel that is 0 in all images."""
        known = places >= 0
        taken = self.rows.take(places if known.all() else np.where(known, places, 0))
        wide = np.unpackbits(taken, axis=1, count=self.n) if self.binary else np.asarray(taken, dtype=float)
        if not known.all():
            wide[~known] = 0
        return wide

    def places(self, voxels: Indices) -> Indices:
        """Which rows hold these voxels (V,); -1 where no image has a value."""
        if not len(self.voxels):
            return np.full(len(voxels), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.voxels, voxels), len(self.voxels) - 1)
        return np.where(self.voxels[at] == voxels, at, -1)
