"""drop1(): what a model loses with each term that may be left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ...errors import Unable
from ...family import Array
from ...result import Fit
from ..told import told
from . import term_tests as tt
from .mixed_anova import mixed_drop1


def drop1(fit: Fit, scope: Any = None, *, test: str | None = "default", df: str | None = None) -> pd.DataFrame:
    """The model without one term at a time, as R's drop1: one row a term, "<none>" (the model itself) first.

    scope: terms as names ("a:b") or a formula ("~ a + b"); otherwise all that no other term contains.
    test: "F", "Chisq" or "Rao" (score); None for no test; by default F where the dispersion is estimated, else Chisq.
    Linear models have the columns term, df, sum_sq, rss, aic, statistic, p_value; generalized ones term, df, deviance,
    aic, statistic, p_value. `aic` is R's extractAIC: it differs from m.aic of a linear model by the same constant for
    all models of one response. As in R, the F of a generalized linear model divides by deviance / df_resid, and the
    chi-squared statistic of a linear one is a likelihood ratio with its variance estimated anew.
    For Jeffreys' prior, and mean_br with the logit link, `deviance` is -2 penalised log-likelihood and the test the
    penalised likelihood ratio, the term's columns staying in the penalty (Heinze & Schemper 2002).

    Linear mixed models: F tests as lmerTest's drop1, with the columns and df= of anova(). test="Chisq", the default of
    generalized ones, refits by ML and has term, df, aic, statistic, p_value, as lme4's; test="Wald" does not refit.

    Raises Unable where a fit has no such tests, ValueError for an unknown term or test.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x + z", {"y": [1., 3, 2, 5, 4], "x": [1., 2, 3, 4, 5], "z": [0., 1, 0, 1, 1]})
    >>> fn.drop1(m).term.tolist()
    ['<none>', 'x', 'z']
    """
    if fit.request.model in ("lmm", "glmm"):
        return told(mixed_drop1(fit, scope, test, df))
    if df is not None:
        raise Unable(f"df={df!r} belongs to linear mixed models")
    word = tt.chosen_test(fit, None if test in (None, "default") else test)
    terms = tt.terms_of(fit)
    free = tuple(term for term in terms if not any(tt.contains(other, term) for other in terms))
    picked = free if scope is None else tt.chosen(terms, scope)
    fits = [fit, *(tt.without(fit, tt.columns_of([term])) for term in picked)]
    score = np.array([tt.score(fit.request, smaller, word) for smaller in fits])
    table = _table(fit, fits, ["<none>", *(term.name for term in picked)], score, word)
    return told(table.drop(columns=["statistic", "p_value"]) if test is None else table)


def _table(fit: Fit, fits: list[Fit], names: list[str], score: Array, test: str) -> pd.DataFrame:
    ranks = np.array([float(tt.rank(one)) for one in fits])
    heights = np.array([tt.height(one) for one in fits])
    df, rise = ranks[0] - ranks, heights - heights[0]
    df[0] = rise[0] = np.nan
    statistic, p = _tested(fit, heights, rise, score, df, test)
    table = pd.DataFrame({"term": names, "df": df})
    if fit.request.model == "lm":
        table["sum_sq"], table["rss"] = rise, heights
    else:
        table["deviance"] = heights
    table["aic"] = _aic(fit, fits, heights, ranks)
    table["statistic"], table["p_value"] = statistic, p
    return table


def _tested(fit: Fit, heights: Array, rise: Array, score: Array, df: Array, test: str) -> tuple[Array, Array]:
    """R's choices: F by the deviance's own dispersion; gaussian likelihood ratios by n log(deviance)."""
    against = tt.yardstick(fit, test)
    if test == "F":
        against = tt.Yardstick(test, heights[0] / fit.df_resid if fit.df_resid else np.nan, fit.df_resid)
    elif test == "Chisq" and fit.request.family.name == "gaussian":
        against = tt.Yardstick(test, 1.0, fit.df_resid)
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = np.where(np.isnan(rise), np.nan, _rows(fit) * np.log(heights / heights[0]))
    return against.tested(rise, score, df)


def _rows(fit: Fit) -> int:
    return int((fit.request.weights > 0).sum())


def _aic(fit: Fit, fits: list[Fit], heights: Array, ranks: Array) -> Array:
    """R's extractAIC: of a linear model n log(rss / n) + 2 rank; of others AIC, the dispersion held at the model's."""
    n, family = _rows(fit), fit.request.family
    if fit.request.model == "lm":
        with np.errstate(divide="ignore"):
            return np.asarray(n * np.log(heights / n) + 2 * ranks)
    if not family.dispersed:
        return np.array([one.aic for one in fits])
    scaled = n * np.log(heights / n) if family.name == "gaussian" else heights / fit.dispersion
    found = scaled + 2 * ranks
    return np.asarray(found + (fit.aic - found[0]))
