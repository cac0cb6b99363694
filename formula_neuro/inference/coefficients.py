"""tidy() and glance(): the coefficients of a fit and the fit as a whole, as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ..family import Array, NBinom2
from ..result import Fit
from .infinite import about_infinite
from .intervals.likelihood_tests import check_test, retested
from .null_model import explained
from .precision import precision
from .rows.robust import chosen
from .sides import TWO, beyond, limits
from .told import told

COLUMNS = ["term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]


def tidy(
    fit: Fit,
    df: str | None = None,
    vcov: Any = None,
    conf_level: float = 0.95,
    exponentiate: bool = False,
    test: str = "wald",
) -> pd.DataFrame:
    """One row a coefficient: term, estimate, std_error, statistic, df, p_value, conf_low, conf_high.

    df: "satterthwaite" (the default of linear mixed models), "kenward-roger" (of REML fits; standard errors are
    adjusted too), "containment" (nlme's, for nested groups), "residual" (of linear models), "none" (z, df is inf; the
    default where the family has no dispersion). Where a variance is estimated as 0, Satterthwaite's count it as known
    (Dyestuff2: 29) and Kenward and Roger's as estimated (5). Where the backend can give no degrees of freedom for a
    linear mixed model and none are asked for, df, p and the interval are NaN, as lme4 prints none.
    vcov: None, the fit's own covariance; "HC0" to "HC3", {"cluster": "mouseID"} or a matrix, for which df is that of
    robust.freedom ("clusters" is one more word); `attrs["vcov"]` then says which it is. conf_level: of the interval.
    exponentiate: estimates and intervals as exp(...), odds or rate ratios; std_error stays on the link's scale.
    test: "wald" (t or z), or for linear and generalized linear models "lr" (likelihood ratio, penalised for Jeffreys'
    prior and mean_br with the logit link) or "score" (Rao's): each coefficient's own test by fitting without it. Their
    statistic is chi-squared on 1 degree of freedom, or F on 1 and df where df is finite, as in R's drop1; the limits
    are those of the same test (the profile's, for "lr") and stay right where an estimate is infinite.
    """
    check_test(test)
    check_level(conf_level)
    robust = chosen(fit, vcov, test)
    estimate, every = fit.beta, np.eye(len(fit.beta))
    if robust is None:
        own = precision(fit, df)
        se, freedom = own.se, own.freedom(every)
    else:
        with np.errstate(invalid="ignore"):  # with several ways of clustering a variance can come out negative
            se, freedom = np.sqrt(np.diag(robust.matrix)), robust.freedom(fit, len(every), df)
    table = wald(list(fit.names), estimate, se, freedom, conf_level)
    if robust is not None:
        table.attrs.update(robust.attrs(df))
    if test != "wald":
        table = retested(fit, table, np.eye(len(estimate)), np.zeros(len(estimate)), conf_level, test)
    if exponentiate:
        with np.errstate(over="ignore"):  # a coefficient on its way to infinity has an infinite limit
            for column in ("estimate", "conf_low", "conf_high"):
                table[column] = np.exp(table[column])
    said = about_infinite(fit, every, "estimates and standard errors") if test == "wald" else ()
    said = (*table.attrs.get("messages", ()), *said, *(_about_ratios(fit) if exponentiate else ()))
    if said:
        table.attrs["messages"] = said
    return told(table)


def _about_ratios(fit: Fit) -> tuple[str, ...]:
    """A note where exp(coefficient) is no ratio."""
    link = fit.request.family.link.name
    if link in ("log", "logit", "cloglog"):
        return ()
    return (f"exp(...) of coefficients on the {link} scale are no odds or rate ratios; exponentiate=False shows them",)


def check_level(conf_level: float) -> None:
    if not isinstance(conf_level, (int, float)) or not 0 < conf_level < 1:
        raise ValueError(f"conf_level lies between 0 and 1, as 0.95; got {conf_level!r}")


def wald(
    terms: list[str],
    estimate: Array,
    se: Array,
    df: Array,
    conf_level: float,
    null: Array | float = 0.0,
    side: int = TWO,
) -> pd.DataFrame:
    """The eight columns for estimates (q,) with standard errors and degrees of freedom (inf: normal)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = (estimate - null) / se
        p = beyond(statistic, df, side)  # t with infinite df is the normal distribution
        half = stats.t.isf((1 - conf_level) / (2 if side == TWO else 1), df) * se
        columns = [terms, estimate, se, statistic, df, p, *limits(estimate, half, side)]
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def glance(fit: Fit) -> pd.DataFrame:
    """One row: model, backend, nobs, n_parameters, df_resid, sigma, loglik, aic, bic, deviance, converged.

    Besides, of a linear model its R-squared, of a GLM the null deviance, of a negative binomial theta, of a GEE its
    clusters, working correlation and QIC, of residual structures their parameters.
    """
    request = fit.request
    row = {
        "model": request.model,
        "family": str(request.family),
        "estimator": request.estimator.word,
        "backend": fit.backend,
        "nobs": fit.nobs,
        "n_parameters": fit.n_parameters,
        "df_resid": fit.df_resid,
        "sigma": fit.sigma,
        "loglik": fit.loglik,
        "aic": fit.aic,
        "bic": fit.bic,
        "deviance": fit.deviance,
        "converged": fit.converged,
        "seconds": fit.seconds,
    }
    if request.model == "lm":
        found = explained(fit)
        row |= {"r_squared": found.share, "adj_r_squared": found.adjusted}
    if request.model == "glm":
        row["null_deviance"] = fit.null_deviance
    if isinstance(fit.family, NBinom2):
        row |= {"theta": fit.family.theta, "theta_se": fit.family.theta_se}
    elif fit.family.shape is not None:
        name, value, error = fit.family.shape
        row |= {name: value, f"{name}_se": error}
    about = getattr(fit.engine, "about", None)
    row |= {**(about(fit) if about else {}), **fit.residual}
    return told(pd.DataFrame([row]))
