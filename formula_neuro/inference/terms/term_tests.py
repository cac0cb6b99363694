"""Tests of a model's terms: a term's columns are held at 0 and the model is fitted again.

The pieces that anova(fit) and drop1() share: which columns a term has, what is fitted without them, and what the
rise of the deviance (or the score) is compared with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ...design import TermColumns
from ...errors import FitError, Unable
from ...estimator import BIAS_REDUCED
from ...family import Array
from ...nearest import not_known
from ...request import Request
from ...result import Fit
from ..ability import ability
from ..intervals.likelihood_tests import BY_DEVIANCE, check_offered, score_statistic
from ..intervals.restrict import check_linear, hold

TESTS = ("F", "Chisq", "Rao")


def chosen_test(fit: Fit, test: str | None) -> str:
    """The test asked for, or R's default: F where the dispersion is estimated, chi-squared where it is known."""
    check_linear(fit, "a test of single terms")
    estimated = fit.request.family.dispersed
    if fit.request.estimator.word in BIAS_REDUCED:
        check_offered(fit, "score" if test == "Rao" else "lr")
        estimated = False  # penalised likelihoods are compared as they are
    word = ("F" if estimated else "Chisq") if test is None else {"LRT": "Chisq"}.get(test, test)
    if word not in TESTS:
        raise ValueError(not_known("test", test, TESTS))
    if word == "F" and not estimated:
        raise ValueError(
            f"test='F' divides by an estimated dispersion, and {fit.request.family} by {fit.request.estimator.word} "
            "has none; take test='Chisq', or a quasi family"
        )
    return word


def terms_of(fit: Fit) -> tuple[TermColumns, ...]:
    """The terms but the intercept."""
    return tuple(term for term in fit.request.design.terms if term.variables)


def columns_of(terms: Iterable[TermColumns]) -> list[int]:
    return [j for term in terms for j in range(term.start, term.stop)]


def contains(large: TermColumns, small: TermColumns) -> bool:
    """Whether `small` is marginal to `large`: a to a:b."""
    return set(small.variables) < set(large.variables)


def without(fit: Fit, columns: Collection[int], request: Request | None = None) -> Fit:
    """The model with these columns' coefficients held at 0; raises FitError when that fit did not converge."""
    restricted = ability(fit, "restricted", "a test of single terms")
    found: Fit = restricted(request or fit.request, dict.fromkeys(sorted(columns), 0.0))
    if not found.converged and not found.infinite:
        names = [(request or fit.request).design.names[j] for j in sorted(columns)]
        raise FitError(f"the fit without {', '.join(names[:5])} did not converge")
    return found


def height(fit: Fit) -> float:
    """What nested fits are compared by: R's deviance, or -2 (penalised) log-likelihood where shapes are estimated."""
    plain = fit.request.estimator.word not in BIAS_REDUCED and fit.request.family.name in BY_DEVIANCE
    return fit.deviance if plain else fit.criterion


def columns_left(request: Request, columns: Collection[int]) -> Request:
    """The request without the columns, whose score is asked for at a smaller fit."""
    return hold(request, dict.fromkeys(columns, 0.0)) if columns else request


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What a rise is compared with: a dispersion, on so many degrees of freedom."""

    test: str
    dispersion: float
    df: float

    def tested(self, rise: Array, score: Array, q: Array) -> tuple[Array, Array]:
        """Statistic and p value for rises and scores (m,) on q (m,) degrees of freedom; NaN where q is 0."""
        q = np.where(q > 0, q, np.nan)
        scaled = np.maximum(score if self.test == "Rao" else rise, 0.0) / self.dispersion
        if self.test != "F":
            return np.where(np.isnan(q), np.nan, scaled), np.asarray(stats.chi2.sf(scaled, q))
        with np.errstate(divide="ignore", invalid="ignore"):
            F = scaled / q
        return F, np.asarray(stats.f.sf(F, q, self.df))


def yardstick(fit: Fit, test: str) -> Yardstick:
    penalised = fit.request.estimator.word in BIAS_REDUCED
    return Yardstick(test, 1.0 if penalised else fit.dispersion, fit.df_resid)


def score(request: Request, held: Fit, test: str) -> float:
    """Of the request's columns at a smaller fit, where the test asks for it."""
    return score_statistic(request, held) if test == "Rao" else np.nan


def rank(fit: Fit) -> int:
    """Coefficients that were free in the fit."""
    return fit.n_parameters - fit.request.family.dispersed


def chosen(terms: Sequence[TermColumns], scope: Any) -> tuple[TermColumns, ...]:
    """The terms that a scope names: a name, several, or a formula such as "~ a + b"; "a:b" and "b:a" are one."""
    from ...formula import parse
    from ...syntax.expression import label

    if isinstance(scope, str) and "~" in scope:
        part = parse(scope, list(dict.fromkeys(v for term in terms for v in term.variables))).fixed
        wanted = [":".join(label(part.variables[i]) for i in term) for term in part.terms]
    else:
        wanted = [scope] if isinstance(scope, str) else list(scope)
    known = {frozenset(term.name.split(":")): term for term in terms} | {frozenset([t.name]): t for t in terms}
    found = []
    for name in wanted:
        term = known.get(frozenset([name])) or known.get(frozenset(name.split(":")))
        if term is None:
            raise ValueError(f"{name!r} is not a term of the model; there are {', '.join(t.name for t in terms)}")
        found.append(term)
    return tuple(dict.fromkeys(found))


def refuse_aliased(fit: Fit, what: str) -> None:
    if fit.aliased:
        raise Unable(
            f"{what} needs every coefficient to be estimable, and {', '.join(fit.aliased)} is a combination of earlier "
            "columns (empty cells?); leave terms out, or take type='I'"
        )
