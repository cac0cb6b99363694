"""What a coefficient says, as a sentence that a reader without statistics can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..syntax.expression import label
from .curves import is_number, levels_of
from .fit_tables import ratio_name

if TYPE_CHECKING:
    import pandas as pd

    from ..result import Fit

MOST = 4


def sentences(fit: Fit) -> list[str]:
    """One sentence for each of the first plain predictors: what changes, by how much, per what.

    Predictors that take part in an interaction are left out: their coefficient is no effect of its own.
    """
    design = fit.request.design
    crossed = {v for term in design.terms if len(term.variables) > 1 for v in term.variables}
    table = fit.tidy(exponentiate=bool(ratio_name(fit)))
    found = []
    for term in design.terms:
        if len(term.variables) != 1 or term.variables[0] in crossed or term.stop - term.start > MOST:
            continue
        names = design.names[term.start : term.stop]
        for i, name in enumerate(names, term.start):
            if not np.isnan(fit.beta[i]) and name not in fit.infinite:
                per = _per(term.variables[0], design.data.get(term.variables[0]), name, names)
                found.append(_sentence(fit, table.iloc[i], per))
    return found[:MOST]


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
