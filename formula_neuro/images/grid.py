"""Where the voxels of an image lie, and in words how two grids differ."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..family import Array

TOLERANCE = 1e-3  # mm: far below any voxel, far above what float32 headers lose
DIRECTIONS = ("left-right", "front-back", "up-down")  # of the world's x, y and z


@dataclass(frozen=True, eq=False)
class Grid:
    """A box of voxels and the affine that takes their indices to world coordinates (mm).

    >>> Grid((91, 109, 91), np.diag([2.0, 2.0, 2.0, 1.0])).describe()
    '91 x 109 x 91 voxels of 2 mm'
    """

    shape: tuple[int, int, int]
    affine: Array  # (4, 4)

    @property
    def size(self) -> int:
        """How many voxels."""
        return int(np.prod(self.shape))

    @property
    def voxel_size(self) -> Array:
        """(3,) mm."""
        return np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))

    def describe(self) -> str:
        return f"{' x '.join(map(str, self.shape))} voxels of {in_mm(self.voxel_size)}"

    def same(self, other: Grid) -> bool:
        """Whether the shapes are equal and no corner lies more than TOLERANCE away."""
        return self.shape == other.shape and displacement(self, other) <= TOLERANCE


def grid_of(image: Any) -> Grid:
    """The grid of a nibabel image; a fourth axis of length 1 does not count."""
    return Grid(tuple(int(k) for k in image.shape[:3]), np.asarray(image.affine, dtype=float))  # type: ignore[arg-type]


def displacement(grid: Grid, other: Grid) -> float:
    """How far apart the two affines put the corners of the grid, at most: mm."""
    corners = np.array([[*corner, 1.0] for corner in itertools.product(*((0, k - 1) for k in grid.shape))])
    away = corners @ (grid.affine - other.affine).T
    return float(np.sqrt((away[:, :3] ** 2).sum(axis=1)).max())


def in_mm(sizes: Array) -> str:
    """ "2 mm", or "1 x 1 x 2.5 mm"."""
    words = [f"{size:.4g}" for size in sizes]
    return f"{words[0] if len(set(words)) == 1 else ' x '.join(words)} mm"


def difference(grid: Grid, expected: Grid) -> str:
    """In words what sets a grid apart from the expected one; "" where nothing does.

    >>> here, there = np.eye(4), np.eye(4)
    >>> there[1, 3] = 7.0
    >>> difference(Grid((9, 9, 9), there), Grid((9, 9, 9), here))
    'shifted by (0, 7, 0) mm'
    """
    if grid.same(expected):
        return ""
    if not np.allclose(grid.voxel_size, expected.voxel_size, atol=TOLERANCE):
        return f"other voxel size: {grid.describe()}, not {expected.describe()}"
    axes, flips = _turned(grid, expected)
    if axes:
        return f"its axes run in another order: {_orientation(grid)}, not {_orientation(expected)}"
    if flips:
        return f"flipped {' and '.join(flips)}: its axes run {_orientation(grid)}, not {_orientation(expected)}"
    if grid.shape != expected.shape:
        return f"other shape: {grid.describe()}, not {expected.describe()}"
    if np.abs(grid.affine[:3, :3] - expected.affine[:3, :3]).max() <= TOLERANCE / max(grid.shape):
        shift = grid.affine[:3, 3] - expected.affine[:3, 3]
        return f"shifted by ({', '.join(f'{mm + 0.0:.4g}' for mm in np.round(shift, 4))}) mm"
    return f"rotated or sheared: corners lie up to {displacement(grid, expected):.4g} mm away"


def _turned(grid: Grid, expected: Grid) -> tuple[bool, list[str]]:
    """Whether the axes follow another order, and the directions of the world in which they run backwards."""
    mine, theirs = (_directions(g) for g in (grid, expected))
    axes = [axis for axis, _ in mine] != [axis for axis, _ in theirs]
    flips = [DIRECTIONS[a] for (a, sign), (_, other) in zip(mine, theirs, strict=True) if sign != other]
    return axes, flips


def _directions(grid: Grid) -> list[tuple[int, bool]]:
    """Of each voxel axis, the world axis that it follows most, and whether upwards."""
    columns = (grid.affine[:3, :3] / grid.voxel_size).T
    return [(int(np.argmax(np.abs(c))), bool(c[np.argmax(np.abs(c))] > 0)) for c in columns]


def _orientation(grid: Grid) -> str:
    """The ends to which the axes run: "RAS" is to the right, to the front and up."""
    return "".join(("LR", "PA", "IS")[axis][up] for axis, up in _directions(grid))
