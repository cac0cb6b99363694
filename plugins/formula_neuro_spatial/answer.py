"""What a method answers of a model, on the scale of the standardised covariates, and the maps made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import special

from formula_neuro.family import Array


class Posterior(Protocol):
    """Joint draws (V, P, K) of all coefficients, of the standardised covariates; number k is the same at every call."""

    @property
    def most(self) -> int | None: ...  # draws that there are; None: as many as are asked for

    def draws(self, numbers: range, seed: int) -> Array: ...


@dataclass(frozen=True, eq=False)
class Answer:
    """Of b: mean (V, P) and covariance (V, P, P); fitted incidence (V,).

    `sigma` (M, P, P) are draws of Q^-1 from its posterior or near it; `level` and `level_covariance` are of the mean
    of b over voxels, (P,) and (P, P).
    """

    mean: Array
    covariance: Array
    incidence: Array
    sigma: Array
    level: Array
    level_covariance: Array
    converged: bool
    notes: tuple[str, ...]
    diagnostics: pd.DataFrame
    positive: Array | None = None  # (V, P) share of draws above 0, on the data's scale; None: of the normal one
    posterior: Posterior | None = None  # draws of all coefficients together; None: none were kept


def values(answer: Answer, T: Array, loglik: Array) -> Mapping[str, Array]:
    """The maps of a MapFit, on the scale of the data."""
    covariance = T @ answer.covariance @ T.T
    i, j = np.tril_indices(len(T))
    coef, se = answer.mean @ T.T, np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    return {
        "coef": coef,
        "se": se,
        "positive": special.ndtr(coef / se) if answer.positive is None else answer.positive,
        "covariance": covariance[:, i, j],
        "loglik": loglik,
        "fitted_incidence": answer.incidence,
        "converged": np.full(len(answer.mean), answer.converged),
    }
