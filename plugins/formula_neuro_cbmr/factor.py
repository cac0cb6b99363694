"""Cholesky factors of information matrices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

from formula_neuro.errors import FitError
from formula_neuro.family import Array

LIFT = 1e-12  # of the largest diagonal element: a spline that holds next to nothing must not stop the factorisation


@dataclass(frozen=True, eq=False)
class Factor:
    """The lower Cholesky factor of A (n, n)."""

    lower: Array

    def solve(self, right: Array) -> Array:
        """A^-1 right."""
        return np.asarray(linalg.cho_solve((self.lower, True), right, check_finite=False))

    @cached_property
    def inverse(self) -> Array:
        """A^-1 (n, n)."""
        found, _ = lapack.dpotri(self.lower, lower=1)
        return np.asarray(np.tril(found) + np.tril(found, -1).T)


def factor(A: Array) -> Factor:
    """The factor of A + 1e-12 max diag A; raises FitError where that is not positive definite.

    >>> factor(np.array([[4.0, 0.0], [0.0, 1.0]])).solve(np.array([4.0, 1.0])).round(6).tolist()
    [1.0, 1.0]
    """
    lifted = A.copy()
    lifted[np.diag_indices(len(A))] += LIFT * float(np.diagonal(A).max(initial=0.0))
    try:
        lower = linalg.cholesky(lifted, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError as error:
        raise FitError(
            f"the information of {len(A):,} coefficients of a map is singular: some splines hold no information; take "
            "a wider spacing=, or smooth='reml'"
        ) from error
    return Factor(lower)
