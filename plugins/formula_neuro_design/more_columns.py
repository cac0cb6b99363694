"""The same problem with more columns, or fewer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.scalars import is_whole

from .constraints import Constraints
from .family import Family
from .sweep import range_of_columns, sweep


def columns_table(family: Family, constraints: Constraints, columns: Sequence[int] | None = None) -> pd.DataFrame:
    """A row a number of columns: columns, objective, R, gain and price, as Sweep.to_frame() has them.

    Fixed columns and contrast stay; free columns whose contrast is 0 are added or left out. Raises DataError.
    """
    if columns is not None and (np.ndim(columns) != 1 or not all(is_whole(p, least=1) for p in columns)):
        raise DataError(f"columns is {columns!r}; a list of whole numbers is expected, as [3, 4, 5]")
    held = constraints.A.shape[1] + _needed(constraints)
    tried = range_of_columns(family, constraints.B, held) if columns is None else columns
    return sweep(family, lambda p: with_columns(constraints, p), tried).to_frame()


def with_columns(constraints: Constraints, p: int) -> Constraints:
    """The constraints for p columns: free ones stand where they stood, before the last fixed ones."""
    places = constraints.A.argmax(axis=0)
    free = np.setdiff1d(np.arange(len(constraints.A)), places)
    q, before = len(places), int((places < (free[0] if len(free) else len(places))).sum())
    now = [*range(before), *range(p - q + before, p)]
    A = np.eye(p)[:, now]
    if constraints.free_contrast:
        return Constraints(A, constraints.B, np.zeros((0, p)), np.zeros(0))
    d = np.zeros((*constraints.d.shape[:-1], p))
    d[..., now] = constraints.d[..., places]
    kept = free[: max(p - q, 0)]
    d[..., before : before + len(kept)] = constraints.d[..., kept]
    return Constraints(A, constraints.B, np.eye(p), d)


def _needed(constraints: Constraints) -> int:
    """How many free columns the contrast needs."""
    if constraints.free_contrast:
        return 0
    places = constraints.A.argmax(axis=0)
    free = np.setdiff1d(np.arange(len(constraints.A)), places)
    used = np.flatnonzero(np.atleast_2d(constraints.d)[:, free].any(axis=0))
    return int(used[-1]) + 1 if len(used) else 0
