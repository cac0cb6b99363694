"""Normal equations X'WX b = g on orthonormal columns, where only the weights can make them badly conditioned."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, solve_triangular
from scipy.linalg.lapack import dpotrf, dpotrs

from ..family import Array

LEAST = 1e-12  # of the largest diagonal: pivots below it say that nothing of a direction is left but rounding


def solved(A: Array, g: Array, least: float = LEAST) -> Array | None:
    """A^-1 g, or None where A is not positive definite to rounding."""
    if not len(A):
        return np.zeros(0)
    # LAPACK itself: what scipy puts around it takes longer than all else of a small fit's step
    lower, failed = dpotrf(A, lower=1)
    if failed or not np.diag(lower).min() ** 2 > least * np.diag(A).max():
        return None
    return np.asarray(dpotrs(lower, g, lower=1)[0])


def root_of_inverse(X: Array, W: Array) -> Array:
    """(r, r) root F of (X'WX)^-1 = F F', X (n, r), W (n,); of a pseudo-inverse where a direction has no weight left."""
    A = X.T @ (X * W[:, None])
    try:
        lower = np.linalg.cholesky(A)
    except LinAlgError:
        lower = np.zeros_like(A)
    if len(A) and np.diag(lower).min() ** 2 > 1e-4 * np.diag(A).max():  # then the squares lose no more than 4 digits
        return np.asarray(solve_triangular(lower, np.eye(len(A)), lower=True).T)
    return np.asarray(np.linalg.pinv(np.linalg.qr(X * np.sqrt(W)[:, None], mode="r")))
