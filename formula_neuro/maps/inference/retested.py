"""Tests of hypotheses in every voxel besides Wald's: score and likelihood ratio, from a null model's fit.

Score (Rao 1948): U'I^-1 U of the whole model at the null model. It needs no estimate of what is tested, so that it is
finite where separation makes that infinite. Likelihood ratio: the rise of the deviance; of -2 penalised log-likelihood
where the estimator maximises one, what is tested being held at 0 and staying in the penalty (Heinze and Schemper 2002).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special, stats

from ...errors import Unable
from ...estimator import BIAS_REDUCED
from ...family import Array
from ..maps import wald
from .heights import Nested, check_ratio, penalised
from .held import split

if TYPE_CHECKING:
    from ..fit import MapFit

TESTS = ("wald", "score", "lr")


def retested(fit: MapFit, L: Array, value: Array, test: str) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The maps of L b = value by "score" or "lr", and what there is to say of them."""
    if fit.request.model not in ("lm", "glm"):
        raise Unable(f"test={test!r} is for linear and generalized linear models; this is a {fit.request.model}")
    if test == "lr":
        check_ratio(fit)
    parts = split(fit, L, value)
    q, k = parts.x.shape[1], parts.Z.shape[1]
    nested = Nested(fit, np.column_stack([parts.Z, parts.x]), parts.offset)
    small, tested = tuple(range(k)), tuple(range(k, k + q))
    if test == "score":
        return values_of(nested.scores(small, tested), q, np.inf), _about_score(fit)
    rise = np.maximum(nested.height(small) - _whole(fit, nested, value), 0.0)
    if q > 1:
        return values_of(rise, q, np.inf), ()
    # an infinite estimate may leave its sign open, but not the score; penalised estimates are finite
    side = fit.values["coef"] @ L[0] - value[0] if penalised(fit) else nested.scores(small, tested)
    return values_of(np.sign(side) * np.sqrt(rise), q, np.inf), ()


def _whole(fit: MapFit, nested: Nested, value: Array) -> Array:
    """The height of the whole model, whose offset does not matter: the columns that are tested span it."""
    every = tuple(range(nested.X.shape[1]))
    plain = nested if not value.any() else Nested(fit, nested.X, fit.request.design.offset)
    return plain.height(every)


def _about_score(fit: MapFit) -> tuple[str, ...]:
    word = fit.request.estimator.word
    if word not in BIAS_REDUCED:
        return ()
    return (f"score tests are of maximum likelihood: the null models are fitted by it, whatever the maps ({word})",)


def values_of(statistic: Array, q: int, df: float) -> dict[str, Array]:
    """The maps of a statistic (V,): of one row a signed root (z, or t with finite df), of q rows chi-squared or F."""
    if q == 1:
        nu, one = np.full(len(statistic), df), np.ones(len(statistic))
        found = {name: wald(name, statistic, one, nu) for name in ("z", "p")}
        return found | ({"t": statistic} if np.isfinite(df) else {})
    return joint_values(statistic, np.full(len(statistic), float(q)), df)


def joint_values(statistic: Array, q: Array, df: float) -> dict[str, Array]:
    """The maps of a chi-squared statistic on q (V,) degrees of freedom, or an F on q and df."""
    tail = np.asarray(stats.f.logsf(statistic, q, df) if np.isfinite(df) else stats.chi2.logsf(statistic, q))
    return {"statistic": statistic, "z": np.asarray(-special.ndtri_exp(tail)), "p": np.asarray(np.exp(tail))}
