"""X'WX and x_v'C x_v of a basis, both from the few pairs of splines that overlap.

Along one axis only splines at most three apart overlap; of each such pair the product of values is formed once. X'WX is
then the weights summed against three such tables, axis by axis (as in Currie, Durban & Eilers 2006, array regression);
x_v'C x_v is the same walk backwards, and so needs of C only what belongs to pairs that overlap.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .axis import DEGREE
from .basis import Basis, contract

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Gram:
    """The overlapping pairs of a basis: column a (n,) with b (n,), a <= b; `cell` (n,) is their place in the tables.

    `tables` hold the products of pairs along each axis, (length, pairs).
    """

    basis: Basis
    tables: tuple[Array, Array, Array]
    a: Index
    b: Index
    cell: Index

    def weighted(self, w: Array) -> Array:
        """X'WX (P, P), w (V,)."""
        volume = self.basis.volume((w / self.basis.d**2)[None])
        found = contract(volume, self.tables).reshape(-1)[self.cell]
        out = np.zeros((self.basis.P, self.basis.P))
        out[self.a, self.b] = found
        out[self.b, self.a] = found
        return out

    def spread(self, C: Array) -> Array:
        """x_v'C x_v in every voxel (V,), C (P, P)."""
        pairs = C[self.a, self.b] + np.where(self.a == self.b, 0.0, C[self.b, self.a])
        shape = tuple(table.shape[1] for table in self.tables)
        lattice = np.bincount(self.cell, weights=pairs, minlength=int(np.prod(shape))).astype(np.float64, copy=False)
        volume = contract(lattice.reshape(1, *shape), [table.T for table in self.tables])
        return np.asarray(volume.reshape(-1)[self.basis.inside] / self.basis.d**2)


def gram(basis: Basis) -> Gram:
    """The pairs of a basis.

    >>> from formula_neuro_cbmr.basis import small_basis
    >>> basis = small_basis()
    >>> X, w = basis.expand(np.eye(basis.P)).T, np.arange(basis.V)
    >>> bool(np.allclose(gram(basis).weighted(w), X.T @ (w[:, None] * X)))
    True
    """
    numbers, tables = zip(*(_pairs(a.values) for a in basis.axes), strict=True)
    at = np.stack(np.unravel_index(basis.kept, basis.lattice))
    shape = tuple(table.shape[1] for table in tables)
    parts = []
    for step in itertools.product(range(-DEGREE, DEGREE + 1), repeat=3):
        if step < (0, 0, 0):  # the pair is met from its other end
            continue
        to = at + np.array(step)[:, None]
        a = np.flatnonzero(((to >= 0) & (to < np.array(basis.lattice)[:, None])).all(axis=0))
        b = basis.column[np.ravel_multi_index(tuple(to[:, a]), basis.lattice)]
        pair = [number[at[k, a], to[k, a]] for k, number in enumerate(numbers)]
        fine = (b >= 0) & (np.stack(pair) >= 0).all(axis=0)
        parts.append((a[fine], b[fine], np.ravel_multi_index(tuple(p[fine] for p in pair), shape)))
    a, b, cell = (np.concatenate(column).astype(np.intp) for column in zip(*parts, strict=True))
    return Gram(basis, (tables[0], tables[1], tables[2]), a, b, cell)


def _pairs(values: Array) -> tuple[Index, Array]:
    """A number for every pair of splines that overlap at a voxel (p, p), else -1; their products (length, pairs)."""
    p = values.shape[1]
    overlap = (values.T @ values) > 0
    i, j = np.nonzero(np.triu(overlap))
    number = np.full((p, p), -1, dtype=np.intp)
    number[i, j] = number[j, i] = np.arange(len(i))
    return number, np.ascontiguousarray(values[:, i] * values[:, j])
