"""cut(x, breaks): a column as a factor of intervals, with R's labels."""

from __future__ import annotations

import itertools

import numpy as np

from ..data.values import Categorical
from ..errors import DataError
from ..family import Array
from .arguments import Argument, column, numbers, truth, whole, words
from .factors import merged

DIGITS = 12  # R's most for a label


def cut(
    x: Argument,
    breaks: Argument,
    labels: Argument | None = None,
    include_lowest: Argument = False,
    right: Argument = True,
    dig_lab: Argument = 3.0,
    ordered_result: Argument = False,
    *,
    state: Array | None,
) -> tuple[Categorical | Array, Array | None]:
    """The interval of each value, or its number with labels = FALSE; values outside all intervals are missing.

    A number of intervals is turned into breaks that training fixes (R makes new ones from new data).
    """
    values = column(x, "cut")
    closed_right, lowest = truth(right, "right"), truth(include_lowest, "include.lowest")
    ordered = truth(ordered_result, "ordered_result")
    at = state if state is not None else _breaks(values, numbers(breaks, "breaks"))
    if at is None:
        return np.full(len(values), np.nan), None
    place = _places(values, at, closed_right, lowest)
    if isinstance(labels, bool):
        if labels:
            raise DataError("labels= takes texts, or FALSE for the numbers of the intervals")
        return np.where(place < 0, np.nan, place + 1.0), at
    names = interval_names(at, closed_right, lowest, whole(dig_lab, "dig.lab=", 1, 22))
    if labels is not None:
        names = words(labels, "labels")
        if len(names) != len(at) - 1:
            raise DataError(f"labels= has {len(names)} texts, but there are {len(at) - 1} intervals")
    factor = merged(place, names)
    return Categorical(factor.codes, factor.levels, ordered=ordered), at


def _breaks(values: Array, given: Array) -> Array | None:
    """The ends of the intervals; None where a number of intervals meets a column without a value."""
    if len(given) > 1:
        if len(np.unique(given)) < len(given):
            raise DataError("two breaks are equal")
        return np.sort(given)
    count = given[0]
    if not 2 <= count < 10_000:
        raise DataError(f"breaks={count:g} is a number of intervals: 2 or more; or give the ends, as c(0, 1, 2)")
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    if np.isinf(known).any():
        raise DataError("the column has infinite values; give the breaks, as c(-Inf, 0, Inf)")
    low, high = known.min(), known.max()
    # R widens the range by a thousandth, so that its ends lie inside
    spread = high - low if high > low else abs(low)
    if spread == 0:
        raise DataError("the column is 0 throughout, so it has no range to cut")
    if high == low:
        return np.linspace(low - spread / 1000, high + spread / 1000, int(count) + 1)
    found = np.linspace(low, high, int(count) + 1)
    found[[0, -1]] = low - spread / 1000, high + spread / 1000
    return found


def _places(values: Array, breaks: Array, right: bool, lowest: bool) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The interval of each value, counted from 0; -1 outside, and where the value is missing."""
    last = len(breaks) - 2
    place = np.searchsorted(breaks, values, side="left" if right else "right") - 1
    if lowest:
        end, inside = (breaks[0], 0) if right else (breaks[-1], last)
        place = np.where(values == end, inside, place)
    outside = np.isnan(values) | (place < 0) | (place > last)
    return np.where(outside, -1, place).astype(np.intp)


def interval_names(breaks: Array, right: bool = True, lowest: bool = False, digits: int = 3) -> tuple[str, ...]:
    """R's names of intervals: the ends with as many significant digits as tell them apart.

    >>> interval_names(np.array([0, 0.5, 1.25])), interval_names(np.array([0.0, 1, 2]), right=False, lowest=True)
    (('(0,0.5]', '(0.5,1.25]'), ('[0,1)', '[1,2]'))
    """
    ends: list[str] = []
    for d in range(digits, max(DIGITS, digits) + 1):
        ends = [_printed(b, d) for b in breaks]
        if len(set(ends)) == len(ends):
            break
    open_, close = ("(", "]") if right else ("[", ")")
    names = [f"{open_}{a},{b}{close}" for a, b in itertools.pairwise(ends)]
    if lowest and right:
        names[0] = "[" + names[0][1:]
    elif lowest:
        names[-1] = names[-1][:-1] + "]"
    return tuple(names)


def _printed(value: float, digits: int) -> str:
    if np.isinf(value):
        return " Inf" if value > 0 else "-Inf"  # so R's formatC
    return f"{value + 0.0:.{digits}g}"
