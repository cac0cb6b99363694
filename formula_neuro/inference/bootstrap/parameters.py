"""All parameters of a fit in one row, by lme4's names: of a mixed model standard deviations and correlations first."""

from __future__ import annotations

import numpy as np

from ...family import Array
from ...result import Fit

ZEROS = "zi_"  # before the names of the coefficients of zero inflation, which are those of the others


def names(fit: Fit) -> tuple[str, ...]:
    """ "sd_(Intercept)|g", "cor_x.(Intercept)|g", "sd_x|g", ..., "sigma" where estimated, then the coefficients' names.

    Without random effects the coefficients come first. Of a generalized linear mixed model its shape ("theta", "phi")
    and the coefficients of zero inflation ("zi_(Intercept)") come last.
    """
    sigma = ["sigma"] if fit.request.family.dispersed else []
    found = []
    for effect in fit.random:
        columns = effect.columns
        found += [
            f"sd_{columns[j]}|{effect.group}" if i == j else f"cor_{columns[i]}.{columns[j]}|{effect.group}"
            for j, i in zip(*np.triu_indices(len(columns)), strict=True)
        ]
    return (*found, *sigma, *fit.names, *_other_names(fit)) if found else (*fit.names, *sigma)


def _other_names(fit: Fit) -> tuple[str, ...]:
    shape = [fit.family.shape[0]] if fit.family.shape is not None else []
    zeros = fit.request.inflation
    return (*shape, *(f"{ZEROS}{name}" for name in (zeros.names if zeros is not None else ())))


def others(fit: Fit) -> Array:
    """The shape and the coefficients of zero inflation of a mixed model; empty where there are none."""
    if not fit.random:
        return np.empty(0)
    shape = [fit.family.shape[1]] if fit.family.shape is not None else []
    return np.array([*shape, *(fit.inflation.gamma if fit.inflation is not None else ())])


def in_order(fit: Fit, beta: Array, spread: Array, sigma: Array, others: Array) -> Array:
    """Coefficients (..., p), spreads (..., v), sigma (...) and what `others` has (..., k) in the order of `names`."""
    own = [sigma[..., None]] if fit.request.family.dispersed else []
    parts = [spread, *own, beta, others] if fit.random else [beta, *own]
    return np.concatenate(parts, axis=-1)


def values(fit: Fit) -> Array:
    """The estimates, in the order of `names`."""
    return in_order(fit, fit.beta, of_random(fit), np.asarray(fit.sigma), others(fit))


def of_random(fit: Fit) -> Array:
    """Standard deviations and correlations of the random effects, term by term."""
    return np.concatenate([np.empty(0), *(spread(effect.covariance) for effect in fit.random)])


def spread(covariance: Array) -> Array:
    """(..., K (K + 1) / 2) standard deviations and correlations of covariances (..., K, K): lower triangle by columns.

    A correlation with an effect of no variance is NaN.

    >>> spread(np.array([[4.0, 3.0], [3.0, 9.0]])).tolist()
    [2.0, 0.5, 3.0]
    """
    sd = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    j, i = np.triu_indices(sd.shape[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.clip(covariance[..., i, j] / (sd[..., i] * sd[..., j]), -1.0, 1.0)
    return np.where(i == j, sd[..., i], correlation)
