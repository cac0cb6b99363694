"""What the functions of a formula are given, and the checks that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.values import Categorical, Matrix, Value, as_factor, as_numbers, number_levels
from ..errors import DataError
from ..family import Array

Constant = float | str | bool
Constants = tuple[Constant, ...]  # c(...), a:b, quantile(x)
Argument = Value | Constant | Constants
CONSTANT_TYPES = (str, float, bool, tuple)


def formal_names(given: Sequence[str], formals: Sequence[str]) -> dict[str, str]:
    """The argument that each name given means, as R matches: its own, else the only one left that begins with it.

    A name that means none, or several, stays what it is.

    >>> formal_names(["lev", "ord", "l"], ["x", "levels", "labels", "ordered"])
    {'lev': 'levels', 'ord': 'ordered', 'l': 'l'}
    """
    left = [name for name in formals if name not in given]
    found = {}
    for name in given:
        meant = [formal for formal in left if formal.startswith(name)]
        found[name] = meant[0] if name not in formals and len(meant) == 1 else name
    return found


def number(value: Argument, what: str) -> Any:
    """A number or a column of numbers."""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        raise DataError(f"{what} needs numbers, but got the text {value!r}")
    if isinstance(value, tuple):
        raise DataError(f"{what} takes a column or one number, not the {len(value)} constants of a vector")
    return float(value) if isinstance(value, (float, bool)) else as_numbers(value, what)


def column(value: Argument, what: str) -> Array:
    """A column of numbers."""
    if isinstance(value, CONSTANT_TYPES):
        raise DataError(f"{what} takes a column, not a constant")
    return as_numbers(value, what)


def factor_of(value: Argument) -> Categorical:
    if isinstance(value, CONSTANT_TYPES):
        raise DataError("a factor is made of a column")
    return as_factor(value)


def truth(value: Argument, name: str) -> bool:
    if not isinstance(value, bool):
        raise DataError(f"{name}= is TRUE or FALSE")
    return value


def whole(value: Argument, what: str, least: int = 1, most: int = 99) -> int:
    if not isinstance(value, float) or value != np.floor(value) or not least <= value <= most:
        raise DataError(f"{what} is a whole number from {least} to {most}")
    return int(value)


def numbers(value: Argument, name: str) -> Array:
    """One number or c(...) of numbers, (k,)."""
    found = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(v, float) and not np.isnan(v) for v in found):
        raise DataError(f"{name}= is a number, or several as in c(1, 2.5)")
    return np.array(found, dtype=float)


def words(value: Argument, name: str) -> tuple[str, ...]:
    """One text or c(...) of texts; numbers as R prints them."""
    found = value if isinstance(value, tuple) else (value,)
    if not found or not all(isinstance(v, (str, float, bool)) for v in found):
        raise DataError(f"{name}= takes constants, as c('a', 'b')")
    return tuple(word(v) for v in found)  # type: ignore[arg-type]


def word(value: Constant) -> str:
    """A constant as the name of a level."""
    if isinstance(value, str):
        return value
    return str(value).upper() if isinstance(value, bool) else number_levels(np.array([value]))[0]


def columns_of(values: Array, names: tuple[str, ...]) -> Matrix:
    """The value of a call with several columns; R gives a single column no name of its own."""
    return Matrix(values, names if len(names) > 1 else ("",))


def counted(values: Array) -> Matrix:
    """A matrix whose columns are named 1, 2, ..."""
    return columns_of(values, tuple(str(i + 1) for i in range(values.shape[1])))
