"""What a method answers of a model, on the scale of the standardised covariates, and the maps made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from formula_neuro.family import Array


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
    positive: Array | None = (
        None  # (V, P) share of draws above 0, on the data's scale; None: of the normal distribution
    )


@dataclass(frozen=True, eq=False)
class Engine:
    """The parts of a spatial fit that are no maps.

    sigma: of differences between neighbours, on the scale of the data: a row a pair of terms, the posterior mean and
    standard deviation of standard deviations (term2 empty) and correlations, and the interval of 95 %.
    level: of the mean of every coefficient over the voxels: estimate and posterior standard deviation.
    diagnostics: of the search, or of the chains.
    """

    sigma: pd.DataFrame
    level: pd.DataFrame
    diagnostics: pd.DataFrame


def engine(answer: Answer, T: Array, names: tuple[str, ...]) -> Engine:
    """The tables of an answer, T (P, P) taking coefficients to the scale of the data."""
    variance = T @ answer.level_covariance @ T.T
    level = pd.DataFrame({"term": names, "estimate": T @ answer.level, "sd": np.sqrt(np.diag(variance))})
    return Engine(_sigma_table(T @ answer.sigma @ T.T, names), level, answer.diagnostics)


def _sigma_table(sigma: Array, names: tuple[str, ...]) -> pd.DataFrame:
    sd = np.sqrt(np.diagonal(sigma, axis1=1, axis2=2))
    shown = [(name, "", sd[:, j]) for j, name in enumerate(names)]
    for i in range(len(names)):
        for j in range(i + 1, len(names)):
            shown.append((names[i], names[j], sigma[:, i, j] / (sd[:, i] * sd[:, j])))
    rows = [[a, b, x.mean(), x.std(ddof=1), *np.quantile(x, [0.025, 0.975])] for a, b, x in shown]
    return pd.DataFrame(rows, columns=["term", "term2", "estimate", "sd", "conf_low", "conf_high"])


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
