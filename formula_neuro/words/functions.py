"""The plain functions of a formula: each row's value depends on that row alone, so there is nothing to learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from ..data.values import Categorical, Matrix, logical, missing, text_levels
from ..errors import DataError
from ..family import Array
from .arguments import CONSTANT_TYPES, Argument, Constants, columns_of, factor_of, number, whole, word
from .arithmetic import LONGEST

ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp, "expm1": np.expm1, "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sqrt": np.sqrt,
    "abs": np.abs, "floor": np.floor, "ceiling": np.ceil, "trunc": np.trunc, "sign": np.sign,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "gamma": special.gamma, "lgamma": special.gammaln,
    "plogis": special.expit, "qlogis": special.logit, "pnorm": special.ndtr, "qnorm": special.ndtri,
    "as.integer": np.trunc,
}  # fmt: skip


def _elementwise(name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(x: Argument) -> Any:
        result = function(number(x, name))
        return float(result) if np.ndim(result) == 0 else result

    return apply


def _log(x: Argument, base: Argument = float(np.e)) -> Any:
    if not isinstance(base, float) or not base > 0:
        raise DataError("the base of a logarithm is a number above 0")
    return np.log(number(x, "log")) / (1.0 if base == np.e else np.log(base))


def _round(x: Argument, digits: Argument = 0.0) -> Any:
    """R's rule: of the two neighbours with so many decimals the nearer one as a double, the even one of a tie."""
    places = whole(digits, "digits=", -300, 300)
    values = np.asarray(number(x, "round"), dtype=float)
    if places == 0:
        result = np.round(values)
    elif places < 0:
        result = np.round(values / 10.0**-places) * 10.0**-places
    else:
        unit = 10.0**places
        low, high = np.floor(values * unit) / unit, np.ceil(values * unit) / unit
        down, up = values - low, high - values
        even = np.floor(values * unit) % 2 == 0
        result = np.where((down < up) | ((down == up) & even), low, high)
        result = np.where(np.abs(values) * unit < 2.0**52, result, values)  # nothing to round: no finer digits
    return float(result) if np.ndim(result) == 0 else result


def _signif(x: Argument, digits: Argument = 6.0) -> Any:
    """To so many significant digits, the even one of a tie after multiplying by a power of ten, as in R."""
    places = whole(digits, "digits=", 1, 22)
    values = np.atleast_1d(np.asarray(number(x, "signif"), dtype=float))
    given = np.isfinite(values) & (np.abs(values) > 1e-280)  # of smaller ones no power of ten is left to multiply by
    shift = places - 1.0 - np.floor(np.log10(np.abs(values[given])))
    unit = 10.0 ** np.abs(shift)
    digits = np.rint(np.where(shift >= 0, values[given] * unit, values[given] / unit))
    result = values.copy()
    result[given] = np.where(shift >= 0, digits / unit, digits * unit)
    return float(result[0]) if isinstance(x, CONSTANT_TYPES) else result


def _identity(x: Argument) -> Argument:
    return x


def _as_numeric(x: Argument) -> Any:
    """Numbers as they are; a factor is refused, where R would silently give its codes."""
    return number(x, "as.numeric")


def _as_logical(x: Argument) -> Categorical:
    """TRUE where a number is not 0; texts as R reads them (TRUE, true, T, True), others are missing."""
    if isinstance(x, CONSTANT_TYPES):
        raise DataError("as.logical takes a column, not a constant")
    if isinstance(x, Categorical) and not x.logical:
        true = np.array([name in ("TRUE", "true", "T", "True") for name in x.levels] + [False])[x.codes]
        false = np.array([name in ("FALSE", "false", "F", "False") for name in x.levels] + [False])[x.codes]
        return logical(true, ~(true | false))
    values = number(x, "as.logical")
    return logical(values != 0, np.isnan(values))


def _as_character(x: Argument) -> Categorical:
    """Texts, which become a factor with sorted levels."""
    factor = factor_of(x)
    return text_levels(factor.codes, factor.levels)


def _is_na(x: Argument) -> Categorical:
    """TRUE where a value is missing; never missing itself, so it keeps the row."""
    if isinstance(x, CONSTANT_TYPES):
        raise DataError("is.na takes a column, not a constant")
    if isinstance(x, Matrix):
        raise DataError(f"is.na takes one column, not {len(x.columns)}")
    gone = missing(x)
    return logical(gone, np.zeros(len(gone), dtype=bool))


def _ifelse(test: Argument, yes: Argument, no: Argument) -> Any:
    """Row by row `yes` where the test is TRUE, `no` where it is FALSE; both numbers, both texts or both logical.

    A factor gives its level names as texts (R would silently give its codes).
    """
    asked = number(test, "ifelse")
    if not isinstance(asked, np.ndarray):
        raise DataError("the test is a column of TRUE and FALSE, such as x > 1")
    true, gone = asked != 0, np.isnan(asked)
    plain = [v for v in (yes, no) if not _is_missing(v)]
    if any(isinstance(v, str) or (isinstance(v, Categorical) and not v.logical) for v in plain):
        if any(not isinstance(v, (str, Categorical)) for v in plain):
            raise DataError("yes and no are both numbers or both texts")
        return _either_text(true, gone, yes, no)
    if plain and all(isinstance(v, (bool, Categorical)) for v in plain):
        a, b = (np.broadcast_to(np.asarray(number(v, "ifelse")), true.shape) for v in (yes, no))
        chosen = np.where(true, a, b)
        return logical(chosen == 1, gone | np.isnan(chosen))
    a, b = number(yes, "ifelse"), number(no, "ifelse")
    return np.where(gone, np.nan, np.where(true, a, b))


def _is_missing(value: Argument) -> bool:
    return isinstance(value, float) and bool(np.isnan(value))


def _either_text(true: Any, gone: Any, yes: Argument, no: Argument) -> Categorical:
    names: list[str] = []
    codes = []
    for value in (yes, no):
        levels = value.levels if isinstance(value, Categorical) else () if _is_missing(value) else (str(value),)
        start = len(names)
        names += levels
        if isinstance(value, Categorical):
            codes.append(np.where(value.codes < 0, -1, value.codes + start))
        else:
            codes.append(np.full(true.shape, start if levels else -1))
    return text_levels(np.where(gone, -1, np.where(true, *codes)), tuple(names))


def _extreme(what: str, function: Any) -> Callable[..., Any]:
    def apply(*x: Argument) -> Any:
        arrays = np.broadcast_arrays(*(number(v, what) for v in x))
        if not arrays:
            raise DataError("there is nothing to compare")
        result = function.reduce(arrays)
        return float(result) if np.ndim(result) == 0 else result

    return apply


def bind(columns: list[tuple[str, Argument]]) -> Matrix:
    """cbind: the columns side by side, with the names given; numbered where none has a name."""
    arrays: list[Array] = [number(value, "cbind") for _, value in columns]
    if not arrays or any(not isinstance(a, np.ndarray) for a in arrays):
        raise DataError("cbind takes columns")
    names = tuple(name for name, _ in columns)
    return columns_of(np.column_stack(arrays), names if any(names) else tuple(str(i + 1) for i in range(len(arrays))))


def _combine(*x: Argument) -> Constants:
    """c(...): constants beside one another, as breaks, knots and levels are given."""
    found: list[float | str | bool] = []
    for value in x:
        if not isinstance(value, CONSTANT_TYPES):
            raise DataError("c() takes constants, as c(0, 1, 2); columns are bound by cbind()")
        found += value if isinstance(value, tuple) else (value,)
    if any(isinstance(v, str) for v in found):
        return tuple(word(v) for v in found)
    numeric = any(not isinstance(v, bool) for v in found)
    return tuple(float(v) if numeric else v for v in found)


def _seq(start: Argument, to: Argument, by: Argument = 1.0) -> Constants:
    """seq(0, 10, by = 5)."""
    given = (start, to, by)
    if not all(isinstance(v, float) and np.isfinite(v) for v in given):
        raise DataError("from, to and by are numbers")
    first, last, step = (float(v) for v in given)  # type: ignore[arg-type]
    if step == 0 or (last - first) / step < 0 or (last - first) / step >= LONGEST:
        raise DataError(f"by= leads from {first:g} to {last:g} in 0 to {LONGEST} steps")
    return tuple(float(v) for v in first + step * np.arange(int((last - first) / step + 1e-10) + 1))


def _as_it_is(x: Argument) -> Categorical:
    """droplevels(): levels that do not occur are dropped of every factor, once the rows are known."""
    return factor_of(x)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _elementwise(name, function) for name, function in ELEMENTWISE.items()},
    "log": _log, "round": _round, "signif": _signif, "I": _identity, "identity": _identity,
    "as.numeric": _as_numeric, "as.double": _as_numeric, "as.logical": _as_logical, "as.character": _as_character,
    "is.na": _is_na, "ifelse": _ifelse, "droplevels": _as_it_is, "c": _combine, "seq": _seq,
    "pmin": _extreme("pmin", np.minimum), "pmax": _extreme("pmax", np.maximum),
}  # fmt: skip
