"""Contrasts as they are asked for: R's by name, or a matrix with a row for each level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..data.values import CONTRASTS, Categorical, Contrast, Value
from ..errors import DataError
from ..family import Array
from ..nearest import nearest


def _factors(name: str, values: Mapping[str, Value]) -> str:
    """What was probably meant by a name that is no factor."""
    if name in values:
        return f"; its numbers make a factor as factor({name}), contrasts={{'factor({name})': ...}}"
    factors = [known for known, value in values.items() if isinstance(value, Categorical)]
    meant = f"factor({name})" if f"factor({name})" in factors else nearest(name, factors)
    return f"; did you mean {meant!r}?" if meant else f" (which are {', '.join(factors) or 'none'})"


def asked_for(given: Mapping[str, Any], values: Mapping[str, Value]) -> dict[str, Contrast]:
    """What contrasts= gives for each factor; raises DataError for what is no factor, or does not fit its levels."""
    found = {}
    for name, kind in given.items():
        factor = values.get(name)
        if not isinstance(factor, Categorical):
            raise DataError(f"contrasts: {name} is not a factor of the formula{_factors(name, values)}")
        found[name] = _named(kind) if isinstance(kind, str) else _matrix(name, kind, factor)
    return found


def _named(kind: str) -> Contrast:
    if kind not in CONTRASTS:
        hint = f"did you mean contr.{kind}?" if f"contr.{kind}" in CONTRASTS else f"there are {', '.join(CONTRASTS)}"
        raise DataError(f"contrasts: {kind!r} is not known; {hint}")
    return Contrast(kind)


def _matrix(name: str, given: Any, factor: Categorical) -> Contrast:
    """A table or list of rows is taken as it is, one row a level; a list of numbers is completed, as R does both."""
    what = f"contrasts: {name}"
    table = pd.DataFrame({k: pd.Series(v) for k, v in given.items()}) if isinstance(given, Mapping) else given
    columns = tuple(map(str, table.columns)) if isinstance(given, Mapping | pd.DataFrame) else None
    if isinstance(table, pd.DataFrame | pd.Series) and not isinstance(table.index, pd.RangeIndex):
        labels = list(map(str, table.index))
        if sorted(labels) != sorted(factor.levels):
            raise DataError(
                f"{what} has the levels {', '.join(factor.levels)}, but the rows of its matrix are named "
                f"{', '.join(labels)}; name each level once"
            )
        table = table.iloc[[labels.index(level) for level in factor.levels]]
    try:
        matrix = np.array(table, dtype=float)
    except (TypeError, ValueError):
        matrix = np.full((), np.nan)
    if matrix.ndim not in (1, 2) or not matrix.size or not np.isfinite(matrix).all():
        raise DataError(
            f"{what} takes the name of a contrast, such as 'contr.sum', or finite numbers: a row for each level, "
            f"as [[1, 0], [0, 1], [-1, -1]]; got {given!r}"
        )
    if len(matrix) != len(factor.levels):
        raise DataError(
            f"{what} has {len(factor.levels)} levels in the rows used ({', '.join(factor.levels)}), but its matrix has "
            f"{len(matrix)} rows; give one a level, in this order"
        )
    return by_matrix(matrix, columns) if matrix.ndim == 2 else completed(matrix[:, None], None, what)


def by_matrix(matrix: Array, columns: tuple[str, ...] | None) -> Contrast:
    """The contrast of a matrix (levels, columns)."""
    return Contrast("matrix", matrix=tuple(map(tuple, matrix.tolist())), columns=columns)


def completed(matrix: Array, columns: tuple[str, ...] | None, what: str) -> Contrast:
    """The contrast of a matrix (k, q), q < k, with k - 1 - q columns added, orthonormal and at right angles to all.

    They are the last columns of Q in (1, matrix) = Q R, by Householder's reflections as in R. Raises DataError where
    the columns, and a constant one, depend on one another, or are more than k - 1.
    """
    k, q = matrix.shape
    if q >= k:
        raise DataError(f"{what}: a factor with {k} levels has {k - 1} contrasts, but its matrix has {q} columns")
    Q, R = np.linalg.qr(np.column_stack([np.ones(k), matrix]), mode="complete")
    sizes = np.abs(np.diag(R))
    if q < k - 1 and (sizes <= 1e-7 * np.linalg.norm(np.column_stack([np.ones(k), matrix]), axis=0)).any():
        raise DataError(
            f"{what}: the columns of the matrix, and a constant one, depend on one another, so that no others can be "
            "added to them"
        )
    whole = np.column_stack([matrix, Q[:, q + 1 :]])
    return by_matrix(whole, None if columns is None else (*columns, *[""] * (k - 1 - q)))
