"""What a model gains over its intercept alone: the null deviance of a GLM, R squared and F of a linear model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from ..result import Fit


@dataclass(frozen=True)
class Explained:
    """R squared of a linear model, and the F test of all that it has beside the intercept."""

    share: float
    adjusted: float
    F: float
    df: int  # of F's numerator: 0 where there is an intercept only, or no residual degree of freedom
    p_value: float


def explained(fit: Fit) -> Explained:
    """What a linear model explains about the weighted mean, about 0 if it has no intercept, as R's summary().

        R2 = m / (m + r),   m = sum w (mu - mean mu)^2,   r = sigma^2 df_resid,   F = (m / df) / sigma^2

    mu are the fitted means without the offset.
    """
    weights, mean = fit.request.weights, np.asarray(fit.fitted) - fit.request.design.offset
    intercept = int(fit.request.design.formula.fixed.intercept)
    df = len(fit.names) - len(fit.aliased) - intercept
    centre = np.average(mean, weights=weights) if intercept else 0.0
    model, rest = float(weights @ (mean - centre) ** 2), float(fit.sigma**2 * fit.df_resid)
    if not fit.df_resid:
        return Explained(1.0, math.nan, math.nan, 0, math.nan)
    share = model / (model + rest) if model + rest else math.nan
    adjusted = 1 - (1 - share) * (fit.df_resid + df) / fit.df_resid
    if not df:
        return Explained(share, adjusted, math.nan, 0, math.nan)
    F = model / df / fit.sigma**2 if fit.sigma else math.inf
    return Explained(share, adjusted, F, df, float(special.fdtrc(df, fit.df_resid, F)))


def null_deviance(fit: Fit, tolerance: float = 1e-10, most: int = 100) -> float:
    """The deviance of a GLM with the intercept alone (with nothing, if the model has none), offset kept.

    The fit's own where it has one, else by Fisher scoring in one unknown b:

        b += sum(w mu' (y - mu) / V) / sum(w mu'^2 / V)
    """
    if np.isfinite(fit.null_deviance):
        return fit.null_deviance
    family, y, w, offset = fit.request.family, fit.request.y, fit.request.weights, fit.request.design.offset
    if not fit.request.design.formula.fixed.intercept:
        return float(family.deviance(y, family.link.inverse(offset), w).sum())
    link = family.link
    mean = np.average(y, weights=w)
    if fit.request.family.name == "poisson" and mean == 0:
        return 0.0  # counts that are all 0 are fitted by any intercept that is low enough
    b = float(link(np.atleast_1d(mean))[0] - np.average(offset, weights=w))
    for _ in range(most):
        mu, slope = link.inverse(b + offset), link.derivative(b + offset)
        scaled = w * slope / family.variance(mu)
        step = float(scaled @ (y - mu) / (scaled @ slope))
        b += step
        if abs(step) <= tolerance * (1 + abs(b)):
            break
    return float(family.deviance(y, link.inverse(b + offset), w).sum())
