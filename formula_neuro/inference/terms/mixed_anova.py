"""anova(fit) and drop1(fit) of one mixed model: F tests, Wald's chi-squared, likelihood ratios."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ...design import TermColumns
from ...errors import Unable
from ...estimator import REML
from ...family import Array
from ...request import Request
from ...result import Fit
from ..ability import ability
from ..intervals.restrict import hold
from ..precision import Joint, Precision, precision
from . import term_tests as tt
from .mixed_terms import contains, hypotheses, left_out, tested_terms
from .sum_contrasts import in_sums

WORDS = {"F": "F", "Wald": "Wald", "Chisq": "LRT", "LRT": "LRT"}
METHODS = {
    "satterthwaite": "Satterthwaite's", "kenward-roger": "Kenward and Roger's", "containment": "containment",
    "residual": "residual",
}  # fmt: skip


def mixed_table(fit: Fit, type: str | None = None, test: str | None = None, df: str | None = None) -> pd.DataFrame:
    """One row a term; see anova()."""
    word, kind = _word(fit, test, df), type or "III"
    if word == "LRT":
        table = _by_refits(fit, kind)
    else:
        tested = precision(fit, "none" if word == "Wald" else df)
        rows = hypotheses(fit, kind)
        table = _table(fit, [name for name, _ in rows], [_joint(tested, L) for _, L in rows], word)
    table.attrs["messages"] = (f"Type {kind}, {_method(fit, word, df)}",)
    return table


def mixed_drop1(fit: Fit, scope: Any, test: str | None, df: str | None = None) -> pd.DataFrame:
    """One row a term that no other contains; see drop1()."""
    terms = tt.terms_of(fit)
    free = tuple(term for term in terms if not any(tt.contains(other, term) for other in terms))
    picked = free if scope is None else tt.chosen(terms, scope)
    word = "LRT" if test is None else _word(fit, None if test == "default" else test, df, default="LRT")
    if word == "LRT":
        return _deletions(fit, picked, test is not None)
    tested = precision(fit, "none" if word == "Wald" else df)
    table = _table(fit, [term.name for term in picked], [_joint(tested, left_out(fit, term)) for term in picked], word)
    table.attrs["messages"] = (f"Single terms left out, {_method(fit, word, df)}",)
    return table


def _word(fit: Fit, test: str | None, df: str | None, default: str = "Wald") -> str:
    """F for linear mixed models, else the default; "Wald" too where no degrees of freedom are wanted."""
    by_f = fit.request.model == "lmm" or df == "containment"
    if test is not None and test not in WORDS:
        raise ValueError(f"test={test!r} is not offered for a mixed model; there are {', '.join(WORDS)}")
    if test is None:
        word = ("Wald" if df == "none" else "F") if by_f else default if df is None else "Wald"
    else:
        word = WORDS[test]
    if not by_f and df not in (None, "none"):
        raise Unable(
            f"df={df!r} is for linear mixed models; the tests of a generalized one are chi-squared, or F with "
            "df='containment'"
        )
    if word == "F" and not by_f:
        raise Unable(
            "an F test is of linear mixed models; a generalized one has test='Wald', test='LRT' and, of nested groups, "
            "df='containment'"
        )
    if word == "LRT" and df is not None:
        raise ValueError(f"df={df!r} has no part in a likelihood ratio; leave it or test={test!r} out")
    return word


def _method(fit: Fit, word: str, df: str | None) -> str:
    if word == "F":
        method = df or str(getattr(fit.engine, "default_df", "satterthwaite"))
        return f"F tests with {METHODS[method]} degrees of freedom"
    return "Wald's chi-squared" if word == "Wald" else "likelihood ratios of fits by maximum likelihood"


# ---- Wald ----------------------------------------------------------------------------------------
def _joint(tested: Precision, L: Array) -> Joint:
    if not len(L):  # all columns of the term are aliased: nothing is lost with it
        return Joint(np.nan, 0, np.nan, np.nan)
    return tested.jointly(L, L @ np.nan_to_num(tested.fit.beta))


def _table(fit: Fit, names: Sequence[str], joint: Sequence[Joint], word: str) -> pd.DataFrame:
    """lmerTest's columns: mean squares are F sigma^2, so that F is their ratio to the residual's; or chi-squared.

    The F of a generalized model is its chi-squared over df, and has no mean squares.
    """
    table = pd.DataFrame({"term": names, "df": [float(j.q) for j in joint]})
    if word == "F":
        F = np.array([j.statistic for j in joint])
        table["df_resid"] = [j.df for j in joint]
    if word == "F" and fit.request.model == "lmm":
        table["sum_sq"], table["mean_sq"] = F * fit.sigma**2 * table["df"], F * fit.sigma**2
    table["statistic"], table["p_value"] = [j.statistic for j in joint], [j.p_value for j in joint]
    return table


# ---- likelihood ratios ---------------------------------------------------------------------------
def _by_refits(fit: Fit, type: str) -> pd.DataFrame:
    """Each term's columns left out: of the whole model in sum-to-zero contrasts (III), of the model without the terms
    that contain it (II), or without all later ones (I)."""
    terms = tested_terms(fit)
    request, gone = fit.request, [_above(fit, terms, k, type) for k in range(len(terms))]
    if type == "III":
        tt.refuse_aliased(fit, "an anova of type III")
        request = replace(fit.request, design=in_sums(fit.request.design))
        terms = tuple(term for term in request.design.terms if term.variables)
    known: dict[tuple[int, ...], Fit] = {(): _by_ml(fit, request, ())}
    rows = []
    for larger, term in zip(gone, terms, strict=True):
        pair = tuple(tt.columns_of(larger)), tuple(tt.columns_of([*larger, term]))
        for columns in pair:
            if columns not in known:
                known[columns] = _by_ml(fit, request, columns)
        rows.append(_ratio(known[pair[1]], known[pair[0]]))
    df, statistic, p = np.array(rows).T
    return pd.DataFrame({"term": [term.name for term in terms], "df": df, "statistic": statistic, "p_value": p})


def _above(fit: Fit, terms: Sequence[TermColumns], k: int, type: str) -> list[TermColumns]:
    if type != "II":
        return list(terms[k + 1 :]) if type == "I" else []
    return [other for other in terms if contains(fit.request.design, other, terms[k])]


def _by_ml(fit: Fit, request: Request, columns: Collection[int]) -> Fit:
    """The model without these columns, by maximum likelihood where the fit was by REML."""
    by_reml = isinstance(request.estimator, REML)
    if not columns and not by_reml:
        return fit
    if columns and getattr(fit.engine, "by_formula", False):
        raise Unable(
            f"{fit.backend} fits formulas, so that columns cannot be left out of one: fit the smaller model too and "
            "compare them by anova(small, large)"
        )
    smaller = hold(request, dict.fromkeys(columns, 0.0)) if columns else request
    refit = ability(fit, "refit", "a likelihood-ratio test of single terms")
    found: Fit = refit(smaller.by_ml() if by_reml else smaller)
    return found


def _ratio(small: Fit, large: Fit) -> tuple[float, float, float]:
    """df, statistic and p value; NaN where nothing is left out."""
    df = float(large.n_parameters - small.n_parameters)
    if df == 0:
        return 0.0, np.nan, np.nan
    statistic = max(2 * (large.loglik - small.loglik), 0.0)
    return df, statistic, float(stats.chi2.sf(statistic, df))


def _deletions(fit: Fit, terms: Iterable[TermColumns], tested: bool) -> pd.DataFrame:
    """lme4's drop1: AIC of the model and of those without one term, and likelihood ratios."""
    whole = _by_ml(fit, fit.request, ())
    smaller = {term.name: _by_ml(fit, fit.request, tt.columns_of([term])) for term in terms}
    rows = np.array([(np.nan, np.nan, np.nan), *(_ratio(small, whole) for small in smaller.values())])
    table = pd.DataFrame({"term": ["<none>", *smaller], "df": rows[:, 0]})
    table["aic"] = [whole.aic, *(small.aic for small in smaller.values())]
    if tested:
        table["statistic"], table["p_value"] = rows[:, 1], rows[:, 2]
    if isinstance(fit.request.estimator, REML):
        table.attrs["messages"] = ("REML fits were refitted by maximum likelihood for the comparison",)
    return table
