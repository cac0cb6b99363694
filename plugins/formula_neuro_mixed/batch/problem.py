"""One grouping factor and one random effect, in the coordinates of a batch, equal rows merged.

X is made orthonormal (times sqrt(n)) and z scaled to mean square 1, as for a single fit. Rows that share their group,
X, z and offset are one row of added weights: a model of an intercept alone becomes a row a group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from formula_neuro.family import Array, Family
from formula_neuro.kernels.rank import Basis, orthonormal_basis
from formula_neuro.maps.request import MapRequest
from formula_neuro.request import Request


@dataclass(frozen=True, eq=False)
class Problem:
    """n merged rows in G groups, r columns; `merge` (n, rows used) adds weighted responses up."""

    family: Family
    codes: NDArray[np.intp]  # (n,)
    G: int
    z: Array  # (n, 1)
    X: Array  # (n, r)
    w: Array  # (n, 1)
    offset: Array  # (n, 1)
    merge: sparse.csr_array
    basis: Basis
    scale: float  # inner coefficients times this are the basis's
    spread: float  # inner theta times this is the user's
    used: NDArray[np.bool_]
    weights: Array  # (rows used, 1)

    @property
    def r(self) -> int:
        return self.X.shape[1]

    def beta(self, b: Array) -> Array:
        """Coefficients (B, p) of the user's columns from inner ones (B, r); NaN where a column was dropped."""
        full = np.full((len(b), self.basis.columns), np.nan)
        full[:, self.basis.kept] = np.linalg.solve(self.basis.R, b.T * self.scale).T
        return full

    def inner(self, fixed: Array) -> Array:
        """Inner coefficients (r,) of the linear predictor (rows,) nearest to the one given, offset left out."""
        return np.asarray(self.basis.Q.T @ fixed[self.used] / self.scale)


def problem_of(request: Request | MapRequest) -> Problem:
    """The batch's view of a request with one random term of one column."""
    design, (term,) = request.design, request.design.random
    used = request.weights > 0
    basis = orthonormal_basis(design.matrix[used])
    scale = float(np.sqrt(used.sum()))
    X, z = basis.Q * scale, term.basis[used, 0]
    spread = 1 / float(np.sqrt((z**2).mean()))
    w, codes = request.weights[used], term.codes[used]
    first, of = _merged(np.column_stack([codes, design.matrix[used], z, design.offset[used]]))
    merge = sparse.csr_array((w, (of, np.arange(len(w)))), shape=(len(first), len(w)))
    return Problem(
        family=request.family,
        codes=codes[first],
        G=len(term.levels),
        z=(z[first] * spread)[:, None],
        X=np.ascontiguousarray(X[first]),
        w=np.bincount(of, weights=w).astype(float)[:, None],
        offset=design.offset[used][first][:, None],
        merge=merge,
        basis=basis,
        scale=scale,
        spread=spread,
        used=used,
        weights=w[:, None],
    )


def _merged(rows: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """One representative of each distinct row, sorted by the first column, and which of them every row belongs to."""
    _, first, of = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    return first.astype(np.intp), of.ravel().astype(np.intp)


def group_sums(problem: Problem, columns: Array) -> sparse.csr_array:
    """(f G, n) sparse: times R (n, B) it gives, for each of f columns (n, f), the sums over groups of column x R."""
    n, f = columns.shape
    rows = problem.codes[:, None] + problem.G * np.arange(f)
    place = np.broadcast_to(np.arange(n)[:, None], (n, f))
    return sparse.csr_array((columns.ravel(), (rows.ravel(), place.ravel())), shape=(f * problem.G, n))
