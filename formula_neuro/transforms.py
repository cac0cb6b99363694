"""What a formula may call: a table of functions, and the walk over an expression that applies them.

Nothing else is reachable from a formula: names are looked up among the columns only, functions here only.
A transform that learns constants from the data (scale, center, poly) returns them as its state, and is
given them back when the formula is applied to new data.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from .errors import DataError, FormulaError
from .expression import BINARY, Call, Name, Node, Number, Text, Truth, label, quoted
from .family import Array
from .values import Categorical, Matrix, Value, as_factor, as_numbers, from_column, logical, number_levels

Argument = Value | float | str | bool
States = dict[str, Any]
CONTRASTS = ("contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.SAS")


def evaluate(node: Node, table: pd.DataFrame, states: States, whole: str = "", learn: bool = True) -> Value:
    """The value of a variable on every row of the table.

    `states` maps the label of a learning call to its constants: filled when `learn`, read otherwise.
    Raises FormulaError (unknown column or function, with a caret into `whole`) and DataError.
    """
    value = _value(node, _Scope(table, states, whole, learn))
    if isinstance(value, (str, float, bool)):
        at = getattr(node, "at", 0)
        raise FormulaError(f"{label(node)} is a constant, not a column of the data", whole, at)
    return value


class _Scope:
    """What an expression can see."""

    def __init__(self, table: pd.DataFrame, states: States, whole: str, learn: bool):
        self.table, self.states, self.whole, self.learn = table, states, whole, learn

    def column(self, name: Name) -> Value:
        if name.text not in self.table.columns:
            near = difflib.get_close_matches(name.text, [str(c) for c in self.table.columns], n=1)
            hint = f"; did you mean {quoted(near[0])}?" if near else f" (it has {_listed(self.table.columns)})"
            raise FormulaError(f"{name.text} is not a column of the data{hint}", self.whole, name.at)
        return from_column(self.table[name.text], name.text)


def _listed(columns: Any) -> str:
    shown = [str(c) for c in columns]
    return ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "")


def _value(node: Node, scope: _Scope) -> Argument:
    if isinstance(node, Number):
        return node.value
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Name):
        return float(np.pi) if node.text == "pi" and "pi" not in scope.table.columns else scope.column(node)
    if isinstance(node, Truth):
        return node.value
    if node.function in OPERATORS:
        return _operate(node, [_value(v, scope) for _, v in node.arguments], scope.learn)
    if node.function == "%in%":
        return _among(node, scope)
    if node.function in BINARY:
        raise FormulaError(f"{node.function} has no value; it is an operator among terms", scope.whole, node.at)
    if node.function in LEARNING:
        return _learnt(node, scope)
    if node.function == "C":
        return _with_contrast(node, scope)
    if node.function not in FUNCTIONS:
        known = sorted([*FUNCTIONS, *LEARNING, "C", "offset"])
        near = difflib.get_close_matches(node.function, known, n=1)
        hint = f"did you mean {near[0]}()?" if near else f"there are {', '.join(known)}"
        if any(isinstance(v, Call) and v.function in ("|", "||") for _, v in node.arguments):
            hint = "of covariance structures there are us(x | g), diag(), cs() and ar1()"
        raise FormulaError(f"{node.function}() is not a function of formulas; {hint}", scope.whole, node.at)
    value = _call(node, FUNCTIONS[node.function], scope)
    if node.function == "cbind" and any(isinstance(v, Name) for _, v in node.arguments):
        return Matrix(value.values, tuple(v.text if isinstance(v, Name) else "" for _, v in node.arguments))
    return value


def _call(node: Call, function: Callable[..., Any], scope: _Scope, **state: Any) -> Any:
    """The function's value; arguments that it does not take are refused in R's words."""
    positional = [_value(v, scope) for name, v in node.arguments if not name]
    named = {name: _value(v, scope) for name, v in node.arguments if name}
    wanted = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    try:
        inspect.Signature(wanted).bind(*positional, **named)
        if len(positional) + len(named) < len(node.arguments):
            raise TypeError("an argument is named twice")
    except TypeError:
        usage = f"{node.function}({', '.join(map(_printed, wanted))})"
        raise FormulaError(f"{label(node)} does not fit {usage}", scope.whole, node.at) from None
    try:
        with np.errstate(all="ignore"):  # log(-1) is a missing value, as in R; its row is dropped and counted
            return function(*positional, **named, **state)
    except DataError as error:
        raise DataError(f"{label(node)}: {error}") from None


def _printed(parameter: inspect.Parameter) -> str:
    """A parameter as R would print it."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return "..."
    if parameter.default is parameter.empty:
        return parameter.name
    default = str(parameter.default).upper() if isinstance(parameter.default, bool) else f"{parameter.default:g}"
    return f"{parameter.name} = {default}"


# ---- operators -----------------------------------------------------------------------------------
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
    "%%": np.mod, "%/%": np.floor_divide,
}  # fmt: skip
COMPARISON: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip
LOGIC: dict[str, Callable[[Any, Any], Any]] = {"&": np.logical_and, "&&": np.logical_and, "|": np.logical_or,
                                               "||": np.logical_or}  # fmt: skip
OPERATORS = {*ARITHMETIC, *COMPARISON, *LOGIC, "(", "!"}


def _operate(node: Call, values: list[Argument], learn: bool) -> Argument:
    sign, what = node.function, label(node)
    if sign == "(":
        return values[0]
    if len(values) == 1:
        if sign == "!":
            number = _number(values[0], what)
            return logical(number == 0, np.isnan(number))
        return -_number(values[0], what) if sign == "-" else _number(values[0], what)
    if sign in COMPARISON:
        return _compare(sign, values[0], values[1], what, learn)
    left, right = (_number(v, what) for v in values)
    with np.errstate(all="ignore"):
        if sign in LOGIC:
            return logical(LOGIC[sign](left, right), np.isnan(left) | np.isnan(right))
        result = ARITHMETIC[sign](left, right)
    return result if isinstance(result, np.ndarray) and result.ndim else float(result)


def _compare(sign: str, left: Argument, right: Argument, what: str, learn: bool) -> Categorical:
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
    a, b = np.broadcast_arrays(_number(left, what), _number(right, what))
    return logical(COMPARISON[sign](a, b), np.isnan(a) | np.isnan(b))


def _among(node: Call, scope: _Scope) -> Categorical:
    """x %in% c(...): TRUE where x is one of the constants; FALSE, not missing, where x is missing, as in R."""
    (_, left), (_, right) = node.arguments
    listed = [v for _, v in right.arguments] if isinstance(right, Call) and right.function == "c" else [right]
    constants = [_value(v, scope) for v in listed]
    if not constants or not all(isinstance(v, (str, float)) for v in constants):
        raise FormulaError("right of %in% stand constants, as in f %in% c('a', 'b')", scope.whole, node.at)
    column, none = _value(left, scope), np.zeros(len(scope.table), dtype=bool)
    found = none.copy()
    for constant in constants:
        found |= _compare("==", column, constant, label(node), scope.learn).codes == 1
    return logical(found, none)


def _number(value: Argument, what: str) -> Any:
    if isinstance(value, str):
        raise DataError(f"{what} needs numbers, but got the text {value!r}")
    return float(value) if isinstance(value, (float, bool)) else as_numbers(value, what)


def _column(value: Argument, what: str) -> Array:
    if isinstance(value, (str, float, bool)):
        raise DataError(f"{what} takes a column, not a constant")
    return as_numbers(value, what)


# ---- functions -----------------------------------------------------------------------------------
def _elementwise(name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(x: Argument) -> Any:
        result = function(_number(x, name))
        return float(result) if np.ndim(result) == 0 else result

    return apply


def _log(x: Argument, base: Argument = float(np.e)) -> Any:
    if not isinstance(base, float) or not base > 0:
        raise DataError("the base of a logarithm is a number above 0")
    return np.log(_number(x, "log")) / (1.0 if base == np.e else np.log(base))


def _identity(x: Argument) -> Argument:
    return x


def _factor(x: Argument) -> Categorical:
    if isinstance(x, (str, float, bool)):
        raise DataError("a factor is made of a column")
    return as_factor(x)


def _as_numeric(x: Argument) -> Any:
    """Numbers as they are; a factor is refused, where R would silently give its codes."""
    return _number(x, "as.numeric")


def _extreme(what: str, function: Any) -> Callable[..., Any]:
    def apply(*x: Argument) -> Any:
        arrays = np.broadcast_arrays(*(_number(v, what) for v in x))
        if not arrays:
            raise DataError("there is nothing to compare")
        result = function.reduce(arrays)
        return float(result) if np.ndim(result) == 0 else result

    return apply


def _cbind(*columns: Argument) -> Matrix:
    arrays = [_number(c, "cbind") for c in columns]
    if not arrays or any(not isinstance(a, np.ndarray) for a in arrays):
        raise DataError("cbind takes columns")
    return Matrix(np.column_stack(arrays), tuple(str(i + 1) for i in range(len(arrays))))


ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp, "expm1": np.expm1, "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sqrt": np.sqrt,
    "abs": np.abs, "sin": np.sin, "cos": np.cos, "tan": np.tan, "floor": np.floor, "ceiling": np.ceil,
    "round": np.round, "sign": np.sign,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _elementwise(name, function) for name, function in ELEMENTWISE.items()},
    "log": _log, "I": _identity, "factor": _factor, "as.factor": _factor, "as.numeric": _as_numeric,
    "cbind": _cbind,
    "pmin": _extreme("pmin", np.minimum), "pmax": _extreme("pmax", np.maximum),
}  # fmt: skip


def _with_contrast(node: Call, scope: _Scope) -> Categorical:
    """C(a, contr.sum): the factor with its contrast by name."""
    arguments = [value for _, value in node.arguments]
    asked = getattr(arguments[1], "text", getattr(arguments[1], "value", None)) if len(arguments) == 2 else None
    if asked not in CONTRASTS:
        raise FormulaError(f"C() takes a factor and one of {', '.join(CONTRASTS)}", scope.whole, node.at)
    return replace(_factor(_value(arguments[0], scope)), contrast=asked)


# ---- transforms that learn -----------------------------------------------------------------------
def _learnt(node: Call, scope: _Scope) -> Any:
    key = label(node)
    value, learnt = _call(node, LEARNING[node.function], scope, state=None if scope.learn else scope.states[key])
    if scope.learn:
        scope.states[key] = learnt
    return value


def _scale(
    x: Argument, center: Argument = True, scale: Argument = True, *, state: tuple[float, float] | None
) -> tuple[Array, tuple[float, float]]:
    """(x - mean) / sd with n - 1, skipping missing values as R does; a number in place of TRUE is used itself."""
    values = _column(x, "scale")
    if not isinstance(center, (float, bool)) or not isinstance(scale, (float, bool)):
        raise DataError("center= and scale= are TRUE, FALSE or a number")
    if state is None:
        known = values[~np.isnan(values)]
        if not len(known):
            return values, (0.0, 1.0)  # every row will be dropped, and the column named
        mean = float(known.mean()) if center is True else float(center)
        spread = float(np.sqrt(((known - mean) ** 2).sum() / max(1, len(known) - 1))) if scale is True else float(scale)
        spread = 1.0 if scale is False else spread
        if not spread > 0:
            raise DataError("the column is constant, so it has no standard deviation to divide by")
        state = mean, spread
    return (values - state[0]) / state[1], state


def _center(x: Argument, *, state: float | None) -> tuple[Array, float]:
    values = _column(x, "center")
    if state is None:
        known = values[~np.isnan(values)]
        state = float(known.mean()) if len(known) else 0.0
    return values - state, state


def _poly(
    x: Argument, degree: Argument = 1.0, raw: Argument = False, *, state: dict[str, Any] | None
) -> tuple[Matrix, dict[str, Any]]:
    """Orthonormal polynomials by formulaic's three-term recurrence, or plain powers with raw = TRUE."""
    from formulaic.transforms.poly import poly

    values = _column(x, "poly")
    if not isinstance(degree, float) or degree != np.floor(degree) or not 1 <= degree < 100:
        raise DataError("the degree is a whole number above 0")
    if not isinstance(raw, bool):
        raise DataError("raw= is TRUE or FALSE")
    k = int(degree)
    if np.isnan(values).all():
        return Matrix(np.full((len(values), k), np.nan), tuple(str(i + 1) for i in range(k))), dict(state or {})
    if state is None and len(np.unique(values[~np.isnan(values)])) <= k:
        raise DataError(f"degree {k} needs more than {k} different values")
    constants: dict[str, Any] = {} if state is None else dict(state)
    columns = np.asarray(poly(values, degree=k, raw=raw, _state=constants), dtype=float)
    return Matrix(columns, tuple(str(i + 1) for i in range(k))), constants


def _relevel(x: Argument, ref: Argument, *, state: bool | None) -> tuple[Categorical, bool]:
    """The factor with another first level; new data is recoded by the levels of training, so it may lack that one."""
    factor = _factor(x)
    if state:
        return factor, True
    if not isinstance(ref, (str, float)):
        raise DataError("ref= is the name of a level")
    name = ref if isinstance(ref, str) else number_levels(np.array([ref]))[0]
    if name not in factor.levels:
        raise DataError(f"ref={name!r} is not a level (there are {', '.join(factor.levels[:12])})")
    first = factor.levels.index(name)
    order = [first, *(i for i in range(len(factor.levels)) if i != first)]
    place = np.empty(len(order) + 1, dtype=np.intp)
    place[order] = np.arange(len(order))
    place[-1] = -1
    numbers = factor.numbers[order] if factor.numbers is not None else None
    changed = replace(factor, codes=place[factor.codes], levels=tuple(factor.levels[i] for i in order), numbers=numbers)
    return changed, True


LEARNING: dict[str, Callable[..., Any]] = {"scale": _scale, "center": _center, "poly": _poly, "relevel": _relevel}
