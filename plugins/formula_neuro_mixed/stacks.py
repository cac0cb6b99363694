"""Linear algebra on stacks of small matrices, and on one large one, by the quickest exact way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import lapack

from formula_neuro.family import Array

LARGE = 200  # size from which scipy's LAPACK pays: on small matrices its threads cost milliseconds


def times(A: Array, M: Array) -> Array:
    """A @ M for stacks of (k, k) and (k, c); numpy's matmul is slow on many products of numbers."""
    return np.asarray(A * M if A.shape[-1] == 1 else A @ M)


def inverse_root_and_logdet(M: Array) -> tuple[Array, float]:
    """C^-1 (B, k, k) with M = C C', C lower triangular, and the sum of log|M|; M symmetric positive definite."""
    k = M.shape[-1]
    if k == 1:
        return 1 / np.sqrt(M), _sum_of_logs(M)
    if k == 2:
        return _two(M)
    root = np.linalg.cholesky(M)
    return np.linalg.inv(root), 2 * _sum_of_logs(np.diagonal(root, axis1=1, axis2=2))


def _two(M: Array) -> tuple[Array, float]:
    square, b = M[:, 0, 0], M[:, 1, 0]
    slope = b / square
    pivots = np.array((square, M[:, 1, 1] - b * slope))
    logdet = _sum_of_logs(pivots)
    first, last = 1 / np.sqrt(pivots)
    out = np.zeros_like(M)
    out[:, 0, 0], out[:, 1, 1], out[:, 1, 0] = first, last, -slope * last
    return out, logdet


def inverse_and_logdet(M: Array) -> tuple[Array, float]:
    """M^-1 and log|M| of one symmetric positive definite matrix (k, k); LAPACK itself, a tenth of numpy's overhead."""
    if len(M) == 0:
        return M, 0.0
    lower, info = lapack.dpotrf(M, lower=1, clean=1)
    if info != 0:
        raise LinAlgError(f"the leading minor {info} is not positive")
    half = lapack.dtrtri(lower, lower=1)[0]
    return half.T @ half, 2 * float(np.log(lower.diagonal()).sum())


class Root(Protocol):
    """C of M = C C' (B, k, k)."""

    @property
    def logdet(self) -> float: ...
    def solve(self, x: Array) -> Array:
        """C^-1 x (B, k, c)."""

    def solve_transposed(self, x: Array) -> Array:
        """C'^-1 x (B, k, c)."""

    def inverse(self) -> Array:
        """M^-1."""


def root_of(M: Array) -> Root:
    """Of symmetric positive definite matrices (B, k, k): many small ones, or a single one that may be large."""
    if len(M) > 1 or M.shape[-1] < LARGE:
        return SmallRoots(*inverse_root_and_logdet(M))
    if np.count_nonzero(M) == M.shape[-1]:
        return DiagonalRoot(*inverse_root_and_logdet(np.diagonal(M[0])[:, None, None]))
    lower, info = lapack.dpotrf(M[0], lower=1, clean=1)
    if info != 0:
        raise LinAlgError(f"the leading minor {info} is not positive")
    return LargeRoot(lower, 2 * _sum_of_logs(np.diagonal(lower)))


@dataclass(frozen=True, eq=False)
class SmallRoots:
    """Roots by their inverses."""

    half: Array  # C^-1
    logdet: float

    def solve(self, x: Array) -> Array:
        return times(self.half, x)

    def solve_transposed(self, x: Array) -> Array:
        return times(self.half.transpose(0, 2, 1), x)

    def inverse(self) -> Array:
        return times(self.half.transpose(0, 2, 1), self.half)


@dataclass(frozen=True, eq=False)
class DiagonalRoot:
    """Roots of a diagonal, as a factor has one that is crossed with none."""

    half: Array  # (k, 1, 1) of C^-1
    logdet: float

    def solve(self, x: Array) -> Array:
        return np.asarray(self.half[:, 0] * x)

    def solve_transposed(self, x: Array) -> Array:
        return self.solve(x)

    def inverse(self) -> Array:
        return np.diag(self.half[:, 0, 0] ** 2)[None]


@dataclass(frozen=True, eq=False)
class LargeRoot:
    """One root, whose inverse is found only where it is asked for."""

    lower: Array  # C
    logdet: float

    def solve(self, x: Array) -> Array:
        return np.asarray(lapack.dtrtrs(self.lower, x[0], lower=1)[0][None])

    def solve_transposed(self, x: Array) -> Array:
        return np.asarray(lapack.dtrtrs(self.lower, x[0], lower=1, trans=1)[0][None])

    def inverse(self) -> Array:
        triangle = lapack.dpotri(self.lower, lower=1)[0]
        inverse = triangle + triangle.T  # C is clean, so is the upper triangle of this
        inverse[np.diag_indices(len(inverse))] /= 2
        return np.asarray(inverse[None])


def _sum_of_logs(values: Array) -> float:
    if not values.min(initial=1.0) > 0:  # NaN too
        raise LinAlgError("a determinant is not positive")
    return float(np.log(values).sum())
