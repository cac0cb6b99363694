"""The numbers of a GLM that R defines beside its coefficients: log-likelihood, null deviance, dispersion."""

from __future__ import annotations

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array, Binomial, Family, NBinom2
from formula_neuro.kernels.irls import irls
from formula_neuro.request import Request


def loglik(request: Request, mu: Array) -> float:
    """R's logLik.glm at the means (n,): families with a dispersion take an estimate from the deviance.

    inf for a perfect fit of such a family, NaN for a quasi family.
    """
    family, used = request.family, request.weights > 0
    y, w, mu = request.y[used], request.weights[used], mu[used]
    prior = _prior_of_counts(request)
    if prior is not None and isinstance(family, Binomial) and family.likelihood:
        prior = prior[used]
        return float((prior * family.rows(y, mu, w / prior)).sum())
    at = family.ml_dispersion(y, mu, w)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return family.loglik(y, mu, w, at) if at > 0 else float("inf")


def _prior_of_counts(request: Request) -> Array | None:
    """Weights given beside cbind(successes, failures): R lets them multiply the rows' log-likelihoods."""
    design = request.design
    if design.weights is None or design.y is None or design.y.ndim != 2:
        return None
    trials = design.y.sum(axis=1)
    own = bool((np.abs(request.y * trials - design.y[:, 0]) < 1e-8 * (1 + trials)).all())  # not a simulated response
    return design.weights if own and (trials > 1).any() else None


def null_deviance(request: Request, family: Family) -> float:
    """The deviance of the intercept alone, or of nothing where the model has none, with the offset kept."""
    used = request.weights > 0
    y, w, offset = request.y[used], request.weights[used], request.design.offset[used]
    if not request.design.formula.fixed.intercept:
        with np.errstate(divide="ignore", invalid="ignore"):
            mu = family.link.inverse(offset)
    elif not offset.any():
        mu = np.full(len(y), np.average(y, weights=w))
    else:
        try:
            mu = irls(np.full((len(y), 1), len(y) ** -0.5), y, w, offset, family).mu
        except FitError:  # no intercept keeps all means in the range
            mu = np.full(len(y), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = family.deviance(y, mu, w)
    return float("inf") if np.isposinf(rows).any() else float(rows.sum())  # as a mean of 0 beside a count


def dispersion(family: Family, y: Array, mu: Array, w: Array, df: int) -> float:
    """Pearson's chi-squared over the residual degrees of freedom; 1 where the family has no dispersion, NaN at df 0."""
    if not family.dispersed:
        return 1.0
    return float((w * (y - mu) ** 2 / family.variance(mu)).sum() / df) if df > 0 else float("nan")


def count_parameters(family: Family, rank: int) -> int:
    """Coefficients, and what R's logLik counts beside them: a dispersion with a likelihood, an estimated theta."""
    estimated = isinstance(family, NBinom2) and not family.fixed
    return rank + int(family.dispersed and family.likelihood) + int(estimated)
