"""What separation means for a fit, in words for its report: which coefficients, why, what to do."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import FitError, Unable
from ..estimator import BIAS_REDUCED

if TYPE_CHECKING:
    from ..result import Fit

KINDS = {
    "complete": "The predictors tell all successes from all failures (complete separation).",
    "quasi-complete": "The predictors tell some responses from the others without error (quasi-complete separation).",
    "all 0": "Every response is 0.",
    "all 1": "Every response is 1.",
}


@dataclass(frozen=True)
class Separation:
    """What the report says: whether these very estimates are infinite, why, a line a coefficient, advice."""

    infinite: bool
    why: str
    coefficients: tuple[str, ...]
    advice: str


def separation_words(fit: Fit) -> Separation | None:
    """The words on a fit whose maximum-likelihood estimates are infinite; None for any other."""
    if not fit.separated:
        return None
    why = KINDS.get(fit.separation, "The predictors tell some responses from the others without error (separation).")
    limits = _profile_limits(fit) if fit.infinite else {}
    lines = tuple(_line(fit, name, sign, limits.get(name, "")) for name, sign in fit.separated.items())
    return Separation(bool(fit.infinite), why, lines, _advice(fit))


def _line(fit: Fit, name: str, sign: float, limit: str) -> str:
    if sign == 0:
        return f"{name}: nothing in the data determines it."
    towards = f"{name}: maximum likelihood moves it to {'+' if sign > 0 else '−'}infinity"
    return f"{towards}{_pattern(fit, name)}.{limit}"


def _pattern(fit: Fit, name: str) -> str:
    """Why, where it can be told from one column of 0 and 1: all its rows on one side have the same response."""
    request = fit.request
    used = request.weights > 0
    x, y = request.design.matrix[used, fit.names.index(name)], request.y[used]
    if name == "(Intercept)" or not set(np.unique(x)) <= {0.0, 1.0}:
        return ""
    for value in (1.0, 0.0):
        own = y[x == value]
        if len(own) and (own == own[0]).all():
            return f"; in all {len(own)} rows where it is {value:g}, the response is {own[0]:g}"
    return ""


def _profile_limits(fit: Fit) -> dict[str, str]:
    """The one finite limit that the likelihood ratio gives for each infinite coefficient."""
    from ..inference.intervals.confint import confint

    found = {}
    names = [name for name, sign in fit.infinite.items() if sign]
    with contextlib.suppress(Unable, FitError, ValueError):
        table = confint(fit, names, method="profile")
        for term, low, high in zip(table["term"], table["conf_low"], table["conf_high"], strict=True):
            known = [f"{words} {end:.3g}" for end, words in ((low, "at least"), (high, "at most")) if np.isfinite(end)]
            if len(known) == 1:
                found[str(term)] = f" The likelihood ratio still bounds it (95 %): {known[0].replace('-', '−')}."
    return found


def _advice(fit: Fit) -> str:
    if fit.request.estimator.word in BIAS_REDUCED:
        return (
            "The estimates shown are bias-reduced: they stay finite, and so do their standard errors. Wald intervals "
            'are rough where so little is known; fn.confint(m, method="profile") and m.tidy(test="lr") do better.'
        )
    return (
        "The effect may be real and strong, but these data do not say how strong: no estimate, standard error or Wald "
        'test of the coefficients named has a meaning. Fit with estimator="mean_br" (or "median_br", "jeffreys"), '
        'which is finite; m.tidy(test="lr") tests them as they are. Look first whether a cell of the design is nearly '
        "empty, or a predictor another name for the response."
    )
