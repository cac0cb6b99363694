"""anova(): two or more fits of the same rows, compared by a likelihood-ratio or an F test."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from ..errors import DataError
from ..estimator import AGQ, ML, REML
from ..request import Request
from ..result import Fit, ability


def anova(*fits: Fit) -> pd.DataFrame:
    """Compare nested fits of the same rows, the smaller first whatever the order given.

    Linear models: R's anova table, an F test on the residual sum of squares of the largest; columns model,
    df_resid, rss, df, sum_sq, statistic, p_value. All others: likelihood-ratio tests as lme4's; columns
    model, n_parameters, aic, bic, loglik, deviance, statistic, df, p_value. REML fits are refitted by ML
    first, because REML likelihoods of different fixed parts cannot be compared; `attrs["messages"]` says so.

    Raises DataError when the fits differ in rows, response or weights.

    >>> import formula_neuro as fn
    >>> d = fn.datasets.waterlick()
    >>> small = fn.fit("lick ~ (1|mouseID)", d, family="binomial")
    >>> a = fn.anova(small, fn.fit("lick ~ dff + (1|mouseID)", d, family="binomial"))
    >>> a.df.tolist(), bool(a.p_value[1] < .01)
    ([nan, 1.0], True)
    """
    if len(fits) < 2:
        raise TypeError(f"anova compares two or more fits, got {len(fits)}")
    strange = next((fit for fit in fits if not isinstance(fit, Fit)), None)
    if strange is not None:
        raise TypeError(f"anova compares fits, got {type(strange).__name__}")
    _check_comparable(fits)
    messages = _about_nesting(fits)
    if all(fit.request.model == "lm" for fit in fits):
        table = _f_tests(sorted(fits, key=lambda fit: -fit.df_resid))
    else:
        compared = [_by_ml(fit, messages) for fit in fits]
        table = _likelihood_ratios(sorted(compared, key=lambda fit: fit.n_parameters), messages)
    table.attrs["messages"] = tuple(dict.fromkeys(messages))
    return table


def _check_comparable(fits: tuple[Fit, ...]) -> None:
    first = fits[0].request
    for fit in fits[1:]:
        other = fit.request
        if len(first.design.rows) != len(other.design.rows) or (first.design.rows != other.design.rows).any():
            raise DataError(
                f"the fits use different rows ({len(first.design.rows)} and {len(other.design.rows)}): missing values "
                "in a column of one formula only? Fit both on the rows complete in all columns"
            )
        if not np.array_equal(first.y, other.y) or not np.array_equal(first.weights, other.weights):
            raise DataError("the fits have different responses or weights, so their likelihoods cannot be compared")
        if str(first.family) != str(other.family):
            raise DataError(f"the fits have different families ({first.family} and {other.family})")
        words = {_word(first), _word(other)} - ({"ml"} if "glm" in (first.model, other.model) else set())
        if len(words) > 1 and words != {"reml", "ml"}:
            raise DataError(f"the fits have different estimators ({' and '.join(sorted(words))}); refit one of them")


def _about_nesting(fits: tuple[Fit, ...]) -> list[str]:
    """A note where the fixed columns of a smaller model are no combinations of a larger one's, or offsets differ."""
    designs = [fit.request.design for fit in sorted(fits, key=lambda fit: fit.n_parameters)]
    found = []
    for small, large in itertools.pairwise(designs):
        names = f"{small.formula} and {large.formula}"
        if not np.array_equal(small.offset, large.offset):
            found.append(f"{names} have different offsets, so they are not nested: the test has no meaning")
            continue
        left = small.matrix - large.matrix @ np.linalg.lstsq(large.matrix, small.matrix, rcond=None)[0]
        sizes = np.linalg.norm(small.matrix, axis=0)
        if (np.linalg.norm(left, axis=0) > 1e-7 * sizes).any():  # R's tolerance of a rank
            found.append(f"{names} are not nested in their fixed parts: the test has no meaning")
    return found


def _word(request: Request) -> str:
    return str(request.estimator) if isinstance(request.estimator, AGQ) else request.estimator.word


def _by_ml(fit: Fit, messages: list[str]) -> Fit:
    if not isinstance(fit.request.estimator, REML):
        return fit
    messages.append("REML fits were refitted by maximum likelihood for the comparison")
    refit = ability(fit, "refit", "comparing REML fits by likelihood")
    refitted: Fit = refit(fit.request.with_estimator(ML()))
    return refitted


def _f_tests(fits: list[Fit]) -> pd.DataFrame:
    """R's anova.lm: sums of squares against the residual mean square of the largest model."""
    rss = np.array([fit.deviance for fit in fits])
    resid = np.array([fit.df_resid for fit in fits])
    df, sum_sq = -np.diff(resid, prepend=np.nan), -np.diff(rss, prepend=np.nan)
    df[df == 0] = np.nan  # the same number of columns: nothing to test
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = sum_sq / df / (rss[-1] / resid[-1] if resid[-1] > 0 else np.nan)
    p = stats.f.sf(statistic, df, resid[-1])
    values = [_names(fits), resid, rss, df, sum_sq, statistic, p]
    columns = ["model", "df_resid", "rss", "df", "sum_sq", "statistic", "p_value"]
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def _likelihood_ratios(fits: list[Fit], messages: list[str]) -> pd.DataFrame:
    loglik = np.array([fit.loglik for fit in fits])
    count = np.array([float(fit.n_parameters) for fit in fits])
    statistic, df = 2 * np.diff(loglik, prepend=np.nan), np.diff(count, prepend=np.nan)
    if (statistic[1:] < -1e-6).any():
        messages.append("a larger model has a lower likelihood: the models are not nested, or one did not converge")
    statistic = np.maximum(statistic, 0.0)
    df[df == 0] = np.nan
    p = stats.chi2.sf(statistic, df)
    if any(len(a.theta) != len(b.theta) for a, b in itertools.pairwise(fits)):
        messages.append(
            "the models differ in variances, which cannot be negative: the p value is too large (conservative)"
        )
    table = pd.DataFrame(
        {
            "model": _names(fits),
            "n_parameters": count.astype(int),
            "aic": [fit.aic for fit in fits],
            "bic": [fit.bic for fit in fits],
            "loglik": loglik,
            "deviance": -2 * loglik,
            "statistic": statistic,
            "df": df,
            "p_value": p,
        }
    )
    return table


def _names(fits: list[Fit]) -> list[str]:
    return [str(fit.request.design.formula) for fit in fits]
