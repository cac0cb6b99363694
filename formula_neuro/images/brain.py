"""Where maps live: a grid, the mask on it and the voxels that were analysed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..family import Array
from .grid import Grid


@dataclass(frozen=True, eq=False)
class Brain:
    """`voxels` (V,) are sorted C-order flat indices of the analysed voxels of `mask` (x, y, z), a mask on `grid`.

    `space` is NIfTI's code of the grid's space: 4 MNI, 2 aligned to something.
    """

    grid: Grid
    mask: NDArray[np.bool_]
    voxels: NDArray[np.intp]
    space: int = 2

    def __reduce__(self) -> tuple[Any, ...]:
        """Masks go as bits: other processes get a brain by pickle."""
        inside = np.zeros(self.grid.size, bool)
        inside[self.voxels] = True
        return _unpickled, (self.grid, np.packbits(self.mask), np.packbits(inside), self.space)

    @property
    def world(self) -> Array:
        """Coordinates of the analysed voxels, (V, 3) mm."""
        ijk = np.stack(np.unravel_index(self.voxels, self.grid.shape), axis=1)
        return np.asarray(ijk @ self.grid.affine[:3, :3].T + self.grid.affine[:3, 3])

    def unmask(self, values: Array, fill: float = np.nan) -> Array:
        """Values (V,) of the analysed voxels as an array (x, y, z), `fill` elsewhere."""
        out = np.full(self.grid.size, fill, dtype=np.float64)
        out[self.voxels] = values
        return out.reshape(self.grid.shape)

    def image(self, values: Array, fill: float = np.nan) -> Any:
        """Values (V,) of the analysed voxels as a Nifti1Image of float64."""
        import nibabel as nib

        affine = self.grid.affine
        made = nib.Nifti1Image(self.unmask(np.asarray(values, dtype=np.float64), fill), affine)
        made.header.set_xyzt_units("mm")
        made.set_sform(affine, self.space)
        made.set_qform(affine, self.space)
        if not np.allclose(made.get_qform(), affine, atol=1e-3):  # quaternions have no shears
            made.set_qform(None, 0)
        return made


def _unpickled(grid: Grid, mask: NDArray[np.uint8], inside: NDArray[np.uint8], space: int) -> Brain:
    every, analysed = (np.unpackbits(part, count=grid.size).astype(bool) for part in (mask, inside))
    return Brain(grid, every.reshape(grid.shape), np.flatnonzero(analysed).astype(np.intp), space)
