"""The rows of a design as the model has them: covariates standardised, equal rows counted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.kernels.rank import aliased, independent_columns


@dataclass(frozen=True, eq=False)
class Rows:
    """K distinct rows X (K, P) of standardised columns with offset (K,) and trials (K,); `group` (n,) says which.

    The design's own columns are X T^-1, so that coefficients on the user's scale are T b.
    """

    X: Array
    offset: Array
    trials: Array
    group: NDArray[np.intp]
    T: Array

    @classmethod
    def of(cls, matrix: Array, offset: Array, names: Sequence[str]) -> Rows:
        """The rows of a design (n, P); raises DataError where a column is a combination of others."""
        if not matrix.shape[1]:
            raise DataError("the formula has no column: a spatial model needs one at least, as the intercept (~ 1)")
        kept = independent_columns(matrix)
        if len(kept) < matrix.shape[1]:
            (told,) = aliased(names, kept)
            raise DataError(
                f"{told.replace(' (NaN)', '')}; a spatial model needs columns of full rank: leave such terms out"
            )
        T = standardising(matrix)
        distinct, group = np.unique(np.column_stack([matrix, offset]), axis=0, return_inverse=True)
        group = group.ravel()
        return cls(distinct[:, :-1] @ T, distinct[:, -1], np.bincount(group).astype(np.float64), group, T)

    @property
    def shape(self) -> tuple[int, int]:
        """Distinct rows K and columns P."""
        return self.X.shape[0], self.X.shape[1]

    def successes(self, Y: NDArray[np.uint8]) -> Array:
        """Events by distinct row (C, K) of masks (C, n)."""
        K, n = len(self.trials), len(self.group)
        if n == K:
            out = np.empty(Y.shape)
            out[:, self.group] = Y
            return out
        together = np.zeros((n, K), dtype=np.float32)  # counts below 2^24 are exact
        together[np.arange(n), self.group] = 1.0
        return (Y.astype(np.float32) @ together).astype(np.float64)


def standardising(matrix: Array) -> Array:
    """T (P, P) such that columns of matrix T other than the intercept have mean 0 and standard deviation 1.

    Without an intercept columns keep their zero and are scaled to a mean square of 1.

    >>> X = np.array([[1.0, 2], [1, 4], [1, 6]])
    >>> (X @ standardising(X)).std(axis=0).round(12).tolist()
    [0.0, 1.0]
    """
    P = matrix.shape[1]
    constant = np.flatnonzero((matrix == matrix[0]).all(axis=0) & (matrix[0] != 0))
    T = np.eye(P)
    intercept = int(constant[0]) if len(constant) else None
    for j in range(P):
        x = matrix[:, j]
        if intercept is None:
            T[j, j] = 1 / np.sqrt(np.mean(x**2))
        elif j == intercept:
            T[j, j] = 1 / x[0]
        else:
            T[j, j] = 1 / x.std()
            T[intercept, j] = -x.mean() / x.std() / matrix[0, intercept]
    return T
