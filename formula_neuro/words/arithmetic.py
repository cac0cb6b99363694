"""The operators inside a variable, as in `I(2 * x)` or `f == "q"`: numbers, comparisons and logic on columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.values import Categorical, logical
from ..errors import DataError
from ..family import Array
from ..syntax.expression import Call, label
from .arguments import Argument, Constants, number
from .comparing import COMPARISON, compare, on_a_column

NUMERIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
    "%%": np.mod, "%/%": np.floor_divide,
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
            operand = on_a_column(number(values[0], what), what)
            return logical(operand == 0, np.isnan(operand))
        plain: Array | float = number(values[0], what)
        return -plain if sign == "-" else plain
    if sign in COMPARISON:
        return compare(sign, values[0], values[1], what, learn)
    left, right = (number(v, what) for v in values)
    with np.errstate(all="ignore"):
        if sign in LOGIC:
            on_a_column(left + right, what)
            return _either(sign, left, right)
        result = NUMERIC[sign](left, right)
    return result if isinstance(result, np.ndarray) and result.ndim else float(result)


def _either(sign: str, left: Array | float, right: Array | float) -> Categorical:
    """Logic with missing values, as in R: FALSE & NA is FALSE and TRUE | NA is TRUE, else NA stays."""
    decides = 1.0 if sign in ("|", "||") else 0.0
    decided = ((left != 0) == decides) & ~np.isnan(left) | ((right != 0) == decides) & ~np.isnan(right)
    gone = (np.isnan(left) | np.isnan(right)) & ~decided
    return logical(np.asarray(LOGIC[sign](left, right)), np.asarray(gone))


def sequence(start: Argument, stop: Argument) -> Constants:
    """a:b, whole steps from one number to the other."""
    if not isinstance(start, float) or not isinstance(stop, float) or not abs(stop - start) < LONGEST:
        raise DataError(f"inside a call a:b counts from one number to another, up to {LONGEST} of them")
    step = 1.0 if stop >= start else -1.0
    return tuple(float(v) for v in start + step * np.arange(int(np.floor(abs(stop - start) + 1e-10)) + 1))
