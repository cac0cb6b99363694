"""What a coefficient says, as a sentence that a reader without statistics can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..syntax.expression import label
from .curves import is_number, levels_of
from .fit_tables import ratio_name
from .page import minus

if TYPE_CHECKING:
    import pandas as pd

    from ..result import Fit

MOST = 4


def sentences(fit: Fit) -> list[str]:
    """One sentence for each of the first interactions of two columns, then for each of the first plain predictors.

    Predictors that take part in an interaction are left out: their coefficient is no effect of its own.
    """
    design = fit.request.design
    table = fit.tidy(exponentiate=bool(ratio_name(fit)))
    crossed = [set(term.variables) for term in design.terms if len(term.variables) > 1]
    found = []
    for term in sorted(design.terms, key=lambda term: -len(term.variables)):
        names = design.names[term.start : term.stop]
        if any(set(term.variables) < other for other in crossed) or len(names) > MOST:
            continue
        for i, name in enumerate(names, term.start):
            if np.isnan(fit.beta[i]) or name in fit.infinite:
                continue
            if len(term.variables) == 1:
                per = _per(term.variables[0], design.data.get(term.variables[0]), name, names)
                found.append(_sentence(fit, table.iloc[i], per))
            elif parts := _parts(fit, term.variables, name, names):
                found.append(_interaction(fit, table.iloc[i], *parts))
    if crossed and not found:
        return ["No coefficient within an interaction is an effect of its own: see the picture, or fn.emmeans(m, ...)."]
    return found[:MOST]


def _parts(fit: Fit, variables: tuple[str, ...], name: str, names: tuple[str, ...]) -> list[str]:
    """What the two sides of an interaction's coefficient are per, a number first; none where they have no words."""
    data, halves = fit.request.design.data, [one.split(":") for one in names]
    own = name.split(":")
    if len(variables) != 2 or {len(half) for half in halves} != {2} or not all(v in data for v in variables):
        return []
    sides = [
        _per(variable, data[variable], own[k], tuple(dict.fromkeys(half[k] for half in halves)))
        for k, variable in enumerate(variables)
    ]
    return [side.removeprefix("for ") for side in sorted(sides, key=lambda side: not side.startswith("for each unit"))]


def _interaction(fit: Fit, row: pd.Series, of: str, where: str) -> str:
    """How the effect of one side of an interaction differs by the other."""
    estimate, low, high = (float(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    if ratio_name(fit):
        kind = ratio_name(fit).lower()
        return f"The {kind} of {of} is multiplied by {estimate:.3g} (95 % CI {low:.3g} to {high:.3g}) for {where}."
    verb, shown = "differs by", (estimate, low, high)
    if low > 0 or high < 0:
        verb = "is higher by" if low > 0 else "is lower by"
        shown = (abs(estimate), min(abs(low), abs(high)), max(abs(low), abs(high)))
    by, least, most = (minus(f"{value:.3g}") for value in shown)
    response = fit.request.design.formula.response
    on = f" on {label(response)}" if response is not None else ""
    return f"The effect of {of}{on} {verb} {by} (95 % CI {least} to {most}) for {where}."


def _per(variable: str, column: pd.Series | None, name: str, names: tuple[str, ...]) -> str:
    """Per what the response changes: a unit of a number, or one level of a factor rather than its base."""
    if names == (variable,):
        return f"for each unit of {name}"
    if column is None or is_number(column):
        return f"for {name}"
    bases = [level for level in levels_of(column) if f"{variable}{level}" not in names]
    if len(bases) == 1 and len(names) == len(levels_of(column)) - 1:
        return f"for {variable} = {name.removeprefix(variable)} rather than {bases[0]}"
    return f"for {name}"


def _sentence(fit: Fit, row: pd.Series, per: str) -> str:
    typical = f", for a given {' and '.join(dict.fromkeys(e.group for e in fit.random))}" if fit.random else ""
    if ratio_name(fit):
        return f"{_subject(fit)} {_percent(row)} {per}{typical}."
    if row["conf_low"] < 0 < row["conf_high"]:
        verb, shown = "changes", [row[name] for name in ("estimate", "conf_low", "conf_high")]
    else:
        verb = "rises" if row["estimate"] >= 0 else "falls"
        shown = [abs(row["estimate"]), *sorted((abs(row["conf_low"]), abs(row["conf_high"])))]
    by, low, high = ("−" * (value < 0) + f"{abs(value):.3g}" for value in map(float, shown))
    return f"{_subject(fit)} {verb} by {by} (95 % CI {low} to {high}) {per}{typical}."


def _percent(row: pd.Series) -> str:
    """ "rise by 6.4 % (95 % CI 2.4 % to 10.7 %)", or times where a percentage would be unreadable."""
    estimate, low, high = (float(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    if estimate > 3:
        return f"are multiplied by {estimate:.3g} (95 % CI {low:.3g} to {high:.3g})"
    words = [f"{100 * (value - 1):.1f} %".replace("-", "−") for value in (estimate, low, high)]
    if high < 1:
        words = [f"{100 * (1 - value):.1f} %" for value in (estimate, high, low)]
        return f"fall by {words[0]} (95 % CI {words[1]} to {words[2]})"
    verb = "rise" if low >= 1 else "change"
    return f"{verb} by {words[0]} (95 % CI {words[1]} to {words[2]})"


def _subject(fit: Fit) -> str:
    design, family = fit.request.design, fit.request.family
    name = label(design.formula.response) if design.formula.response is not None else "the response"
    if ratio_name(fit) == "Odds ratio":
        if design.y_levels:
            return f"The odds of {name} = {design.y_levels[1]}"
        return f"The odds of {name} = 1" if set(np.unique(fit.request.y)) <= {0.0, 1.0} else "The odds of a success"
    if ratio_name(fit):
        return "The expected counts" if ratio_name(fit) == "Rate ratio" else f"Expected values of {name}"
    if family.link.name == "identity":
        return f"The mean of {name}"
    return f"The {family.link.name} of {name}'s mean"
