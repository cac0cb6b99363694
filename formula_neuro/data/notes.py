"""What the front end tells the user about the data that it was given: nothing is dropped or changed in silence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..formula import Formula
from ..syntax.expression import Name, label, names
from .misread import about_alike
from .values import Categorical, Value

Codes = tuple[NDArray[np.intp], tuple[str, ...]]  # of the rows, with the levels
FEW = 5  # with fewer levels a variance is little more than a guess (Bolker et al. 2009, Trends Ecol Evol 24:127)


def about_rows(n: int, kept: int, dropped: tuple[tuple[str, int], ...]) -> list[str]:
    """Rows lost to missing values, by column."""
    if not dropped:
        return []
    shown = ", ".join(f"{name}: {count}" for name, count in dropped)
    return [f"{n - kept} of {n} rows dropped for missing values ({shown})"]


def about_groups(levels: Mapping[str, int]) -> list[str]:
    """Grouping factors with few levels; `levels` counts them by name."""
    return [
        f"{group} has {count} levels: a variance between fewer than {FEW} is poorly known; "
        f"{group} as a fixed effect may serve better"
        for group, count in levels.items()
        if count < FEW
    ]


def about_levels(before: Mapping[str, Value], after: Mapping[str, Value]) -> list[str]:
    """Declared levels that do not occur."""
    found = []
    for name, value in after.items():
        old = before[name]
        if not isinstance(value, Categorical) or not isinstance(old, Categorical):
            continue
        gone = [level for level in old.levels if level not in set(value.levels)]
        if gone and not old.logical:
            found.append(f"{name}: levels that do not occur in the rows used are dropped ({', '.join(gone[:5])})")
    return found


def about_texts(formula: Formula, values: Mapping[str, Value]) -> list[str]:
    """Columns of texts that look like misread numbers or dates, where they do not group; levels that look the same."""
    found = []
    parts = [formula.fixed, *(bar.part for bar in formula.bars)]
    columns = dict.fromkeys(node for part in parts for node in part.variables if isinstance(node, Name))
    groups = dict.fromkeys(node for bar in formula.bars for node in bar.group if isinstance(node, Name))
    for node in {**columns, **groups}:
        value = values[label(node)]
        if not isinstance(value, Categorical):
            continue
        found += about_alike(label(node), value.levels)
        if node not in columns or value.ordered or value.logical or len(value.levels) < 3:
            continue
        shown = ", ".join(value.levels[:3])
        for pattern, what, remedy in MISREAD:
            if sum(bool(pattern.fullmatch(level)) for level in value.levels) > len(value.levels) / 2:
                found.append(
                    f"{label(node)}: texts that look like {what} ({shown}, ...) enter as a factor with "
                    f"{len(value.levels)} levels; {remedy}"
                )
    return found


MISREAD = (
    (re.compile(r"\s*[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?\s*"), "numbers", "convert the column if it counts"),
    (
        re.compile(r"\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}).*"),
        "dates",
        "convert them to days",
    ),
)


def about_response(formula: Formula) -> list[str]:
    """A response of one column that is also used to explain it; `y - x ~ x` and `cbind(s, n - s) ~ n` are common."""
    left = {n.text for n in names(formula.response)} if formula.response is not None else set()
    parts = [formula.fixed, *(bar.part for bar in formula.bars)]
    nodes = [part.variables[i] for part in parts for term in part.terms for i in term]
    nodes += [*formula.offsets, *(node for bar in formula.bars for node in bar.group)]
    both = left & {n.text for node in nodes for n in names(node)}
    found = (
        [f"{name} stands on both sides of the '~', so it explains itself" for name in both] if len(left) == 1 else []
    )
    if formula.response in formula.fixed.variables and not any(0 in term for term in formula.fixed.terms):
        found.append(f"{label(formula.response)} is the response, so it was left out right of the '~', as in R")
    return found


def about_bars(formula: Formula, values: Mapping[str, Value]) -> list[str]:
    """Groups that also enter as numbers, `||` before a factor, repeated and intercept-free random terms."""
    found = []
    fixed = {n.text for node in formula.fixed.variables if isinstance(node, Name) for n in names(node)}
    seen: Counter[tuple[str, str]] = Counter()
    for bar in formula.bars:
        for node in bar.group:
            value = values[label(node)]
            if isinstance(node, Name) and node.text in fixed and not isinstance(value, Categorical):
                found.append(f"{node.text} enters the fixed part as a number and groups a random term as a factor")
            if isinstance(value, np.ndarray) and (value != np.round(value)).any():
                found.append(f"{label(node)}: fractional numbers are used as the levels of a group")
        inside = [label(node) for node in bar.part.variables]
        if bar.split and any(isinstance(values[name], Categorical) for name in inside):
            found.append(f"({inside[0]} || {bar.name}) does not split a factor's columns; diag(...) would")
        columns = (["(Intercept)"] if bar.part.intercept else []) + inside
        seen.update((bar.name, column) for column in columns)
    for bar in formula.bars:
        numeric = not any(isinstance(values[label(node)], Categorical) for node in bar.part.variables)
        if numeric and not seen[bar.name, "(Intercept)"]:
            found.append(
                f"the slope of {label(bar.part.variables[0])} varies by {bar.name}, but the intercept does not"
            )
    found += [
        f"{column} varies by {group} in more than one random term, and the data cannot tell the shares apart; keep one"
        for (group, column), n in seen.items()
        if n > 1
    ]
    return list(dict.fromkeys(found))


def about_numbering(groups: Mapping[str, Codes], others: Mapping[str, Codes]) -> list[str]:
    """Groups whose numbers start again at 1 in every level of another factor: perhaps others with the same number.

    Each is (codes, levels); only where the levels hold unequal numbers of them is that more than a crossed design.
    """
    found = []
    for name, (codes, levels) in groups.items():
        if not all(level.isdecimal() for level in levels):
            continue
        numbers = np.array([int(level) for level in levels])
        order = np.argsort(numbers)
        if (numbers[order] != np.arange(1, len(levels) + 1)).any():
            continue
        for other, (outer, outer_levels) in others.items():
            if other == name or len(outer_levels) < 2:
                continue
            met = np.bincount(outer * len(levels) + codes, minlength=len(outer_levels) * len(levels)) > 0
            met = met.reshape(len(outer_levels), -1)[:, order]
            counts = met.sum(axis=1)
            if (counts >= 2).all() and len(set(counts)) > 1 and not (met[:, 1:] & ~met[:, :-1]).any():
                nested = f"(1 | {other}/{name})" if other in groups else f"(1 | {other}:{name})"
                found.append(
                    f"{name}: the numbers start again at 1 in every level of {other} ({', '.join(map(str, counts[:5]))}"
                    f"{', ...' if len(counts) > 5 else ''} of them), and equal numbers are taken for the same {name}; "
                    f"if they are not, write {nested}"
                )
    return found
