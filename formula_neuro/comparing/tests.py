"""Tests of two fits of one linear mixed model beside one another: F tests of terms, Kenward and Roger's numbers.

The reference must have the ability `anova(fit, df)`, its own table of terms, which lmerTest's fits have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import pandas as pd

from ..errors import RFailed, Unable
from ..estimator import REML
from ..inference.terms.anova import anova
from ..result import Fit

FEW = 600  # rows: pbkrtest inverts matrices of rows by rows
# of a condition number: twice how many of its sds a slope variable lies from 0 (at 200 pbkrtest is 90 % off)
FAR = 80.0
MANY = 20_000  # rows: R fits the model once more for its tests
Row = tuple[str, float, float]  # a term, our number, the reference's


@dataclass(frozen=True, eq=False)
class Tables:
    """anova() of both fits, by type III; rows are empty where either has none that means the same.

    `seen` is whether the reference's numerical derivatives have a meaning.
    """

    fit: Fit
    other: Fit
    seen: bool

    def statistics(self, df: str) -> Iterator[tuple[str, float, float, float]]:
        """F of every term; the difference is relative, or absolute below 1."""
        for term, a, b in self._rows(df, "statistic"):
            yield term, a, b, abs(a - b) / max(abs(b), 1.0)

    def freedom(self, df: str) -> Iterator[tuple[str, float, float, float]]:
        """Their denominators' degrees of freedom."""
        for term, a, b in self._rows(df, "df_resid"):
            yield term, a, b, abs(a - b) / abs(b)

    def _rows(self, df: str, column: str) -> Iterator[Row]:
        pair = self._satterthwaite if df == "satterthwaite" else self._kenward_roger
        if pair is None:
            return
        ours, theirs = (dict(zip(t["term"], t[column].astype(float), strict=True)) for t in pair)
        for term, place in zip(ours, _matched(list(ours), list(theirs)), strict=True):
            if place is not None and np.isfinite(theirs[place]):
                yield term, ours[term], theirs[place]

    @cached_property
    def _satterthwaite(self) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        return self._both("satterthwaite") if self.seen and self.fit.nobs <= MANY else None

    @cached_property
    def _kenward_roger(self) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        """Where pbkrtest can say it quickly: few rows, by REML, no prior weights, of which it takes no account."""
        fit = self.fit
        by_reml = isinstance(fit.request.estimator, REML)
        quick = by_reml and fit.nobs <= FEW and bool((fit.request.weights == 1).all())
        return self._both("kenward-roger") if quick and not far_slopes(fit) else None

    def _both(self, df: str) -> tuple[pd.DataFrame, pd.DataFrame] | None:
        if not comparable(self.fit, self.other) or lacks_margin(self.fit):
            return None
        try:
            theirs: pd.DataFrame = self.other.engine.anova(self.other, df)
            return anova(self.fit, df=df), theirs
        except (RFailed, Unable):  # of a model that is fitted all the same, as with a part of a factor's contrasts
            return None


def comparable(fit: Fit, other: Fit) -> bool:
    """Whether both have tests of the terms at all."""
    terms = [term for term in fit.request.design.terms if term.variables]
    return fit.request.model == "lmm" and bool(terms) and not fit.aliased and hasattr(other.engine, "anova")


def lacks_margin(fit: Fit) -> bool:
    """Whether a term stands without one that it contains (a:b without a, b and the intercept).

    lmerTest's type III then depends on the contrasts, where ours averages over levels all the same.
    """
    known = {frozenset(term.variables) for term in fit.request.design.terms}
    crossed = [term for term in known if len(term) > 1]
    return any(
        frozenset(part) not in known for term in crossed for k in range(len(term)) for part in combinations(term, k)
    )


def far_slopes(fit: Fit) -> tuple[str, ...]:
    """Groups whose columns are nearly dependent, as an intercept and the slope of a year are.

    The covariance components of such columns are sums that cancel, of which pbkrtest's products of n x n matrices keep
    no digits; here columns are made orthogonal first, which changes nothing else.
    """
    found = []
    for group in dict.fromkeys(term.group for term in fit.request.design.random):
        columns = np.hstack([term.basis for term in fit.request.design.random if term.group == group])
        size = np.linalg.norm(columns, axis=0)
        if np.linalg.cond(columns / np.where(size > 0, size, 1.0)) > FAR:
            found.append(group)
    return tuple(found)


def notes(fit: Fit, other: Fit) -> tuple[str, ...]:
    """What is to be said of tests that are left out."""
    if not comparable(fit, other):
        return ()
    if lacks_margin(fit):
        return (
            "F tests of terms are not compared: where a term stands without its margins, lmerTest's depend on the "
            "contrasts of the fit; here they average over levels.",
        )
    far = far_slopes(fit)
    if far:
        return (
            f"Kenward and Roger's tests are not compared: the slope variables within {', '.join(far)} lie far from 0, "
            "where pbkrtest's matrices lose their digits; centre them to compare (nothing changes here).",
        )
    return ()


def _matched(ours: list[str], theirs: list[str]) -> list[str | None]:
    """R's name of each term: the same but for blanks and the order of what is crossed."""
    known = {_key(name): name for name in theirs}
    return [known.get(_key(name)) for name in ours]


def _key(name: str) -> tuple[str, ...]:
    return tuple(sorted(name.replace(" ", "").split(":")))
