"""confint(): intervals of coefficients, by Wald's method, from the profile likelihood, or from the score test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import Unable
from ...family import Array
from ...foci.fit import FociFit
from ...maps.lacking import refuse_maps
from ...nearest import nearest, not_known
from ...result import Fit
from ..bootstrap.distributions import Bootstrap, intervals
from ..coefficients import check_level, wald
from ..infinite import about_infinite
from ..precision import precision
from ..told import told
from .likelihood_tests import check_offered, hypothesis
from .mixed_profile import mixed_profile
from .profile import limits

METHODS = ("wald", "profile", "score")


def confint(
    fit: Fit | FociFit,
    parm: str | Sequence[str] | None = None,
    *,
    method: str | Bootstrap = "wald",
    conf_level: float = 0.95,
    df: str | None = None,
) -> pd.DataFrame:
    """Confidence intervals: term, estimate, conf_low, conf_high, method.

    parm: one coefficient or several; all otherwise.
    method: "wald" (estimate -+ quantile x standard error, the limits of tidy()); "profile" (of linear and generalized
    linear models: the values that a likelihood-ratio test accepts, of the penalised likelihood under Jeffreys' prior
    and under mean_br with the logit link); "score" (those that Rao's test accepts). Where the maximum-likelihood
    estimate is infinite, one end of the last two is infinite and the other is the limit that the data do give.
    Profiles of mixed models are of standard deviations and correlations too, by lme4's names ("sd_x|g",
    "cor_x.(Intercept)|g", "sigma"; "theta_" and "beta_" are all of a kind), and of the ratios and phi of a residual
    structure; of the likelihood also where the fit is by REML. An interval that ends at 0, -1 or 1 because the data do
    not exclude it says so.
    "bootstrap", or fn.Bootstrap(n=1000, interval="bca", seed=1, ...) with its options: of all parameters, by the same
    names.
    df: as in tidy(). Quantiles are of t where the dispersion is estimated; "none" takes the normal ones of R's
    confint(glm). R interpolates its profile; the ends here solve the equation itself, to about 1e-9.
    A shape that is estimated (nbinom2) is estimated again at every value held, where MASS holds it at the estimate.
    `attrs["messages"]` names a limit (NaN) that was not found.
    Of foci: Wald's limits of the moderators, those of tidy().

    Raises Unable where the fit has no such intervals, ValueError for an unknown coefficient or method.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1., 2, 3, 4, 5, 6], "y": [0, 0, 0, 1, 1, 1]}, family="binomial")
    >>> fn.confint(m, "x", method="profile")[["conf_low", "conf_high"]].round(3).iloc[0].tolist()  # separated
    [0.735, inf]
    """
    check_level(conf_level)
    refuse_maps(fit, "confint", 'v.maps["coef", ...] and v.maps["se", ...] are estimates and standard errors')
    if isinstance(fit, FociFit):
        return _of_foci(fit, parm, method, conf_level)
    if method == "bootstrap" or isinstance(method, Bootstrap):
        return told(intervals(fit, parm, Bootstrap() if isinstance(method, str) else method, conf_level))
    if method == "profile" and fit.request.model in ("lmm", "glmm"):
        if df is not None:
            raise ValueError("df= is of Wald's limits; profiles of mixed models use the normal distribution, as lme4's")
        return told(mixed_profile(fit, parm, conf_level))
    places = _places(fit, parm)
    L = np.eye(len(fit.names))[places]
    if method not in METHODS:
        raise ValueError(not_known("method", method, (*METHODS, "bootstrap")))
    own = precision(fit, df)
    freedom = own.freedom(L)
    names, estimate = [fit.names[j] for j in places], fit.beta[places]
    messages: list[str] = []
    if method == "wald" or fit.request.model == "lm":  # of a linear model Wald's interval is the exact one
        table = wald(names, estimate, own.se[places], freedom, conf_level)
        ends = table[["conf_low", "conf_high"]].to_numpy()
    else:
        ends, messages = _by_test(fit, L, np.asarray(stats.t.ppf((1 + conf_level) / 2, freedom)), method)
    table = pd.DataFrame({"term": names, "estimate": estimate, "conf_low": ends[:, 0], "conf_high": ends[:, 1]})
    table["method"] = method
    if method == "wald":
        messages += about_infinite(fit, L, "estimates and limits")
    table.attrs["messages"] = tuple(messages)
    return told(table)


def _of_foci(fit: FociFit, parm: str | Sequence[str] | None, method: Any, conf_level: float) -> pd.DataFrame:
    if method != "wald":
        raise Unable(f"method={method!r}: moderators of foci have Wald's limits, method='wald'")
    table = fit.tidy(conf_level=conf_level).iloc[_places(fit, parm)].reset_index(drop=True)
    return table[["term", "estimate", "conf_low", "conf_high"]].assign(method=method)


def _by_test(fit: Fit, L: Array, quantiles: Array, method: str) -> tuple[Array, list[str]]:
    test = {"profile": "lr", "score": "score"}[method]
    check_offered(fit, test)
    ends, messages = np.full((len(L), 2), np.nan), list[str]()
    for i, (row, quantile) in enumerate(zip(L, quantiles, strict=True)):
        if np.isnan(fit.beta[row == 1]).any():
            continue
        low, high, notes = limits(hypothesis(fit, row[None, :], test), row, float(quantile))
        ends[i] = low, high
        messages += notes
    return ends, messages


def _places(fit: Fit | FociFit, parm: str | Sequence[str] | None) -> list[int]:
    names = list(fit.names)
    if isinstance(parm, (int, float)):
        raise ValueError(f"parm={parm!r} names no coefficient; the level goes by its name, conf_level=0.95")
    asked = names if parm is None else [parm] if isinstance(parm, str) else list(parm)
    unknown = [name for name in asked if name not in names]
    if unknown:
        near = nearest(str(unknown[0]), names)
        hint = f"; did you mean {near!r}?" if near else f"; there are {', '.join(names)}"
        raise ValueError(f"{unknown[0]} is not a coefficient{hint}")
    return [names.index(name) for name in asked]
