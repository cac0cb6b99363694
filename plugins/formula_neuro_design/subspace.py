"""The best column space for given estimators, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from formula_neuro.family import Array


@dataclass(frozen=True, eq=False)
class Subspace:
    """The span of the fixed columns, the estimators' `directions` and `others`, in coordinates off the fixed columns.

    `left` is T, the trace of W that the span does not hold, and `slope` its derivative by Y.
    """

    directions: Array  # (r - q, s) orthonormal
    others: Array  # (r - q, k) orthonormal
    left: float
    slope: Array  # (r - q, s)

    @property
    def basis(self) -> Array:
        return np.hstack([self.directions, self.others])


def best_subspace(W: Array, Y: Array, k: int) -> Subspace:
    """The span that holds the columns of Y (r - q, s) and k more directions and leaves the least of W (symmetric).

    Those are leading eigenvectors off Y. The slope is that of T with the eigenvectors held (envelope theorem); where
    eigenvalues k and k + 1 are equal it is one of several.
    """
    U, R = np.linalg.qr(Y)
    WU = W @ U
    rho, total = U.T @ WU, float(np.trace(W))
    E, values = np.zeros((len(Y), 0)), np.zeros(0)
    if k:
        # U's own directions get eigenvalues far below 0, so that none of them is taken where W has little rank
        off = W - U @ WU.T - WU @ U.T + U @ (rho - (total or 1.0) * np.eye(len(rho))) @ U.T
        values, E = linalg.eigh(off, subset_by_index=[len(Y) - k, len(Y) - 1])
    slope = -2 * np.linalg.solve(R, (WU - U @ rho - E @ (E.T @ WU)).T).T
    return Subspace(U, E, float(total - np.trace(rho) - values.sum()), slope)
