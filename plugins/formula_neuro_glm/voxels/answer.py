"""The answer of a block of voxels: named arrays whose first axis is the voxel, on the user's columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .design import Rows

OVERLAP, QUASI, COMPLETE, ALL_ZERO, ALL_ONE, UNDEFINED = range(6)
OPEN = 2  # in place of a sign: infinite, but the data leave open which way
Answer = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Estimates:
    """Of C voxels in the basis: b (C, r), V (C, r, r), loglik, iterations, converged and overlap (C,).

    NaN where not fitted; overlap: proved by the fit itself.
    """

    b: Array
    V: Array
    loglik: Array
    iterations: NDArray[np.int32]
    converged: NDArray[np.bool_]
    overlap: NDArray[np.bool_]

    @classmethod
    def empty(cls, voxels: int, rank: int) -> Estimates:
        nan = np.full(voxels, np.nan)
        return cls(
            np.full((voxels, rank), np.nan), np.full((voxels, rank, rank), np.nan), nan,
            np.zeros(voxels, dtype=np.int32), np.zeros(voxels, dtype=bool), np.zeros(voxels, dtype=bool),
        )  # fmt: skip


def coefficients(rows: Rows, b: Array, V: Array) -> Answer:
    """coef, se (C, P) and covariance (C, P (P + 1) / 2) of b (C, r) and V (C, r, r); NaN in aliased columns."""
    C, P, k = len(b), rows.columns, rows.kept
    inverse = np.linalg.inv(rows.R)
    coef, full = np.full((C, P), np.nan), np.full((C, P, P), np.nan)
    coef[:, k] = b @ inverse.T
    covariance = inverse @ V @ inverse.T
    full[np.ix_(np.arange(C), k, k)] = covariance
    i, j = np.tril_indices(P)
    se = np.sqrt(np.diagonal(full, axis1=1, axis2=2))
    return {"coef": coef, "se": se, "covariance": full[:, i, j]}


def answer(
    rows: Rows, found: Estimates, kind: NDArray[np.int8], signs: NDArray[np.int8], lost: NDArray[np.bool_]
) -> Answer:
    """The whole answer; `lost` (C,) are voxels whose maximum likelihood estimate does not exist.

    There an infinite coefficient is inf with its sign and has the standard error inf; one whose sign is open, the
    finite ones beside it (which have a limit that the search does not seek) and all of a constant voxel are NaN.
    """
    parts = coefficients(rows, found.b, found.V)
    separated = np.zeros((len(kind), rows.columns), dtype=np.int8)
    separated[:, rows.kept] = signs
    apart = (kind == QUASI) | (kind == COMPLETE)
    infinite = (lost & apart)[:, None] & (separated != 0)
    coef = np.where(lost[:, None], np.nan, parts["coef"])
    coef = np.where(infinite & (separated != OPEN), np.copysign(np.inf, separated), coef)
    loglik = np.where(lost, np.where(kind == QUASI, np.nan, 0.0), found.loglik)
    return {
        "coef": coef,
        "se": np.where(infinite, np.inf, np.where(lost[:, None], np.nan, parts["se"])),
        "covariance": np.where(lost[:, None], np.nan, parts["covariance"]),
        "loglik": loglik,
        "deviance": -2 * loglik,
        "iterations": found.iterations,
        "converged": found.converged & ~lost,
        "class": kind,
        "separated": separated,
    }
