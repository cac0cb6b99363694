"""A table's columns as they cross to R, and back: numbers, codes and level names, never data frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.data.values import Categorical, Matrix, Value, from_column


def columns_to_r(data: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Each column as a dictionary that R can rebuild, of the kind that our own formulas see in it.

    Levels always go along: R sorts by locale, we by code point. Unused ones stay here.

    >>> columns_to_r(pd.DataFrame({"g": ["b", "a", "b"]}))["g"]["levels"]
    ('a', 'b')
    """
    return {str(name): value_to_r(from_column(data[name], str(name))) for name in data.columns}


def value_to_r(value: Value) -> dict[str, Any]:
    """A column, or the value of a call, as a dictionary that R can rebuild."""
    if isinstance(value, Matrix):
        return {"kind": "matrix", "values": np.ascontiguousarray(value.values), "names": tuple(value.columns)}
    if not isinstance(value, Categorical):
        return {"kind": "number", "values": np.ascontiguousarray(value, dtype=np.float64)}
    if value.logical:
        return {"kind": "logical", "values": value.codes.astype(np.int32)}
    used = value.without_unused()
    codes = (used.codes + 1).astype(np.int32)
    return {"kind": "factor", "values": codes, "levels": used.levels, "ordered": used.ordered}


def column_from_r(column: dict[str, Any]) -> Any:
    """A column that R sent, as pandas would hold it; missing values are NaN, None or NA by its kind."""
    kind, values = column["kind"][0], column["values"]
    if kind == "factor":
        levels = pd.CategoricalDtype(list(column["levels"]), ordered=bool(column["ordered"][0]))
        return pd.Categorical.from_codes(values - 1, dtype=levels)
    if kind == "text":
        gone = column["missing"].astype(bool)
        return [None if g else v for v, g in zip(values, gone, strict=True)]
    if kind == "logical":
        gone = np.isnan(values)
        plain = np.where(gone, 0, values).astype(bool)
        return pd.arrays.BooleanArray(plain, gone) if gone.any() else plain
    if kind == "date":
        return pd.to_datetime(values, unit="D", origin="unix")
    return values.astype(np.int64) if kind == "integer" else values
