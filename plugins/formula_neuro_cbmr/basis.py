"""Tensor products of cubic B-splines in a mask: what is kept of them, and their sums without ever forming X.

X (V, P) has a row a voxel of the mask and a column a product of one spline of every axis. A product is kept where its
largest value in the mask is 0.1 or more (Yu et al. 2024; NiMARE). Rows of what is kept no longer sum to 1 near the
border: they are divided by their sums d (V,) unless NiMARE's own basis is asked for, so that equal coefficients give a
constant. All sums over voxels go axis by axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from formula_neuro.errors import DataError
from formula_neuro.estimator import Splines
from formula_neuro.family import Array
from formula_neuro.images.brain import Brain

from .axis import Axis, axis

Index = NDArray[np.intp]
LEAST = 0.1  # the largest value of a product in the mask, below which it is left out
AT_ONCE = 64  # maps that are expanded at a time: a box of 2 mm holds 4 MB of each


@dataclass(frozen=True, eq=False)
class Basis:
    """The columns kept: `kept` (P,) numbers them among all products in C order, `column` is the inverse (-1: left out).

    `corner` is the voxel of the grid that is the first of the box, `inside` (V,) flat indices of the mask's voxels in
    the box, `d` (V,) what the rows of the products are divided by.
    """

    axes: tuple[Axis, Axis, Axis]
    kept: Index
    column: Index
    corner: Index
    inside: Index
    d: Array
    renormalised: bool

    @property
    def P(self) -> int:
        return len(self.kept)

    @property
    def V(self) -> int:
        return len(self.inside)

    @property
    def box(self) -> tuple[int, int, int]:
        x, y, z = (a.length for a in self.axes)
        return x, y, z

    @property
    def lattice(self) -> tuple[int, int, int]:
        """How many splines each axis has; their products are numbered in C order."""
        x, y, z = (a.values.shape[1] for a in self.axes)
        return x, y, z

    # ---- sums --------------------------------------------------------------------------------------
    def expand(self, b: Array) -> Array:
        """X b: b (P,) or (m, P) to (V,) or (m, V).

        >>> basis = small_basis()
        >>> bool(np.allclose(basis.expand(np.ones(basis.P)), 1))
        True
        """
        if b.ndim == 1:
            return self._expand(b[None])[0]
        out = np.empty((len(b), self.V))
        for at in range(0, len(b), AT_ONCE):
            out[at : at + AT_ONCE] = self._expand(b[at : at + AT_ONCE])
        return out

    def _expand(self, b: Array) -> Array:
        whole = np.zeros((len(b), int(np.prod(self.lattice))))
        whole[:, self.kept] = b
        volume = contract(whole.reshape(-1, *self.lattice), [a.values.T for a in self.axes])
        return np.asarray(volume.reshape(len(b), -1)[:, self.inside] / self.d)

    def project(self, v: Array) -> Array:
        """X'v: v (V,) or (m, V) to (P,) or (m, P)."""
        if v.ndim == 1:
            return self._project(v[None])[0]
        out = np.empty((len(v), self.P))
        for at in range(0, len(v), AT_ONCE):
            out[at : at + AT_ONCE] = self._project(v[at : at + AT_ONCE])
        return out

    def _project(self, v: Array) -> Array:
        lattice = contract(self.volume(v / self.d), [a.values for a in self.axes])
        return np.asarray(lattice.reshape(len(v), -1)[:, self.kept])

    def volume(self, v: Array) -> Array:
        """v (m, V) as volumes (m, x, y, z) of the box, 0 outside the mask."""
        out = np.zeros((len(v), int(np.prod(self.box))))
        out[:, self.inside] = v
        return out.reshape(-1, *self.box)

    # ---- rows --------------------------------------------------------------------------------------
    def rows(self, positions: Array) -> sparse.csr_array:
        """Rows of X at positions (J, 3), in voxels of the grid, a sparse (J, P)."""
        found = [a.at(positions[:, k] - self.corner[k]) for k, a in enumerate(self.axes)]
        J = len(positions)
        flat, value = np.zeros((J, 1), dtype=np.intp), np.ones((J, 1))
        for (index, values), p in zip(found, self.lattice, strict=True):
            within = (index >= 0) & (index < p)
            values = np.where(within, values, 0.0)
            index = np.where(within, index, 0)
            flat = (flat[:, :, None] * p + index[:, None, :]).reshape(J, -1)
            value = (value[:, :, None] * values[:, None, :]).reshape(J, -1)
        columns = self.column[flat]
        value = np.where(columns >= 0, value, 0.0)
        if self.renormalised:
            value /= value.sum(axis=1, keepdims=True)
        i, j = np.nonzero(value)
        return sparse.csr_array((value[i, j], (i, columns[i, j])), shape=(J, self.P))


def contract(volume: Array, factors: Sequence[Array]) -> Array:
    """sum over x, y, z of volume (m, x, y, z) times factors (x, a), (y, b), (z, c): (m, a, b, c)."""
    A, B, C = factors
    out = volume @ C
    out = np.swapaxes(np.swapaxes(out, 2, 3) @ B, 2, 3)
    m, x, b, c = out.shape
    return np.asarray((A.T @ out.reshape(m, x, b * c)).reshape(m, A.shape[1], b, c))


def basis_of(brain: Brain, splines: Splines) -> Basis:
    """The basis that the estimator asks for in the analysed voxels of a brain.

    Raises DataError where knots are closer than voxels.
    """
    shape, sizes = brain.grid.shape, brain.grid.voxel_size
    steps = splines.steps((float(sizes[0]), float(sizes[1]), float(sizes[2])))
    if min(steps) < 1:
        raise DataError(
            f"spacing={splines.spacing!r} puts the knots {min(steps):.3g} voxels apart, closer than the voxels "
            f"({brain.grid.describe()}): take one of several voxels"
        )
    at = np.column_stack(np.unravel_index(brain.voxels, shape))
    corner = at.min(axis=0)
    lengths = at.max(axis=0) - corner + 1
    own = splines.basis == "renormalised"
    turned = [own and runs_backwards(brain.grid.affine[:3, k]) for k in range(3)]
    x, y, z = (
        axis(int(lengths[k]), steps[k], size=float(sizes[k]) if own else None, turned=turned[k]) for k in range(3)
    )
    inside = np.ravel_multi_index(tuple((at - corner).T), (x.length, y.length, z.length))
    return trimmed((x, y, z), np.asarray(inside, dtype=np.intp), corner, own)


def runs_backwards(direction: Array) -> bool:
    """Whether an axis of voxels (3,) runs against the axis of the world that it follows most."""
    return bool(direction[np.argmax(np.abs(direction))] < 0)


def trimmed(axes: tuple[Axis, Axis, Axis], inside: Index, corner: Index, renormalised: bool) -> Basis:
    """The products that reach 0.1 somewhere in the mask, the axes cut to the splines that these need."""
    mask = np.zeros(tuple(a.length for a in axes), dtype=bool)
    mask.reshape(-1)[inside] = True
    i, j, k = np.nonzero(largest(mask, axes) >= LEAST)
    if not len(i):
        raise DataError(
            f"no spline is left in a mask of {' x '.join(str(a.length) for a in axes)} voxels: the knots lie too far "
            "apart for it; take a smaller spacing="
        )
    used = [replace(a, first=int(n.min()), last=int(n.max()) + 1) for a, n in zip(axes, (i, j, k), strict=True)]
    lattice = tuple(a.values.shape[1] for a in used)
    kept = np.ravel_multi_index((i - i.min(), j - j.min(), k - k.min()), lattice)
    column = np.full(int(np.prod(lattice)), -1, dtype=np.intp)
    column[kept] = np.arange(len(kept))
    ones = np.ones(len(inside))
    basis = Basis(
        (used[0], used[1], used[2]), np.asarray(kept, dtype=np.intp), column, corner, inside, ones, renormalised
    )
    return replace(basis, d=basis.expand(np.ones(len(kept)))) if renormalised else basis


def largest(mask: NDArray[np.bool_], axes: Sequence[Axis]) -> Array:
    """The largest value of every product of splines in the mask, (x, y, z) splines."""
    found = mask.astype(np.float64)
    for a in axes:  # values are not negative, so that the maximum goes axis by axis; the axis done comes last
        columns = []
        for j in range(a.values.shape[1]):
            on = np.flatnonzero(a.values[:, j])
            part = a.values[on, j].reshape(-1, 1, 1) * found[on]
            columns.append(part.max(axis=0, initial=0.0))
        found = np.stack(columns, axis=-1)
    return found


def small_basis() -> Basis:
    """A basis in a ball of 7 voxels across, for examples."""
    from formula_neuro.images.grid import Grid

    at = np.indices((9, 9, 9)) - 4
    mask = (at**2).sum(axis=0) <= 12
    return basis_of(Brain(Grid(mask.shape, np.diag([2.0, 2, 2, 1])), mask, np.flatnonzero(mask)), Splines(8))
