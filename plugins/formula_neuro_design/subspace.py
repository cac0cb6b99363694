"""The best column space for a given estimator, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from formula_neuro.family import Array


@dataclass(frozen=True, eq=False)
class Subspace:
    """The span of the fixed columns, of `direction` y/|y| and of `others`, in coordinates off the fixed columns.

    `left` is T, the trace of W that the span does not hold, and `slope` its derivative by y.
    """

    direction: Array  # (r - q,)
    others: Array  # (r - q, k)
    left: float
    slope: Array  # (r - q,)


def best_subspace(W: Array, y: Array, k: int) -> Subspace:
    """The span that holds y and k more directions and leaves the least of W (symmetric): leading eigenvectors off y.

    The slope is that of T with the eigenvectors held (envelope theorem); where eigenvalues k and k + 1 are equal it is
    one of several.
    """
    length = np.sqrt(y @ y)
    unit = y / length
    Wu = W @ unit
    rho = unit @ Wu
    E, values = np.zeros((len(y), 0)), np.zeros(0)
    if k:
        off = W - np.outer(unit, Wu) - np.outer(Wu, unit) + rho * np.outer(unit, unit)
        values, E = linalg.eigh(off, subset_by_index=[len(y) - k, len(y) - 1])
    slope = -2 * (Wu - rho * unit - E @ (E.T @ Wu)) / length
    return Subspace(unit, E, float(np.trace(W) - rho - values.sum()), slope)
