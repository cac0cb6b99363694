"""What a variable of a formula can be: numbers (n,) or (n, k) with names, or a Categorical."""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..family import Array
from ..syntax.expression import number_label

LOGICAL = ("FALSE", "TRUE")
CONTRASTS = ("contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.SAS")


@dataclass(frozen=True)
class Contrast:
    """How C(a, ...) or contrasts= asks for a factor to be coded."""

    kind: str  # "contr.sum", or "matrix"
    base: int = 1  # the level, counted from 1, that contr.treatment compares with
    how_many: int | None = None  # the first so many columns only
    scores: tuple[float, ...] | None = None  # of contr.poly, one a level
    numbered: bool = False  # R makes it for a number of levels, so the columns have no level names
    matrix: tuple[tuple[float, ...], ...] | None = None  # a row for each level
    columns: tuple[str, ...] | None = None  # the names of its columns, if it has any

    @property
    def counts_levels(self) -> bool:
        """Whether it means another thing when levels are left out."""
        given = (self.how_many, self.scores, self.matrix)
        return self.base != 1 or any(value is not None for value in given)


@dataclass(frozen=True, eq=False)
class Categorical:
    """Levels by code; -1 is a missing value. `contrast` is asked for by C(a, contr.sum)."""

    codes: NDArray[np.intp]  # (n,)
    levels: tuple[str, ...]
    ordered: bool = False
    logical: bool = False
    contrast: Contrast | None = None
    numbers: Array | None = None  # the levels as numbers, where they came from numbers

    def keep(self, rows: NDArray[np.intp]) -> Categorical:
        return replace(self, codes=self.codes[rows])

    def without_unused(self) -> Categorical:
        """Only the levels that still occur, in their order."""
        used = np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels)) > 0
        if used.all():
            return self
        if self.contrast is not None and self.contrast.counts_levels:
            gone = ", ".join(name for name, u in zip(self.levels, used, strict=True) if not u)
            raise DataError(
                f"a contrast made for {len(self.levels)} levels does not fit the rows used, where {gone} does not "
                "occur; make it for the levels that are left, or leave base=, scores=, how.many= and matrices out"
            )
        place = np.where(used, np.cumsum(used) - 1, -1)
        numbers = self.numbers[used] if self.numbers is not None else None
        levels = tuple(name for name, u in zip(self.levels, used, strict=True) if u)
        codes = np.where(self.codes >= 0, place[self.codes], -1)
        return replace(self, codes=codes, levels=levels, numbers=numbers)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A call that gives several numeric columns, such as poly(x, 2)."""

    values: Array  # (n, k)
    columns: tuple[str, ...]  # k


Value = Array | Matrix | Categorical


def missing(value: Value) -> NDArray[np.bool_]:
    """Which rows have no value."""
    if isinstance(value, Categorical):
        return value.codes < 0
    if isinstance(value, Matrix):
        return np.asarray(np.isnan(value.values).any(axis=1))
    return np.isnan(value)


def keep(value: Value, rows: NDArray[np.intp]) -> Value:
    if isinstance(value, Categorical):
        return value.keep(rows)
    if isinstance(value, Matrix):
        return replace(value, values=value.values[rows])
    return value[rows]


def from_column(column: pd.Series, name: str) -> Array | Categorical:
    """A table's column as numbers or a Categorical; its kind is decided here, not by a library.

    Text and categories become factors (a categorical keeps its declared order, text sorts by code
    point), True/False a logical factor. Raises DataError for dates, complex numbers, lists and mixtures.
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        given = column.array  # without the accessor .cat, which costs more than the rest of this
        levels = _level_names(given.categories)
        if len(set(levels)) < len(levels):
            raise DataError(f"{name}: two categories print alike ({', '.join(levels)}); rename one")
        return Categorical(np.asarray(given.codes, dtype=np.intp), levels, ordered=bool(given.ordered))
    if pd.api.types.is_bool_dtype(dtype):
        return logical(column.fillna(False).to_numpy(bool), column.isna().to_numpy(bool))
    if pd.api.types.is_complex_dtype(dtype):
        raise DataError(f"{name}: complex numbers cannot be modelled; use their real part or magnitude")
    if pd.api.types.is_numeric_dtype(dtype):
        return np.asarray(column.to_numpy(dtype=float, na_value=np.nan), dtype=float)
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        raise DataError(f"{name}: {NO_DATES}")
    if isinstance(dtype, pd.StringDtype) and (found := _text(column)).levels:  # none: all is missing
        return found
    return _from_objects(column, name)


NO_DATES = "dates and times cannot be modelled; convert them to a number such as days"


def _from_objects(column: pd.Series, name: str) -> Array | Categorical:
    gone = column.isna().to_numpy(bool)
    given = column[~gone]
    kinds = {_kind(found) for found in set(map(type, given.to_numpy(dtype=object)))}
    if not kinds:
        return np.full(len(column), np.nan)
    if kinds == {"True/False"}:
        return logical(column.where(~gone, False).to_numpy(bool), gone)
    if kinds == {"numbers"}:
        values = np.full(len(column), np.nan)
        values[~gone] = [_as_float(v, name) for v in given]
        return values
    if kinds == {"texts"}:
        return _text(column)
    if kinds == {"dates"}:
        raise DataError(f"{name}: {NO_DATES}")
    counts = Counter(_kind(type(v)) for v in given)
    rarest = min(counts, key=lambda kind: counts[kind])
    row = next(i for i, v in enumerate(column) if not gone[i] and _kind(type(v)) == rarest)
    shown = " and ".join(f"{kind} in {count} rows" for kind, count in counts.items())
    raise DataError(
        f"{name} holds {shown} (for example {column.iloc[row]!r} in row {row + 1}), but a column takes numbers only, "
        "texts only or True/False only: convert it, or set the strange cells to missing"
    )


def _kind(found: type) -> str:
    if issubclass(found, (bool, np.bool_)):
        return "True/False"
    if issubclass(found, (numbers.Real, np.integer, np.floating, decimal.Decimal)):
        return "numbers"
    if issubclass(found, str):
        return "texts"
    if issubclass(found, (datetime.date, datetime.time, datetime.timedelta, np.datetime64, pd.Period)):
        return "dates"
    return f"values of type {found.__name__}"


def _as_float(value: Any, name: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise DataError(f"{name}: {str(value)[:20]}... is too large a number; rescale the column") from None


def _text(column: pd.Series) -> Categorical:
    """Levels sorted by code point."""
    codes, found = pd.factorize(column.to_numpy(dtype=object), sort=False, use_na_sentinel=True)
    levels = [str(level) for level in found]
    return text_levels(np.asarray(codes, dtype=np.intp), levels)


def text_levels(codes: NDArray[np.intp], names: Sequence[str]) -> Categorical:
    """A factor of texts: those of `names` that occur, equal ones merged, sorted by code point."""
    used = np.bincount(codes[codes >= 0], minlength=len(names)) > 0
    levels = sorted({name for name, u in zip(names, used, strict=True) if u})
    index = {level: i for i, level in enumerate(levels)}
    place = np.array([index.get(name, -1) for name in names] + [-1], dtype=np.intp)
    return Categorical(place[codes], tuple(levels))


def _level_names(categories: pd.Index) -> tuple[str, ...]:
    if pd.api.types.is_bool_dtype(categories.dtype):
        return tuple(LOGICAL[int(level)] for level in categories)
    if pd.api.types.is_numeric_dtype(categories.dtype):
        return number_levels(categories.to_numpy(dtype=float))
    return tuple(map(str, categories.tolist()))


def number_levels(values: Array) -> tuple[str, ...]:
    """R's names of numbers as levels: whole ones as R prints an integer ("100000"), others as doubles ("0.5")."""
    whole = (values == np.round(values)) & (np.abs(values) < 2**31)
    return tuple(str(int(v)) if w else number_label(float(v)) for v, w in zip(values, whole, strict=True))


def logical(values: NDArray[np.bool_], gone: NDArray[np.bool_]) -> Categorical:
    return Categorical(np.where(gone, -1, values.astype(np.intp)), LOGICAL, logical=True)


def as_factor(value: Value) -> Categorical:
    """R's factor(): numbers in numeric order with R's print as level names."""
    if isinstance(value, Categorical):
        return replace(value, logical=False)
    if isinstance(value, Matrix):
        raise DataError("a factor is made of one column, not of several")
    codes, levels = pd.factorize(value, sort=True, use_na_sentinel=True)
    levels = np.asarray(levels, dtype=float)
    return Categorical(np.asarray(codes, dtype=np.intp), number_levels(levels), numbers=levels)


def as_numbers(value: Value, what: str) -> Array:
    """Numbers (n,); a logical counts as 0 and 1. Raises DataError for texts and matrices."""
    if isinstance(value, Matrix) and len(value.columns) == 1:
        return value.values[:, 0]
    if isinstance(value, Matrix):
        raise DataError(f"{what} takes one column, not {len(value.columns)}")
    if isinstance(value, Categorical):
        if not value.logical:
            shown = ", ".join(value.levels[:3])
            raise DataError(f"{what} needs numbers, but got texts or factor levels ({shown}, ...); convert the column")
        return np.where(value.codes < 0, np.nan, value.codes.astype(float))
    return value
