"""Which columns of a design can be estimated: R's rank rule, and an orthonormal basis of the kept ones.

R walks through the columns from the left. A column whose part orthogonal to the columns kept so far is
shorter than 1e-7 of the column itself is moved to the end and gets no coefficient (the rule of LINPACK's
dqrdc2 as R changed it), so of several dependent columns the later ones go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..family import Array

TOLERANCE = 1e-7  # R's, in lm() and in lme4
GLM_TOLERANCE = 1e-11  # R's, in glm(): a thousandth of its epsilon
MANY = 20_000  # rows from which Householder's QR takes longer than all the rest of a fit


def independent_columns(X: Array, tolerance: float = TOLERANCE) -> NDArray[np.intp]:
    """Indices of the columns that R would keep, in order; at most as many as rows.

    X (n, p).

    >>> X = np.array([[1.0, 0, 1], [1, 1, 2], [1, 2, 3]])   # the last is the sum of the others
    >>> independent_columns(X).tolist()
    [0, 1]
    """
    # a QR without pivoting turns the columns together, so the p x p factor has the same dependencies
    return _independent(np.asarray(np.linalg.qr(X / column_norms(X), mode="r")), tolerance)


def _independent(R: Array, tolerance: float) -> NDArray[np.intp]:
    """The same of a triangular factor (r, p) of columns of length 1."""
    if len(R) == R.shape[1] and (np.abs(np.diagonal(R)) >= tolerance).all():
        return np.arange(len(R))  # while none is dropped, the diagonal is what the walk below finds
    R, kept = R.copy(), list[int]()
    for j in range(R.shape[1]):
        row = len(kept)
        tail = R[row:, j].copy()
        size = float(np.linalg.norm(tail))
        if row == len(R) or size < tolerance:
            continue
        tail[0] += np.copysign(size, tail[0])  # Householder's reflector, the sign that does not cancel
        R[row:, j:] -= np.outer(tail, 2 * (tail @ R[row:, j:]) / (tail @ tail))
        kept.append(j)
    return np.array(kept, dtype=np.intp)


def column_norms(X: Array) -> Array:
    """Euclidean lengths of the columns, 1 for a column of zeros."""
    squares = np.einsum("ij,ij->j", X, X)
    if ((squares > 1e-200) & (squares < 1e200)).all():
        return np.asarray(np.sqrt(squares))
    largest = np.abs(X).max(axis=0, initial=0.0)
    largest[largest == 0] = 1.0  # scaled first, so that the squares neither overflow nor vanish
    norms = largest * np.sqrt(((X / largest) ** 2).sum(axis=0))
    return np.where(norms > 0, norms, 1.0)


@dataclass(frozen=True, eq=False)
class Basis:
    """The estimable columns as X[:, kept] = Q R, Q (n, r) orthonormal, R (r, r) upper triangular.

    R is solved as a square matrix: on small ones scipy's triangular solver spends milliseconds on its threads.
    """

    kept: NDArray[np.intp]
    Q: Array
    R: Array
    columns: int  # p, with the dropped ones

    @property
    def rank(self) -> int:
        return len(self.kept)

    def coefficients(self, b: Array) -> Array:
        """(p,) coefficients of X from those of Q (r,); NaN where a column was dropped."""
        full = np.full(self.columns, np.nan)
        full[self.kept] = np.linalg.solve(self.R, b)
        return full

    def covariance(self, C: Array) -> Array:
        """(p, p) covariance of the coefficients of X from that of Q's (r, r); NaN where dropped."""
        half = np.linalg.solve(self.R, C)
        return self._filled(symmetric(np.linalg.solve(self.R, half.T)))

    def covariance_of_root(self, root: Array) -> Array:
        """As `covariance` of root root', without forming it: a variance of 1e14 does not drown one of 1."""
        half = np.linalg.solve(self.R, root)
        return self._filled(half @ half.T)

    def _filled(self, square: Array) -> Array:
        full = np.full((self.columns, self.columns), np.nan)
        full[np.ix_(self.kept, self.kept)] = square
        return full

    def contrasts(self, L: Array) -> Array:
        """Rows (q, r) for the coefficients of Q that equal L (q, p); NaN where L needs a dropped column."""
        L = np.atleast_2d(np.asarray(L, dtype=float))
        rows = np.linalg.solve(self.R.T, L[:, self.kept].T).T
        needs_dropped = np.delete(L, self.kept, axis=1).any(axis=1)
        rows[needs_dropped] = np.nan
        return np.asarray(rows)


def orthonormal_basis(X: Array, tolerance: float = TOLERANCE) -> Basis:
    """The columns that R would keep, orthonormalised by a QR on columns of length 1."""
    norms = column_norms(X)
    Q, R = _qr(X / norms)
    kept = _independent(R, tolerance)
    if len(kept) < X.shape[1]:
        Q, R = np.linalg.qr(X[:, kept] / norms[kept])
    return Basis(kept, Q, R * norms[kept], X.shape[1])


def _qr(X: Array) -> tuple[Array, Array]:
    """Householder's; of many rows and columns that are far from dependent Cholesky's, done twice, which is as exact.

    Yamamoto et al. (2015): while the condition of X is below 1e8, the second Cholesky factor mends the first one's Q.
    """
    if len(X) < MANY:
        return np.linalg.qr(X)
    gram = X.T @ X
    if not np.isfinite(gram).all() or np.linalg.eigvalsh(gram).min(initial=1.0) < 1e-8:
        return np.linalg.qr(X)
    R = np.linalg.cholesky(gram).T
    Q = (np.linalg.inv(R).T @ X.T).T  # columns stay contiguous
    second = np.linalg.cholesky(Q.T @ Q).T
    return (np.linalg.inv(second).T @ Q.T).T, second @ R


def aliased(names: Sequence[str], kept: NDArray[np.intp]) -> tuple[str, ...]:
    """A message that names the dropped columns, or nothing."""
    lost = [name for j, name in enumerate(names) if j not in set(kept.tolist())]
    if not lost:
        return ()
    if len(lost) == 1:
        return (f"{lost[0]} has no coefficient (NaN): its column is a linear combination of earlier ones",)
    return (f"{', '.join(lost)} have no coefficients (NaN): their columns are linear combinations of earlier ones",)


def symmetric(A: Array) -> Array:
    """The symmetric part: rounding leaves products such as R^-1 C R^-T a little lopsided."""
    return np.asarray((A + A.T) / 2)
