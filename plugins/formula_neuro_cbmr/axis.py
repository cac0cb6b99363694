"""Cubic B-splines along one axis of a mask's box."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from formula_neuro.family import Array

DEGREE = 3
BELOW, ABOVE = 10.0, 8.0  # voxels from the first voxel down, and from one past the last up, to the ends: NiMARE's
BELOW_MM, ABOVE_MM = 19.0, 17.0  # the same of a mask of 2 mm, from the edges of its outer voxels


@dataclass(frozen=True, eq=False)
class Axis:
    """B-splines on `knots`, at coordinates 0..length-1, the voxels; `turned` where voxels run against the world's axis.

    Columns `first` to `last` (p of them) are used.
    """

    knots: Array
    length: int
    turned: bool = False
    first: int = 0
    last: int | None = None

    @cached_property
    def values(self) -> Array:
        """(length, p) at the voxels."""
        found = BSpline.design_matrix(self._along(np.arange(self.length, dtype=float)), self.knots, DEGREE)
        return np.ascontiguousarray(found.toarray()[:, self.first : self.last])

    def at(self, positions: Array) -> tuple[NDArray[np.intp], Array]:
        """The four columns that are not 0 at positions (J,) in voxels, (J, 4), and their values (J, 4).

        Columns are counted among those used; the others are negative or p and more.
        """
        found = BSpline.design_matrix(self._along(positions), self.knots, DEGREE)
        shape = (len(positions), DEGREE + 1)
        return found.indices.reshape(shape).astype(np.intp) - self.first, found.data.reshape(shape)

    def _along(self, positions: Array) -> Array:
        return self.length - 1 - positions if self.turned else positions


def axis(length: int, step: float, *, size: float | None, turned: bool = False) -> Axis:
    """The splines of a box `length` voxels long, their knots `step` voxels apart, cut short at the upper end.

    size: of a voxel (mm): the ends lie as many mm from the mask as they do for voxels of 2 mm; None: as many voxels
    (NiMARE's). Both are the same for voxels of 2 mm.
    """
    low, high = -BELOW, length + ABOVE
    if size is not None:
        low, high = -0.5 - BELOW_MM / size, length - 0.5 + ABOVE_MM / size
    inner = low + step * np.arange(1, int(np.ceil((high - low) / step)) + 1)
    ends = np.ones(DEGREE + 1)
    return Axis(np.concatenate([low * ends, inner[inner < high - 1e-9 * step], high * ends]), length, turned)
