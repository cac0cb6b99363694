"""The answer of a block of voxels: named arrays whose first axis is the voxel, on the user's columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import ML
from formula_neuro.family import Array

from .design import Rows
from .estimate import Estimated
from .estimates import COMPLETE, OPEN, OVERLAP, QUASI, constant

Answer = dict[str, NDArray[Any]]


def answer(rows: Rows, out: Estimated, Y: NDArray[Any]) -> Answer:
    """The whole answer for responses Y (C, n); where a maximum is at infinity, what maximum likelihood tends to.

    There an infinite coefficient is inf with its sign, or NaN where that is open, and its standard error inf; the
    others have their limits. All of a constant voxel is NaN.
    """
    found, known, limits = out.found, out.known, out.limits
    likeliest = isinstance(rows.how, ML)
    lost = (known.kind != OVERLAP) & likeliest
    finite = (lost & (known.kind == QUASI))[:, None] & (known.signs == 0)
    infinite = (lost & np.isin(known.kind, (QUASI, COMPLETE)))[:, None] & (known.signs != 0)
    beta, V = on_columns(rows, found.b, found.V)
    beta = np.where(finite, limits.b, np.where(lost[:, None], np.nan, beta))
    beta = np.where(infinite & (known.signs != OPEN), np.copysign(np.inf, known.signs), beta)
    V = np.where((finite[:, :, None] & finite[:, None, :]), limits.V, np.where(lost[:, None, None], np.nan, V))
    se = np.where(infinite, np.inf, np.sqrt(np.diagonal(V, axis1=1, axis2=2)))
    half = np.where(lost, np.where(known.kind == QUASI, limits.loglik, 0.0), found.loglik)
    return {
        **filled(rows, beta, se, V),
        "loglik": half + constant(rows.family, Y, rows.w),
        "deviance": -2 * half,
        "iterations": found.iterations,
        "converged": found.converged & ~lost,
        "class": known.kind,
        "separated": _widened(rows, known.signs, 0),
    }


def on_columns(rows: Rows, b: Array, V: Array) -> tuple[Array, Array]:
    """Coefficients (C, r) of the kept columns and their covariance, of those in the basis."""
    inverse = np.linalg.inv(rows.R)
    return b @ inverse.T, inverse @ V @ inverse.T


def filled(rows: Rows, beta: Array, se: Array, V: Array) -> Answer:
    """coef, se (C, P) and covariance (C, P (P + 1) / 2) with NaN in aliased columns."""
    C, P, k = len(beta), rows.columns, rows.kept
    full = np.full((C, P, P), np.nan)
    full[np.ix_(np.arange(C), k, k)] = V
    i, j = np.tril_indices(P)
    return {"coef": _widened(rows, beta, np.nan), "se": _widened(rows, se, np.nan), "covariance": full[:, i, j]}


def _widened(rows: Rows, values: NDArray[Any], empty: float) -> NDArray[Any]:
    full = np.full((len(values), rows.columns), empty, dtype=values.dtype)
    full[:, rows.kept] = values
    return full
