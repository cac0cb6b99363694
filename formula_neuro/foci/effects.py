"""Known effects of covariates on the log mean number of foci."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..family import Array


def log_means(effects: Mapping[str, Any], table: pd.DataFrame) -> Array:
    """(n,) what the covariates add to the log mean: slope times number, or the level's effect (0 where it has none).

    >>> table = pd.DataFrame({"age": [1.0, 2.0], "drug": ["yes", "no"]})
    >>> log_means({"age": 0.5, "drug": {"yes": 1.0}}, table).tolist()
    [1.5, 1.0]
    """
    out = np.zeros(len(table))
    for name, effect in effects.items():
        if name not in table.columns:
            raise DataError(f"effects: {name!r} is no column of the table (there are {', '.join(table.columns)})")
        column = table[name]
        if isinstance(effect, Mapping):
            unknown = [level for level in effect if level not in set(column)]
            if unknown:
                known = ", ".join(map(str, pd.unique(column)))
                raise DataError(f"effects: {name} has no level {unknown[0]!r} (there are {known})")
            out += np.array([float(effect.get(level, 0.0)) for level in column])
        else:
            values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
            if not np.isfinite(values).all():
                raise DataError(f"effects: {name} is no column of finite numbers; give its levels' effects as a dict")
            out += float(effect) * values
    return out


def effect_table(effects: Mapping[str, Any]) -> pd.DataFrame:
    """A row an effect, named as the coefficient of treatment contrasts: term, estimate."""
    rows: list[tuple[str, float]] = []
    for name, effect in effects.items():
        if isinstance(effect, Mapping):
            rows += [(f"{name}{level}", float(value)) for level, value in effect.items()]
        else:
            rows.append((name, float(effect)))
    return pd.DataFrame(rows, columns=["term", "estimate"])
