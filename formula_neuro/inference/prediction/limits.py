"""Standard errors and intervals of predictions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from scipy.linalg import solve_triangular

from ...errors import Unable
from ...family import Array, Family
from ...nearest import not_known
from ...result import Fit
from ..coefficients import check_level
from ..precision import precision
from ..rows.robust import Robust
from ..rows.working import working

INTERVALS = ("confidence", "prediction")


@dataclass(frozen=True)
class Wish:
    """What a prediction shall come with beside its value; `weights` (n,) are those of new responses."""

    interval: str | None = None
    conf_level: float = 0.95
    df: str | None = None
    vcov: Any = None
    weights: Array = field(default_factory=lambda: np.ones(1))

    def __post_init__(self) -> None:
        check_level(self.conf_level)
        if self.interval is not None and self.interval not in INTERVALS:
            raise ValueError(not_known("interval", self.interval, INTERVALS))


def check_able(fit: Fit, wish: Wish, random: bool, type: str) -> None:
    """Raise Unable where a fit has no such standard errors or intervals; random: whether they include its effects."""
    if random and wish.vcov is not None:
        raise Unable(
            "vcov= is of the coefficients, and this prediction includes random effects: ask with random=False, or "
            "without vcov="
        )
    if wish.interval != "prediction":
        return
    if fit.request.model not in ("lm", "lmm"):
        raise Unable(
            f"interval='prediction' is for linear models, and this is a {fit.request.model}; simulate() draws new "
            "responses of any model, interval='confidence' is of the mean"
        )
    if wish.vcov is not None:
        raise Unable(
            "interval='prediction' rests on one residual variance, which vcov= gives up; leave one of them out"
        )
    if type == "terms":
        raise Unable("interval='prediction' is of a new response, not of single terms; take interval='confidence'")


def uncertainty(
    fit: Fit, X: Array, wish: Wish, robust: Robust | None, added: Array | float = 0.0
) -> tuple[Array, Array]:
    """Standard errors (n,) of X b and how far the limits of the interval lie from it, (n,).

    The standard errors are the mean's; to a new response's limits belong its own sigma^2 / w too, and the variance
    `added` of random effects.
    """
    kept = ~np.isnan(fit.beta)
    own = precision(fit, wish.df)
    V = (own.covariance if robust is None else robust.matrix)[np.ix_(kept, kept)]
    se = _errors(fit, X[:, kept], V) if robust is None else _of_covariance(X[:, kept], V)
    if wish.interval is None:
        return se, np.full(len(se), np.nan)
    L = np.where(kept, X, 0.0)  # of aliased columns nothing is asked
    df = own.freedom(L) if robust is None else robust.freedom(fit, len(L), wish.df)
    with np.errstate(divide="ignore"):  # a new response of weight 0 may lie anywhere
        spread = se if wish.interval == "confidence" else np.sqrt(se**2 + added + fit.sigma**2 / wish.weights)
    return se, np.asarray(stats.t.ppf((1 + wish.conf_level) / 2, df) * spread)


def _errors(fit: Fit, X: Array, V: Array) -> Array:
    """Standard errors of X b (n,) with the fit's own covariance V.

    By the triangle of X'WX where there is one: x'Vx itself loses twice the digits for covariates far from 0, as years.
    """
    if fit.request.model in ("lm", "glm"):
        R = working(fit, "").R
        if (np.diag(R) != 0).all():
            root = solve_triangular(R, X.T, trans="T", check_finite=False)  # rows with a missing value stay NaN
            return np.asarray(fit.sigma * np.sqrt((root**2).sum(axis=0)))
    return _of_covariance(X, V)


def _of_covariance(X: Array, V: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.maximum(np.einsum("np,pq,nq->n", X, V, X, optimize=True), 0.0))


def through_link(family: Family, eta: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Limits of the means from those of the linear predictor, lower first, cut to the range of the link."""
    link = family.link
    least, most = family.limits
    with np.errstate(all="ignore"):
        if link.name == "sqrt":  # mu = eta^2 has its least value at 0, on either side
            squares = np.sort([low**2, high**2], axis=0)
            return np.where((low < 0) & (high > 0), 0.0, squares[0]), squares[1]
        if link.name in ("inverse", "1/mu^2"):  # beyond eta = 0 lies another branch
            side = np.sign(eta)
            low, high = np.where(side > 0, np.maximum(low, 0.0), low), np.where(side < 0, np.minimum(high, -0.0), high)
            ends = np.array(
                [np.where(e == 0, side * np.inf, link.inverse(np.where(e == 0, 1.0, e))) for e in (low, high)]
            )
        else:
            ends = np.array([link.inverse(np.clip(e, least, most)) for e in (low, high)])
    ends = np.sort(ends, axis=0)
    return ends[0], ends[1]
