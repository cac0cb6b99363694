"""Subject-major values -> the rows of a store: bits by voxel for masks, numbers by voxel otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .spool import Spool
from .store import Indices

AT_ONCE = 32 << 20  # bytes of unpacked bits that are held at a time
SET_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)  # of each byte


@dataclass(frozen=True, eq=False)
class Tile:
    """Some consecutive voxels (m,) with their rows (m, ...), counts (m,) and whether no image misses a value."""

    voxels: Indices
    rows: NDArray[Any]
    counts: Indices
    complete: NDArray[np.bool_]

    def without_rows(self) -> Tile:
        return Tile(self.voxels, self.rows[:0].copy(), self.counts, self.complete)


def joined(tiles: list[Tile]) -> Tile:
    """All voxels of consecutive tiles; none for no tile."""
    if not tiles:
        nothing = np.empty(0, np.int64)
        return Tile(nothing, nothing, nothing, np.empty(0, bool))
    voxels, counts, complete = (
        np.concatenate([getattr(tile, name) for tile in tiles]) for name in ("voxels", "counts", "complete")
    )
    return Tile(voxels, tiles[0].rows[:0], counts, complete)


def packed_bits(voxels: Indices, size: int) -> NDArray[np.uint8]:
    """The grid as bits with these C-order flat indices set: (ceil(size / 8),).

    >>> packed_bits(np.array([0, 9]), 10).tolist()
    [128, 64]
    """
    wide = np.zeros(size, dtype=bool)
    wide[voxels] = True
    return np.packbits(wide)


def bit_tiles(spool: Spool, union: NDArray[np.uint8]) -> Iterator[Tile]:
    """Bits by image (n, ceil(grid / 8)) -> bits by voxel, for the voxels that are set in the union."""
    step = max(1, AT_ONCE // (8 * spool.n))  # bytes of the grid
    for first, columns in spool.columns():
        used = np.flatnonzero(union[first : first + columns.shape[1]])
        for start in range(0, len(used), step):
            some = used[start : start + step]
            ever = np.flatnonzero(np.unpackbits(union[first + some]))
            rows = _turned(columns[:, some])[ever]
            voxels = (first + some[ever // 8]) * 8 + ever % 8
            counts = SET_BITS[rows].sum(axis=1, dtype=np.int64)
            yield Tile(voxels.astype(np.int64), rows, counts, np.ones(len(voxels), bool))


def _turned(columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, b) bytes whose bits are voxels -> (8 b, ceil(n / 8)) bytes whose bits are images.

    numpy.packbits takes any number but 0 for 1, so that one bit of a byte need not be shifted to its end.
    """
    lying = np.ascontiguousarray(columns.T)  # (b, n)
    rows = np.empty((len(lying), 8, (lying.shape[1] + 7) // 8), np.uint8)
    for bit in range(8):
        rows[:, bit] = np.packbits(lying & np.uint8(128 >> bit), axis=1)
    return rows.reshape(-1, rows.shape[2])


def number_tiles(spool: Spool, union: NDArray[np.uint8]) -> Iterator[Tile]:
    """Numbers by image (n, grid) -> numbers by voxel, for the voxels that are set in the union."""
    for first, columns in spool.columns():
        used = np.flatnonzero(np.unpackbits(union, count=spool.width)[first : first + columns.shape[1]])
        wide = np.ascontiguousarray(columns[:, used].T)
        known = ~np.isnan(wide)
        counts = (known & (wide != 0)).sum(axis=1, dtype=np.int64)
        yield Tile((first + used).astype(np.int64), wide, counts, known.all(axis=1))
