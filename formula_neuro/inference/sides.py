"""One-sided and two-sided tests: p values and limits from estimates over their standard errors."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from scipy import stats

from ..family import Array
from ..nearest import not_known

TWO, GREATER, LESS = 0, 1, -1
_SIDES = {
    TWO: ("two-sided", "two.sided", "!=", "=", 0, 2),
    GREATER: ("greater", "right", ">", 1),
    LESS: ("less", "left", "<", -1),
}
_NAMES = {TWO: "two.sided", GREATER: "greater", LESS: "less"}
_MEANT = {"larger": "greater", "smaller": "less", "positive": "greater", "negative": "less"}
WORDS = {GREATER: "P values are right-tailed", LESS: "P values are left-tailed"}  # emmeans's


def as_side(given: Any) -> int:
    """0 for two-sided, 1 for greater, -1 for less, from words or signs.

    >>> as_side("two.sided"), as_side(">"), as_side("less")
    (0, 1, -1)
    """
    for side, words in _SIDES.items():
        if isinstance(given, Hashable) and given in words:
            return side
    raise ValueError(not_known("alternative", given, _NAMES.values(), _MEANT))


def as_alternative(given: Any) -> str:
    """R's word for the side, from whatever as_side() reads.

    >>> as_alternative("two-sided"), as_alternative(">"), as_alternative("less")
    ('two.sided', 'greater', 'less')
    """
    return _NAMES[as_side(given)]


def beyond(t: Array, df: Array, side: int) -> Array:
    """The probability of a t further out than `t` (q,): in size, above it, or below it."""
    return np.asarray(2 * stats.t.sf(np.abs(t), df) if side == TWO else stats.t.sf(side * t, df))


def limits(estimate: Array, half: Array, side: int) -> tuple[Array, Array]:
    """The lower and the upper limit `half` off the estimates; one of them infinite where the test has one side."""
    low = np.where(np.isnan(half), np.nan, -np.inf) if side == LESS else estimate - half
    high = np.where(np.isnan(half), np.nan, np.inf) if side == GREATER else estimate + half
    return low, high
