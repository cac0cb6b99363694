"""The answer of a block of voxels of a linear mixed model: named arrays whose first axis is the voxel.

Beside the names that all maps have: `df` (C, P) of the coefficients, `theta` (C, m) lme4's, `singular` (C,), and what
degrees of freedom of any contrast are made of (freedom.py): `df_slopes` (C, m, P (P + 1) / 2), the derivatives of the
coefficients' covariance in theta, and `df_covariance` (C, m + 1, m + 1), the covariance of (theta, log sigma^2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array
from formula_neuro.kernels.rank import Basis

from .freedom import freedom

Answer = dict[str, NDArray[Any]]
UNDEFINED = 5  # the class of voxels in which the likelihood has no maximum


@dataclass(frozen=True, eq=False)
class Solved:
    """C voxels at their minima, in the coordinates of X's orthonormal basis; `fine` (C,) says where there is one."""

    value: Array  # (C,) the deviance or REML criterion
    b: Array  # (C, r)
    C: Array  # (C, r, r), (X'V^-1X)^-1
    s2: Array  # (C,)
    theta: Array  # (C, m), lme4's
    slopes: Array  # (C, m, r, r), the derivatives of C in the elements of theta
    A: Array  # (C, m + 1, m + 1), the covariance of (theta, log s2)
    iterations: NDArray[np.int32]
    converged: NDArray[np.bool_]
    singular: NDArray[np.bool_]
    fine: NDArray[np.bool_]


def answer(basis: Basis, at: Solved, words: Mapping[str, Array]) -> Answer:
    """On the user's columns, aliased ones NaN; `words` are maps of one word (C,). All NaN where there is no minimum."""
    count, P = len(at.s2), basis.columns
    back = inverse(basis.R)
    beta = np.full((count, P), np.nan)
    beta[:, basis.kept] = at.b @ back.T
    covariance = packed(basis, back @ (at.s2[:, None, None] * at.C) @ back.T)
    slopes = packed(basis, back @ (at.s2[:, None, None, None] * at.slopes) @ back.T)
    diagonal = np.cumsum(np.arange(1, P + 1)) - 1
    found = {
        "coef": beta,
        "se": np.sqrt(covariance[:, diagonal]),
        "covariance": covariance,
        "loglik": -at.value / 2,
        "deviance": at.value,
        "sigma": np.sqrt(at.s2),
        "theta": at.theta,
        "df": freedom(covariance[:, diagonal], slopes[:, :, diagonal], at.A),
        "df_slopes": slopes,
        "df_covariance": at.A,
        **words,
    }
    for values in found.values():
        values[~at.fine] = np.nan
    return found | {
        "singular": at.singular & at.fine,
        "iterations": at.iterations,
        "converged": at.converged & at.fine,
        "class": np.where(at.fine, 0, UNDEFINED).astype(np.int8),
        "separated": np.zeros((count, P), dtype=np.int8),
    }


def packed(basis: Basis, square: Array) -> Array:
    """The lower triangles (..., P (P + 1) / 2), row by row, of (..., r, r) of the kept columns; NaN of the others."""
    full = np.full((*square.shape[:-2], basis.columns, basis.columns), np.nan)
    full[..., basis.kept[:, None], basis.kept] = square
    return np.asarray(full[(..., *np.tril_indices(basis.columns))])


def inverse(A: Array) -> Array:
    """Of every matrix (..., r, r)."""
    return np.asarray(np.linalg.inv(A), dtype=np.float64)


def information_inverse(H: Array) -> Array:
    """Twice the inverse of Hessians (C, m, m), without the directions that hardly curve, which carry no information."""
    values, vectors = np.linalg.eigh(H)
    known = values > 1e-8 * np.maximum(1.0, values[:, -1:])
    scaled = vectors * np.where(known, 2 / np.where(known, values, 1.0), 0.0)[:, None, :]
    return np.asarray(scaled @ vectors.transpose(0, 2, 1))


def joined(parts: Sequence[Answer]) -> Answer:
    """Of voxels one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
