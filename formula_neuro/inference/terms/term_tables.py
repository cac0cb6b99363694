"""anova(fit) of one linear or generalized linear model: its terms tested in sequence (type I), type II or type III."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from ...design import TermColumns
from ...family import Array
from ...nearest import not_known
from ...request import Request
from ...result import Fit
from . import term_tests as tt
from .sum_contrasts import in_sums

TYPES = ("I", "II", "III")


def term_table(fit: Fit, type: str = "I", test: str | None = None) -> pd.DataFrame:
    """One row a term; see anova()."""
    if type not in TYPES:
        raise ValueError(not_known("type", type, TYPES, {"1": "I", "2": "II", "3": "III"}))
    word = tt.chosen_test(fit, test)
    if type == "I":
        return _sequential(fit, word)
    tt.refuse_aliased(fit, f"an anova of type {type}")
    pairs = _type_two(fit, word) if type == "II" else _type_three(fit, word)
    terms = tt.terms_of(fit)
    df, rise, score = (np.array([pair[k] for pair in pairs]) for k in range(3))
    return _table(fit, [term.name for term in terms], df, rise, score, word)


# ---- type I --------------------------------------------------------------------------------------
def _sequential(fit: Fit, test: str) -> pd.DataFrame:
    terms = tt.terms_of(fit)
    fits = [tt.without(fit, tt.columns_of(terms[k:])) for k in range(len(terms))] + [fit]
    df = np.diff([float(tt.rank(step)) for step in fits])
    heights = np.array([tt.height(step) for step in fits])
    score = np.array([_score_of_next(fit, fits[k], terms[k + 1 :], test) for k in range(len(terms))])
    table = _table(fit, [term.name for term in terms], df, -np.diff(heights), score, test)
    if fit.request.model == "lm":
        return table[(table["df"] > 0) | (table["term"] == "Residuals")].reset_index(drop=True)  # as R's
    null = pd.DataFrame({"term": ["NULL"]})
    table = pd.concat([null, table], ignore_index=True)
    table.insert(3, "df_resid", [step.df_resid for step in fits])
    table.insert(4, "resid_deviance", heights)
    return table


def _score_of_next(fit: Fit, smaller: Fit, later: tuple[TermColumns, ...], test: str) -> float:
    """The score statistic, at the smaller fit, of the model with one term more: all but the `later` ones."""
    if test != "Rao":
        return np.nan
    return tt.score(tt.columns_left(fit.request, tt.columns_of(later)), smaller, test)


# ---- types II and III ----------------------------------------------------------------------------
Test = tuple[float, float, float]  # degrees of freedom, rise of the deviance, score statistic


def _type_two(fit: Fit, test: str) -> list[Test]:
    """Each term against the model of all terms that do not contain it."""
    terms, found = tt.terms_of(fit), []
    for term in terms:
        above = tt.columns_of(other for other in terms if tt.contains(other, term))
        large = tt.without(fit, above) if above else fit
        small = tt.without(fit, [*above, *tt.columns_of([term])])
        score = tt.score(tt.columns_left(fit.request, above), small, test)
        found.append((float(tt.rank(large) - tt.rank(small)), tt.height(small) - tt.height(large), score))
    return found


def _type_three(fit: Fit, test: str) -> list[Test]:
    """Each term's columns in sum-to-zero contrasts against the whole model, whatever contrasts the fit has."""
    request, found = replace(fit.request, design=in_sums(fit.request.design)), []
    large = tt.without(fit, [], request)  # a penalised likelihood has another constant in other coordinates
    for term in request.design.terms:
        if term.variables:
            columns = tt.columns_of([term])
            small = tt.without(fit, columns, request)
            rise = tt.height(small) - tt.height(large)
            found.append((float(len(columns)), rise, tt.score(request, small, test)))
    return found


# ---- the table -----------------------------------------------------------------------------------
def _table(fit: Fit, names: list[str], df: Array, rise: Array, score: Array, test: str) -> pd.DataFrame:
    """Linear models: sums and means of squares with the residuals last; others: deviances."""
    against = tt.yardstick(fit, test)
    statistic, p = against.tested(rise, score, df)
    if fit.request.model != "lm":
        return pd.DataFrame({"term": names, "df": df, "deviance": rise, "statistic": statistic, "p_value": p})
    columns = {"term": [*names, "Residuals"], "df": [*df, fit.df_resid], "sum_sq": [*rise, fit.deviance]}
    table = pd.DataFrame(columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["mean_sq"] = table["sum_sq"] / table["df"]
    table["statistic"], table["p_value"] = [*statistic, np.nan], [*p, np.nan]
    return table


# ---- several fits --------------------------------------------------------------------------------
def deviance_table(fits: list[Fit], test: str | None) -> pd.DataFrame:
    """Nested fits, the smallest first, by their deviances: R's anova.glm of several models.

    Tests divide by the dispersion of the largest model; Rao's is the score of each model at the one before.
    """
    largest = fits[-1]
    word = tt.chosen_test(largest, test)
    heights = np.array([tt.height(fit) for fit in fits])
    resid = np.array([fit.df_resid for fit in fits])
    df, rise = -np.diff(resid, prepend=np.nan), -np.diff(heights, prepend=np.nan)
    pairs = zip(fits[1:], fits[:-1], strict=True)
    score = np.array([np.nan, *(tt.score(_estimable(large), small, word) for large, small in pairs)])
    statistic, p = tt.yardstick(largest, word).tested(rise, score, df)
    names = [str(fit.request.design.formula) for fit in fits]
    values = [names, resid, heights, np.where(df == 0, np.nan, df), rise, statistic, p]
    columns = ["model", "df_resid", "resid_deviance", "df", "deviance", "statistic", "p_value"]
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def _estimable(fit: Fit) -> Request:
    return tt.columns_left(fit.request, [j for j, b in enumerate(fit.beta) if np.isnan(b)])
