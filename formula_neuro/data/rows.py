"""Which rows of the table enter the model, and what is refused on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import DataError
from ..family import Array
from ..nearest import nearest, not_known
from ..syntax import expression
from ..words.transforms import States, evaluate
from .values import Categorical, Matrix, Value, as_numbers, from_column, keep, missing

Rows = NDArray[np.intp]


def extra(given: Any, table: pd.DataFrame, what: str, states: States) -> Array | None:
    """weights= or offset=: a column's name, an expression of columns, or one number a row, as an array (n,)."""
    if given is None:
        return None
    if isinstance(given, str):
        node = expression.Name(given) if given in table.columns else expression.read(given)
        return as_numbers(evaluate(node, table, states, given), what)
    try:
        values = np.array(given, dtype=float)  # a copy: the caller may change his
    except (TypeError, ValueError):
        raise DataError(f"{what}= takes a column's name or numbers, got {type(given).__name__}") from None
    if values.shape != (len(table),):
        raise DataError(f"{what}= has shape {values.shape}, but the data has {len(table)} rows; give one number a row")
    return values


def column(name: str, table: pd.DataFrame) -> Value:
    """A column of the data by its name, for what stands beside the formula; DataError where there is none."""
    if name not in table.columns:
        near = nearest(name, map(str, table.columns))
        hint = f"; did you mean {near!r}?" if near else f" (there are {', '.join(map(str, table.columns))})"
        raise DataError(f"{name!r} is not a column of the data{hint}")
    return from_column(table[name], name)


def check_index(given: Any, index: pd.Index, what: str) -> None:
    """A Series goes with the data row by row, so its row labels must be the data's, in the data's order."""
    if isinstance(given, pd.Series) and not given.index.equals(index):
        raise DataError(
            f"{what}= is a Series with other row labels than the data; give {what}={what}.to_numpy() if its rows stand "
            "in the order of the data's, or make it a column"
        )


def subset_rows(given: Any, table: pd.DataFrame) -> NDArray[np.bool_]:
    """subset=: a logical expression of columns or True/False a row; a missing value leaves the row out."""
    if given is None:
        return np.ones(len(table), dtype=bool)
    if isinstance(given, str):
        value = evaluate(expression.read(given), table, {}, given)
        if not (isinstance(value, Categorical) and value.logical):
            raise DataError(f"subset={given!r} gives no TRUE/FALSE; write a comparison such as 'age > 40'")
        return np.asarray(value.codes == 1)
    values = np.asarray(given)
    if values.dtype != bool or values.shape != (len(table),):
        raise DataError(
            f"subset= takes an expression or {len(table)} True/False values, got {values.dtype} {values.shape}"
        )
    return values


def complete(
    values: Mapping[str, Value], extras: Mapping[str, Array | None], chosen: NDArray[np.bool_], na_action: str
) -> tuple[Rows, tuple[tuple[str, int], ...]]:
    """The chosen rows without a missing value in any variable, and how many each variable lacks."""
    if na_action not in ("omit", "fail"):
        raise ValueError(not_known("na_action", na_action, ("omit", "fail"), {"exclude": "omit", "drop": "omit"}))
    good = chosen.copy()
    dropped: list[tuple[str, int]] = []
    given = {**values, **{f"{what}=": v for what, v in extras.items() if v is not None}}
    for name, value in given.items():
        gone = missing(value) & chosen
        if gone.any():
            dropped.append((name, int(gone.sum())))
            good &= ~gone
    lost = int(chosen.sum() - good.sum())
    shown = ", ".join(f"{name}: {count}" for name, count in dropped)
    if not chosen.any():
        raise DataError("subset= leaves no row")
    if not good.any():
        raise DataError(
            f"no row is complete: of {int(chosen.sum())} rows, values are missing in {shown}; fill them in or leave "
            "the column out"
        )
    if lost and na_action == "fail":
        raise DataError(f"na_action='fail': values are missing in {lost} rows ({shown})")
    return np.flatnonzero(good), tuple(dropped)


def kept(name: str, value: Value, rows: Rows) -> Value:
    """The value on the kept rows, with the levels that still occur; infinite numbers are refused."""
    value = keep(value, rows)
    if isinstance(value, Categorical):
        return value if value.logical else value.without_unused()
    finite(value.values if isinstance(value, Matrix) else value, name, rows)
    return value


def finite(values: Array | None, name: str, rows: Rows) -> Array | None:
    """The array on the kept rows; raises DataError where it is infinite."""
    if values is None:
        return None
    values = values if len(values) == len(rows) else values[rows]
    bad = np.isinf(values).reshape(len(rows), -1).any(axis=1)
    if bad.any():
        where = ", ".join(str(int(r) + 1) for r in rows[bad][:3])
        raise DataError(
            f"{name} is infinite in {int(bad.sum())} of {len(rows)} rows (first: row {where}); "
            "set these values to missing or use another transform"
        )
    return values


def checked_weights(values: Array | None, rows: Rows) -> Array | None:
    """Prior weights on the kept rows: not negative, and not all zero."""
    values = finite(values, "weights", rows)
    if values is None:
        return None
    if (values < 0).any():
        raise DataError(
            f"weights: {int((values < 0).sum())} of {len(rows)} are negative (first: {values[values < 0][0]:g}); "
            "weights are 0 or more"
        )
    if not (values > 0).any():
        raise DataError("weights: all are 0, so no row would count")
    return values
