"""Comparisons inside a variable: `x > 1`, `f == "q"`, `cue == target`, `f %in% c("p", "q")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.values import Categorical, logical
from ..errors import DataError
from ..family import Array
from .arguments import CONSTANT_TYPES, Argument, number, word

COMPARISON: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def compare(sign: str, left: Argument, right: Argument, what: str, learn: bool) -> Categorical:
    """A logical factor. Factors are compared by the names of their levels, ordered ones by their places."""
    if isinstance(right, Categorical) and not isinstance(left, Categorical):
        left, right, sign = right, left, MIRRORED[sign]
    if isinstance(left, Categorical) and (isinstance(right, str) or (isinstance(right, float) and not left.logical)):
        return _with_a_level(sign, left, word(right), what, learn)
    if isinstance(left, Categorical) and isinstance(right, Categorical) and not (left.logical and right.logical):
        return _with_a_factor(sign, left, right, what)
    a, b = np.broadcast_arrays(number(left, what), number(right, what))
    on_a_column(a, what)
    return logical(COMPARISON[sign](a, b), np.isnan(a) | np.isnan(b))


def on_a_column(value: Array | float, what: str) -> Array:
    if not isinstance(value, np.ndarray) or not value.ndim:
        raise DataError(f"{what} is TRUE or FALSE for all rows alike; name a column")
    return value


def _with_a_level(sign: str, factor: Categorical, level: str, what: str, learn: bool) -> Categorical:
    """A level that training knows may be absent from new data: nothing equals it there."""
    by_place = sign not in ("==", "!=")
    if by_place and not factor.ordered:
        raise DataError(f"{what}: levels can be compared by == and != only; those of an ordered factor by < and > too")
    if level not in factor.levels and (learn or by_place):
        raise DataError(f"{what}: {level!r} is not a level (there are {', '.join(factor.levels[:12])})")
    place = factor.levels.index(level) if level in factor.levels else len(factor.levels)
    return logical(COMPARISON[sign](factor.codes, place), factor.codes < 0)


def _with_a_factor(sign: str, left: Categorical, right: Categorical, what: str) -> Categorical:
    gone = (left.codes < 0) | (right.codes < 0)
    if sign in ("==", "!="):
        index = {name: i for i, name in enumerate(left.levels)}
        same = left.codes == np.array([index.get(name, -2) for name in right.levels] + [-1])[right.codes]
        return logical(same if sign == "==" else ~same, gone)
    if not (left.ordered and right.ordered and left.levels == right.levels):
        raise DataError(f"{what}: only ordered factors of the same levels can be compared by {sign}")
    return logical(COMPARISON[sign](left.codes, right.codes), gone)


def among(column: Argument, constants: Argument, what: str, n: int, learn: bool) -> Categorical:
    """x %in% c(...), on n rows: FALSE, not missing, where x is missing, as in R."""
    none = np.zeros(n, dtype=bool)
    found = none.copy()
    assert isinstance(constants, CONSTANT_TYPES)
    for constant in constants if isinstance(constants, tuple) else (constants,):
        found |= compare("==", column, constant, what, learn).codes == 1
    return logical(found, none)
