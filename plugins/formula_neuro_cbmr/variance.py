"""Variances of maps in every voxel from covariances of coefficients, without a row of X being formed."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.special import softmax

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .gram import Gram

WHATS = ("intensity", "shape")


class Covariances(Protocol):
    """What knows the covariance of the coefficients of two maps, R b with rows R over the maps."""

    @property
    def gram(self) -> Gram: ...

    @property
    def b(self) -> Array: ...

    def covariance(self, r: Array, s: Array, kind: str) -> Array:
        """Of the coefficients r b and s b, (P, P); r, s (C,)."""


def variance(engine: Covariances, R: Array, kind: str, what: str) -> Array:
    """Covariances of the maps R b, R (k, C), in every voxel: (V, k, k).

    what="shape": of log pi = x_v'b - log sum_v exp(x_v'b), whose gradient is x_v - xbar, xbar = sum_v pi_v x_v.
    """
    if what not in WHATS:
        raise DataError(f"what={what!r} is not known; there are {', '.join(WHATS)}")
    R = np.atleast_2d(np.asarray(R, dtype=np.float64))
    basis = engine.gram.basis
    means = basis.project(softmax(basis.expand(R @ engine.b), axis=1)) if what == "shape" else None
    out = np.empty((basis.V, len(R), len(R)))
    for i in range(len(R)):
        for j in range(i + 1):
            C = engine.covariance(R[i], R[j], kind)
            found = engine.gram.spread(C)
            if means is not None:
                found = found - basis.expand(C @ means[j]) - basis.expand(C.T @ means[i]) + means[i] @ C @ means[j]
            out[:, i, j] = out[:, j, i] = found
    return out
