"""residuals(): the distance of each row from the model, in R's kinds and in randomized quantiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from ...errors import Unable
from ...family import Array
from ...nearest import not_known
from ...result import Fit
from .. import zero_inflation as zeros
from ..rows.influence import measured, standardized, studentized
from ..rows.working import working
from .marginal_cdf import marginal_cdf, spread
from .term_contributions import contributions

KINDS = (
    "response", "pearson", "deviance", "working", "partial", "standardized", "standardized pearson", "studentized",
    "quantile",
)  # fmt: skip


def residuals(
    fit: Fit, type: str | None = None, seed: int | np.random.Generator | None = None, random: bool = False
) -> pd.Series | pd.DataFrame:
    """Residuals of the rows used; R's default is "response" for linear models and "deviance" for others.

    response: y - mu. pearson: (y - mu) sqrt(w / V(mu)), not divided by sigma, as R's. deviance: the signed root of
    each row's share of the deviance. working: (y - mu) / (dmu/deta). partial: a column a term, the working residual
    plus the term's centred contribution. standardized, "standardized pearson", studentized: R's rstandard (of a GLM
    from the deviance, or Pearson's) and rstudent; linear and generalized linear models only.
    quantile: standard normal if the model is right, whatever the family (Dunn & Smyth 1996); discrete responses are
    spread evenly, by `seed`, over the probability of what was seen; weights of counts do not change their distribution.
    Of a mixed model the distribution is that over new random effects, as DHARMa's simulated residuals (rows of a group
    are alike then); `random=True` takes the effects as estimated, which makes residuals a little too small.

    Raises ValueError for another word, Unable where a kind is not defined.
    """
    if seed is not None and type != "quantile":
        raise ValueError("seed= spreads discrete responses; it goes with type='quantile'")
    if random and type != "quantile":
        raise ValueError("random= goes with type='quantile'; the other kinds take the random effects as estimated")
    usual = "response" if fit.request.model in ("lm", "lmm") else "pearson" if fit.inflation else "deviance"
    type = type or usual
    if type not in ("response", "pearson", "quantile") and type in KINDS:
        zeros.refuse(fit, f"residuals({type!r}) are", "there are 'response', 'pearson' and 'quantile'")
    index = fit.request.design.index
    if type == "partial":
        return contributions(fit).add(_working(fit), axis=0)
    if type == "quantile":
        values = quantile(fit, np.random.default_rng(seed), random)
    elif type in _PLAIN:
        values = _PLAIN[type](fit)
    elif type in KINDS:
        base = working(fit, f"residuals({type!r}) are")
        rows = measured(fit, base)
        values = base.on_rows(studentized(rows) if type == "studentized" else standardized(rows, "pearson" in type))
    else:
        raise ValueError(not_known("type", type, KINDS))
    return pd.Series(values, index=index, name="residual")


def _response(fit: Fit) -> Array:
    return np.asarray(fit.request.y - fit.fitted.to_numpy())


def _pearson(fit: Fit) -> Array:
    mu = fit.request.family.link.inverse(fit.eta)
    if fit.inflation is not None:
        return np.asarray(_response(fit) / np.sqrt(zeros.variance(fit, mu)))
    variance = fit.request.family.variance(mu)
    return np.asarray(_response(fit) * np.sqrt(fit.residual_weights / variance))


def _deviance(fit: Fit) -> Array:
    mu = fit.request.family.link.inverse(fit.eta)
    shares = fit.request.family.deviance(fit.request.y, mu, fit.request.weights)
    return np.asarray(np.sign(fit.request.y - mu) * np.sqrt(np.maximum(shares, 0.0)))


def _working(fit: Fit) -> Array:
    return np.asarray(_response(fit) / fit.request.family.link.derivative(fit.eta))


_PLAIN: dict[str, Callable[[Fit], Array]] = {
    "response": _response, "pearson": _pearson, "deviance": _deviance, "working": _working,
}  # fmt: skip


def quantile(fit: Fit, rng: np.random.Generator, random: bool = False) -> Array:
    """Phi^-1 of u (n,), u uniform on (P(Y < y), P(Y <= y)); rows of weight 0 are NaN.

    Above the median the upper tail is used, so that a far response is 8 or 30 sd away and not infinitely far; beyond
    37 sd, where probabilities end, it is 37.
    """
    request, family = fit.request, fit.request.family
    if not family.likelihood:
        raise Unable(f"residuals('quantile') need a distribution, and {family} states a variance alone")
    used = request.weights > 0
    y, w = request.y[used], request.weights[used]
    distribution = _marginal(fit, used) if fit.random and not random else _conditional(fit, used)
    if fit.inflation is not None:
        distribution = _with_zeros(distribution, fit.zero_probability[used])
    below, above = distribution(y)
    u, gap = rng.random(len(request.y))[used], family.spacing(w)
    if gap.any():
        lower, upper = distribution(y - gap)
        below, above = lower + u * (below - lower), above + (1 - u) * (upper - above)
    least = np.finfo(float).tiny
    values = np.where(below < 0.5, special.ndtri(np.maximum(below, least)), -special.ndtri(np.maximum(above, least)))
    full = np.full(len(request.y), np.nan)
    full[used] = values
    return full


Distribution = Callable[[Array], tuple[Array, Array]]  # of responses: P(Y <= y), P(Y > y)


def _with_zeros(own: Distribution, p: Array) -> Distribution:
    """The distribution when a response is 0 with probability p, whatever its own."""

    def mixed(y: Array) -> tuple[Array, Array]:
        below, above = own(y)
        return np.where(y < 0, 0.0, p + (1 - p) * below), np.where(y < 0, 1.0, (1 - p) * above)

    return mixed


def _conditional(fit: Fit, used: NDArray[np.bool_]) -> Distribution:
    family, w = fit.request.family, fit.residual_weights[used]
    mu = family.link.inverse(fit.eta[used])
    return lambda y: family.cdf(y, mu, w, fit.dispersion)


def _marginal(fit: Fit, used: NDArray[np.bool_]) -> Distribution:
    design = fit.request.design
    eta = (design.matrix @ np.nan_to_num(fit.beta) + design.offset)[used]
    s, w = spread(fit)[used], fit.residual_weights[used]
    return lambda y: marginal_cdf(fit, y, eta, s, w)
