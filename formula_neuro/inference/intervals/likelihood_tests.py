"""Likelihood-ratio and score tests of hypotheses L b = r: the model is fitted again with L b held at r.

Likelihood ratio: the rise of the deviance over the dispersion, or of -2 penalised log-likelihood where the estimator
maximises one (Heinze & Schemper 2002): the held columns stay in the penalty. Score (Rao 1948): U' I^-1 U over the
dispersion, with U the score and I the expected information of the whole model at the held fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from ...errors import FitError, Unable
from ...estimator import BIAS_REDUCED, Jeffreys, MeanBR
from ...family import Array
from ...nearest import not_known
from ...request import Request
from ...result import Fit
from ..ability import ability
from .restrict import check_linear, independent_rows, with_hypotheses

TESTS = ("wald", "lr", "score")
WORDS = {"lr": "a likelihood-ratio test", "score": "a score test"}


def check_test(test: str) -> None:
    if test not in TESTS:
        raise ValueError(not_known("test", test, TESTS, {"lrt": "lr", "chisq": "lr", "rao": "score"}))


def check_offered(fit: Fit, test: str) -> None:
    """Raise Unable, with the reason, where the test ("lr" or "score") has no meaning for the fit."""
    check_linear(fit, f"test={test!r}")
    estimator, link = fit.request.estimator, fit.request.family.link.name
    if estimator.word not in BIAS_REDUCED:
        return
    if test == "score":
        raise Unable(
            f"a score test is of maximum likelihood, and this fit is by {estimator.word}: refit it by estimator='ml' "
            "(the test needs no finite estimate), or take test='lr'"
        )
    penalised = isinstance(estimator, Jeffreys) or (isinstance(estimator, MeanBR) and link == "logit")
    if not penalised or not np.isfinite(fit.criterion):
        raise Unable(
            f"{estimator.word} with {fit.request.family} maximises no penalised likelihood, so there is no likelihood "
            "ratio; refit by estimator='jeffreys' (for which there is one), or take test='wald'"
        )


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """Linear combinations of a fit's coefficients, which can be held at values."""

    fit: Fit
    test: str  # "lr" or "score"
    request: Request  # the fit's own, in coordinates of which some are the combinations
    places: tuple[int, ...]
    height: float  # the fit's own criterion there: a penalised likelihood has another constant in other coordinates

    def held(self, values: Array) -> Fit:
        """The best fit with the combinations at these values; raises FitError where none was found."""
        restricted = ability(self.fit, "restricted", WORDS[self.test])
        found: Fit = restricted(self.request, dict(zip(self.places, np.atleast_1d(values).tolist(), strict=True)))
        if not found.converged and not found.infinite:
            shown = ", ".join(f"{value:.4g}" for value in np.atleast_1d(values))
            raise FitError(f"the fit with the tested combination held at {shown} did not converge")
        return found

    def statistic(self, values: Array) -> float:
        """The chi-squared statistic of "the combinations have these values"; divided by their number it is the F."""
        held = self.held(values)
        if self.test == "score":
            return score_statistic(self.request, held) / self.fit.dispersion
        return float(np.maximum(rise(self.fit, held, self.height), 0.0))  # NaN without residual degrees of freedom


def hypothesis(fit: Fit, L: Array, test: str) -> Hypothesis:
    """The rows of L (q, p), of rank q, as a hypothesis that `test` can be asked about."""
    check_offered(fit, test)
    kept = np.flatnonzero(~np.isnan(fit.beta)).tolist()
    request, places = with_hypotheses(fit.request, kept, L)
    height = fit.criterion
    if fit.request.estimator.word in BIAS_REDUCED and request is not fit.request:
        height = ability(fit, "restricted", WORDS[test])(request, {}).criterion
    return Hypothesis(fit, test, request, places, height)


def rise(fit: Fit, held: Fit, height: float) -> float:
    """How far a held fit lies above the fit itself, whose criterion is `height`, as a chi-squared statistic."""
    family = fit.request.family
    if fit.request.estimator.word in BIAS_REDUCED or family.name not in BY_DEVIANCE:
        return held.criterion - height
    return (held.deviance - fit.deviance) / fit.dispersion


# Families whose deviance is comparable between fits; others estimate a shape along with the coefficients.
BY_DEVIANCE = ("gaussian", "binomial", "poisson", "Gamma", "inverse.gaussian", "quasi", "quasibinomial", "quasipoisson")


def score_statistic(request: Request, held: Fit) -> float:
    """U' I^-1 U of the request's columns at the means of a held fit, before division by the dispersion.

    With W = w mu1^2 / V and z = (y - mu) / mu1 it is the squared length of sqrt(W) z projected on sqrt(W) X.
    """
    family, used = held.request.family, request.weights > 0  # with the held fit's own shape, where one is estimated
    X, y, w, eta = request.design.matrix[used], request.y[used], request.weights[used], held.eta[used]
    mu, mu1 = family.link.inverse(eta), family.link.derivative(eta)
    root = np.sqrt(w / family.variance(mu)) * np.abs(mu1)
    Q = np.linalg.qr(X * root[:, None])[0]
    return float(((Q.T @ (root * (y - mu) / mu1)) ** 2).sum())


# ---- tables --------------------------------------------------------------------------------------
def retested(fit: Fit, table: pd.DataFrame, L: Array, value: Array, conf_level: float, test: str) -> pd.DataFrame:
    """A table of wald() with the statistic, p_value and limits of another test, each row of L b = value on its own.

    The statistic is chi-squared on 1 degree of freedom, or F on 1 and the table's df where that is finite; the limits
    are the values that the test does not reject. Rows that need an aliased coefficient are NaN. `attrs["messages"]`
    names what could not be found.
    """
    from .profile import limits

    check_offered(fit, test)
    aliased = np.isnan(fit.beta)
    rows, messages = np.full((len(L), 4), np.nan), list[str]()
    for i, (name, row, r, nu) in enumerate(zip(table["term"], L, value, table["df"], strict=True)):
        if row[aliased].any():
            continue
        asked = hypothesis(fit, row[None, :], test)
        try:
            statistic = asked.statistic(np.array([r]))
        except FitError as error:  # as 0 for the mean's inverse, where no mean is possible
            statistic = float("nan")
            messages.append(f"{name}: held at {r:g} no model can be fitted, so that is not tested ({error})")
        low, high, notes = limits(asked, row, float(stats.t.ppf((1 + conf_level) / 2, nu)))
        rows[i] = statistic, p_value(statistic, 1, nu), low, high
        messages += notes
    changed = dict(zip(["statistic", "p_value", "conf_low", "conf_high"], rows.T, strict=True))
    table = table.assign(**changed)
    table.attrs["messages"] = tuple(messages)
    return table


def p_value(chi2: float, q: int, df: float) -> float:
    """Of a chi-squared statistic on q degrees of freedom, or of F = chi2 / q on q and df."""
    return float(stats.chi2.sf(chi2, q) if np.isinf(df) else stats.f.sf(chi2 / q, q, df))


def jointly(fit: Fit, L: Array, value: Array, df: float, test: str) -> pd.DataFrame:
    """One row: F with df and df_resid where df is finite, otherwise chi-squared with df; and p_value."""
    L, value = independent_rows(L, value)
    q = len(L)
    chi2 = hypothesis(fit, L, test).statistic(value)
    p = p_value(chi2, q, df)
    if np.isinf(df):
        return pd.DataFrame({"test": ["chi-squared"], "statistic": [chi2], "df": [q], "p_value": [p]})
    return pd.DataFrame({"test": ["F"], "statistic": [chi2 / q], "df": [q], "df_resid": [df], "p_value": [p]})
