"""Linear algebra on stacks of small matrices, and on one large one, by the quickest exact way."""

from __future__ import annotations

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import lapack

from formula_neuro.family import Array


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
    if len(M) == 1:
        return _large(M[0])
    root = np.linalg.cholesky(M)
    return np.linalg.inv(root), 2 * _sum_of_logs(np.diagonal(root, axis1=1, axis2=2))


def _two(M: Array) -> tuple[Array, float]:
    square, b = M[:, 0, 0], M[:, 1, 0]
    rest = M[:, 1, 1] - b * b / square
    logdet = _sum_of_logs(square) + _sum_of_logs(rest)
    out = np.zeros_like(M)
    out[:, 0, 0] = 1 / np.sqrt(square)
    out[:, 1, 1] = 1 / np.sqrt(rest)
    out[:, 1, 0] = -b / square * out[:, 1, 1]
    return out, logdet


def _large(M: Array) -> tuple[Array, float]:
    lower, info = lapack.dpotrf(M, lower=1, clean=1)
    if info != 0:
        raise LinAlgError(f"the leading minor {info} is not positive")
    logdet = 2 * _sum_of_logs(np.diagonal(lower))
    return lapack.dtrtri(lower, lower=1, overwrite_c=1)[0][None], logdet


def crossproduct(half: Array) -> Array:
    """half'half for lower triangular half (B, k, k)."""
    if len(half) == 1 and half.shape[-1] > 2:
        product = np.tril(lapack.dlauum(half[0], lower=1)[0])
        product += np.tril(product, -1).T
        return product[None]
    return times(half.transpose(0, 2, 1), half)


def _sum_of_logs(values: Array) -> float:
    if not values.min(initial=1.0) > 0:  # NaN too
        raise LinAlgError("a determinant is not positive")
    return float(np.log(values).sum())
