"""Estimates of a block of voxels, before they are put on the user's columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from formula_neuro.family import Array, Family

OVERLAP, QUASI, COMPLETE, ALL_ZERO, ALL_ONE, UNDEFINED = range(6)
OPEN = 2  # in place of a sign: infinite, but the data leave open which way


@dataclass(frozen=True, eq=False)
class Estimates:
    """Of C voxels in the basis: b (C, r), V (C, r, r), loglik, iterations and converged (C,); NaN where not fitted.

    loglik is less the saturated model's: minus half the deviance. overlap (C,) says where the scores prove overlap.
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

    def put(self, at: NDArray[np.intp], others: Estimates) -> None:
        """Those of voxels `at` in place of what is here."""
        for name in ("b", "V", "loglik", "iterations", "converged", "overlap"):
            getattr(self, name)[at] = getattr(others, name)


def saturated(family: Family, Y: Array, w: Array) -> Array:
    """(C,) sum of w (y log mu + ...) at mu = y (C, n): what a log-likelihood's kernel is at most."""
    if Y.dtype.kind in "ub":
        return np.zeros(len(Y))
    rows = special.xlogy(Y, Y) + (-Y if family.name == "poisson" else special.xlogy(1 - Y, 1 - Y))
    return np.asarray(rows @ w)


def constant(family: Family, Y: Array, w: Array) -> Array:
    """(C,) the log-likelihood of the saturated model, with R's constants."""
    if Y.dtype.kind in "ub":
        return np.zeros(len(Y))
    if family.name == "poisson":
        return np.asarray(saturated(family, Y, w) - special.gammaln(Y + 1) @ w)
    return np.array([family.loglik(y, y, w, 1.0) for y in Y])
