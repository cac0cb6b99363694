"""Errors of a zero-inflated model's means and probabilities, by the delta method on (b, gamma) together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from ...design import Design
from ...errors import Unable
from ...family import Array, Binomial
from ...result import Fit
from ..zero_inflation import required
from .limits import Wish


def of_mixture(fit: Fit, design: Design, zeros: Design, type: str, wish: Wish) -> pd.DataFrame:
    """fitted, std_error and limits of (1 - p) mu ("response"), p ("zprob") or logit p ("zlink"); random effects are 0.

        d (1 - p) mu = (1 - p) mu' x'db - mu p (1 - p) z'dgamma,   mu' = dmu/deta

    Limits are found on the scale of the logarithm of means of counts, of the logit of shares and probabilities.
    """
    if wish.interval == "prediction" or wish.vcov is not None:
        raise Unable(f"type={type!r} has the fit's own standard errors and interval='confidence' only")
    V, kept, own = _joint(fit)
    p, Z = required(fit, "predict() is").probability(zeros), zeros.matrix[:, own]
    by_b, steep = np.zeros((len(p), int(kept.sum()))), p * (1 - p)
    if type == "response":
        X, link = design.matrix[:, kept], fit.family.link
        eta = X @ fit.beta[kept] + design.offset
        mu = link.inverse(eta)
        value, by_b, by_gamma = (1 - p) * mu, ((1 - p) * link.derivative(eta))[:, None] * X, -(mu * steep)[:, None] * Z
    elif type == "zprob":
        value, by_gamma = p, steep[:, None] * Z
    else:
        value, by_gamma = special.logit(p), Z
    G = np.hstack([by_b, by_gamma])
    se = np.sqrt(np.einsum("nk,kl,nl->n", G, V, G))
    table = pd.DataFrame({"fitted": value, "std_error": se}, index=design.index)
    if wish.interval is None:
        return table
    low, high = _limits(value, se, type, isinstance(fit.family, Binomial), wish.conf_level)
    return table.assign(conf_low=low, conf_high=high)


def _joint(fit: Fit) -> tuple[Array, Any, Any]:
    """The covariance of the coefficients that are not aliased, b's before gamma's, and which these are."""
    zeros = required(fit, "predict() is")
    if zeros.joint is None:
        raise Unable(f"a fit by {fit.backend} does not keep the covariance of its two parts; fit it natively")
    kept, own = ~np.isnan(fit.beta), ~np.isnan(zeros.gamma)
    across = zeros.joint[np.ix_(kept, own)]
    rows = [[fit.covariance[np.ix_(kept, kept)], across], [across.T, zeros.covariance[np.ix_(own, own)]]]
    return np.block(rows), kept, own


def _limits(value: Array, se: Array, type: str, shares: bool, conf_level: float) -> tuple[Array, Array]:
    z = stats.norm.ppf((1 + conf_level) / 2)
    if type == "zlink":
        return value - z * se, value + z * se
    if type == "zprob" or shares:
        at, half = special.logit(value), z * se / (value * (1 - value))
        return special.expit(at - half), special.expit(at + half)
    half = z * se / value
    return value * np.exp(-half), value * np.exp(half)
