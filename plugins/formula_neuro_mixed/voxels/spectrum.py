"""One random effect a level in coordinates that make the criterion a sum over few numbers.

With M = I - QQ' and Z'MZ = sum mu_s e_s e_s', the residual sum of squares of a voxel with residuals y from X is

    r2(lambda) = [y'y - sum a_s^2] + sum a_s^2 / (1 + lambda mu_s),    a_s = e_s'Z'y / sqrt(mu_s),

all terms of which are positive, and |V| |Q'V^-1Q| = prod (1 + lambda mu_s). Of the levels with the same z'z all mu are
that z'z but for the few directions of their rows of Z'Q, so that the eigenproblem is small; equal mu need one sum only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from formula_neuro.design import RandomTerm
from formula_neuro.family import Array

from .rows import Rows

EQUAL = 1e-12  # of the largest: eigenvalues and z'z nearer than this are the same numbers
NOTHING = 1e-11  # of the largest z'z: an eigenvalue below is a direction of Z inside X
MOST = 1500  # directions beyond which the eigenproblem is no longer small


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Levels are sorted by z'z: `Z` (G, n) has the scaled rows of a level, `zz` (G,) and `ZX` (G, r) their products.

    `directions` (k, G) gives a_s of Z'y for single directions, whose distinct mu are `mu[place]`; what a level's class
    (slice) has beside them goes to one more mu.
    """

    Z: sparse.csr_array
    zz: Array
    ZX: Array
    scale: float  # lme4's theta is this times the root of lambda
    mu: Array  # (D,)
    counts: Array  # (D,) how often
    directions: Array
    place: NDArray[np.intp]  # (k,)
    classes: tuple[tuple[slice, Array, int], ...]  # levels, an orthonormal basis (k, levels) of what is single, place

    @cached_property
    def zz_distinct(self) -> Array:
        """(U,) one of each class."""
        return np.array([self.zz[part].mean() for part, _, _ in self.classes])

    @cached_property
    def levels(self) -> Array:
        """(U,) levels in each class."""
        return np.array([float(part.stop - part.start) for part, _, _ in self.classes])

    @cached_property
    def XX(self) -> Array:
        """(U, r r): the sums of X'Z_g Z_g'X over a class."""
        return np.array([(self.ZX[part].T @ self.ZX[part]).ravel() for part, _, _ in self.classes])

    @classmethod
    def of(cls, term: RandomTerm, rows: Rows) -> Spectrum | None:
        """None where the eigenproblem would be large."""
        z, codes = term.basis[:, 0], term.codes
        z, codes = (z, codes) if rows.used is None else (z[rows.used], codes[rows.used])
        z = z if rows.root is None else z * rows.root[:, 0]
        scale = np.sqrt(len(z)) / float(np.linalg.norm(z))
        z = z * scale
        zz = np.asarray(np.bincount(codes, z**2, len(term.levels)), dtype=np.float64)
        order = np.argsort(zz, kind="stable")
        back = np.argsort(order)
        Z = sparse.csr_array((z, (back[codes], np.arange(len(z)))), shape=(len(zz), len(z)))
        zz, ZX = zz[order], np.asarray(Z @ rows.basis.Q)
        parts = [(part, _span(ZX[part])) for part in _runs(zz)]
        return None if sum(len(E) for _, E in parts) > MOST else cls._of_parts(Z, zz, ZX, float(scale), parts)

    @classmethod
    def _of_parts(
        cls, Z: sparse.csr_array, zz: Array, ZX: Array, scale: float, parts: list[tuple[slice, Array]]
    ) -> Spectrum:
        E = np.zeros((sum(len(basis) for _, basis in parts), len(zz)))
        rest_mu, rest_counts, first = [], [], 0
        for part, basis in parts:
            E[first : first + len(basis), part] = basis
            first += len(basis)
            rest_mu.append(float(zz[part].mean()))
            rest_counts.append(part.stop - part.start - len(basis))
        EX = E @ ZX
        values, vectors = np.linalg.eigh((E * zz) @ E.T - EX @ EX.T)
        real = values > NOTHING * zz.max()
        values, directions = values[real], (vectors[:, real] / np.sqrt(values[real])).T @ E
        mu, place = _distinct(np.concatenate([values, rest_mu]), float(zz.max()))
        counts = np.bincount(place, np.concatenate([np.ones(len(values)), rest_counts]))
        k = len(values)
        classes = tuple((part, basis, int(at)) for (part, basis), at in zip(parts, place[k:], strict=True))
        return cls(Z, zz, ZX, scale, mu, counts.astype(float), directions, place[:k], classes)

    def squares(self, Zy: Array) -> Array:
        """(C, D): for each mu the sum of a_s^2, of Z'y (G, C)."""
        out = np.zeros((len(self.mu), Zy.shape[1]))
        np.add.at(out, self.place, (self.directions @ Zy) ** 2)
        for part, basis, place in self.classes:
            if len(basis) < part.stop - part.start and self.mu[place] > 0:
                own = Zy[part]
                left = np.einsum("gc,gc->c", own, own) - np.square(basis @ own).sum(axis=0)
                out[place] += np.maximum(left, 0.0) / self.mu[place]
        return out.T


def _runs(zz: Array) -> list[slice]:
    """Stretches of equal numbers in sorted ones."""
    cuts = np.flatnonzero(np.diff(zz) > EQUAL * zz[-1]) + 1
    edges = [0, *cuts.tolist(), len(zz)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _span(ZX: Array) -> Array:
    """An orthonormal basis (k, levels) of the columns of ZX (levels, r)."""
    left, values, _ = np.linalg.svd(ZX, full_matrices=False)
    return np.ascontiguousarray(left[:, values > 1e-14 * max(1.0, float(values.max(initial=0.0)))].T)


def _distinct(values: Array, largest: float) -> tuple[Array, NDArray[np.intp]]:
    """The distinct ones of values, in order, and which of them each is."""
    order = np.argsort(values)
    place = np.empty(len(values), dtype=np.intp)
    place[order] = np.concatenate([[0], np.cumsum(np.diff(values[order]) > EQUAL * largest)])
    return np.bincount(place, values) / np.bincount(place), place
