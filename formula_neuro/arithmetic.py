"""The operators inside a variable, as in `I(2 * x)` or `f == "q"`: numbers, comparisons and logic on columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arguments import CONSTANT_TYPES, Argument, Constants, number
from .errors import DataError
from .expression import Call, label
from .family import Array
from .values import Categorical, logical

NUMERIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
    "%%": np.mod, "%/%": np.floor_divide,
}  # fmt: skip
COMPARISON: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
LOGIC: dict[str, Callable[[Any, Any], Any]] = {"&": np.logical_and, "&&": np.logical_and, "|": np.logical_or,
                                               "||": np.logical_or}  # fmt: skip
OPERATORS = {*NUMERIC, *COMPARISON, *LOGIC, "(", "!"}
LONGEST = 1000  # constants that a:b may make


def operate(node: Call, values: list[Argument], learn: bool) -> Argument:
    """The value of an operator on its operands; `learn` is False for new data."""
    sign, what = node.function, label(node)
    if sign == "(":
        return values[0]
    if len(values) == 1:
        if sign == "!":
            operand = _on_a_column(number(values[0], what), what)
            return logical(operand == 0, np.isnan(operand))
        plain: Array | float = number(values[0], what)
        return -plain if sign == "-" else plain
    if sign in COMPARISON:
        return compare(sign, values[0], values[1], what, learn)
    left, right = (number(v, what) for v in values)
    with np.errstate(all="ignore"):
        if sign in LOGIC:
            _on_a_column(left + right, what)
            return _either(sign, left, right)
        result = NUMERIC[sign](left, right)
    return result if isinstance(result, np.ndarray) and result.ndim else float(result)


def _on_a_column(value: Array | float, what: str) -> Array:
    if not isinstance(value, np.ndarray) or not value.ndim:
        raise DataError(f"{what} is TRUE or FALSE for all rows alike; name a column")
    return value


def _either(sign: str, left: Array | float, right: Array | float) -> Categorical:
    """Logic with missing values, as in R: FALSE & NA is FALSE and TRUE | NA is TRUE, else NA stays."""
    decides = 1.0 if sign in ("|", "||") else 0.0
    decided = ((left != 0) == decides) & ~np.isnan(left) | ((right != 0) == decides) & ~np.isnan(right)
    gone = (np.isnan(left) | np.isnan(right)) & ~decided
    return logical(np.asarray(LOGIC[sign](left, right)), np.asarray(gone))


def compare(sign: str, left: Argument, right: Argument, what: str, learn: bool) -> Categorical:
    """A logical factor. A level that training knows may be absent from new data: nothing equals it there."""
    if isinstance(left, str) and isinstance(right, Categorical):
        left, right = right, left
    if isinstance(left, Categorical) and isinstance(right, str):
        if sign not in ("==", "!="):
            raise DataError(f"{what}: levels can be compared by == and != only")
        if right not in left.levels and learn:
            raise DataError(f"{what}: {right!r} is not a level (there are {', '.join(left.levels[:12])})")
        same = left.codes == (left.levels.index(right) if right in left.levels else len(left.levels))
        return logical(same if sign == "==" else ~same, left.codes < 0)
    a, b = np.broadcast_arrays(number(left, what), number(right, what))
    _on_a_column(a, what)
    return logical(COMPARISON[sign](a, b), np.isnan(a) | np.isnan(b))


def among(column: Argument, constants: Argument, what: str, n: int, learn: bool) -> Categorical:
    """x %in% c(...), on n rows: FALSE, not missing, where x is missing, as in R."""
    none = np.zeros(n, dtype=bool)
    found = none.copy()
    assert isinstance(constants, CONSTANT_TYPES)
    for constant in constants if isinstance(constants, tuple) else (constants,):
        found |= compare("==", column, constant, what, learn).codes == 1
    return logical(found, none)


def sequence(start: Argument, stop: Argument) -> Constants:
    """a:b, whole steps from one number to the other."""
    if not isinstance(start, float) or not isinstance(stop, float) or not abs(stop - start) < LONGEST:
        raise DataError(f"inside a call a:b counts from one number to another, up to {LONGEST} of them")
    step = 1.0 if stop >= start else -1.0
    return tuple(float(v) for v in start + step * np.arange(int(np.floor(abs(stop - start) + 1e-10)) + 1))
