"""Metadata and notes of an analysis -> columns: one value each, sample sizes as numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

SIZES = ("sample_sizes", "sample_size")
MISSING = (None, "", "n/a", "N/A", "NA", "nan", "NaN")


def columns_of(metadata: Any) -> dict[str, Any]:
    """One value a name: of lists the items in words, of missing ones none; sample sizes as sample_size_columns.

    >>> columns_of({"sample_sizes": [20, 24], "modality": "fMRI", "tags": ["a", "b"], "doi": None})
    {'modality': 'fMRI', 'tags': 'a, b', 'sample_size': 44.0, 'sample_size_mean': 22.0, 'sample_size_first': 20.0}
    """
    if not isinstance(metadata, Mapping):
        return {}
    out = {str(name): _one(value) for name, value in metadata.items() if name not in SIZES}
    out = {name: value for name, value in out.items() if value is not None}
    sizes = next((found for name in SIZES if (found := sample_sizes(metadata.get(name)))), None)
    return {**out, **(sample_size_columns(sizes) if sizes else {})}


def sample_sizes(value: Any) -> list[float]:
    """Numbers in a list, an array or alone; none where there is no positive number."""
    values = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
    numbers = [pd.to_numeric(one, errors="coerce") if not isinstance(one, bool) else np.nan for one in values]
    return [float(number) for number in numbers if number is not None and number == number and number > 0]


def sample_size_columns(sizes: list[float]) -> dict[str, float]:
    """Their sum, mean and first."""
    return {
        "sample_size": float(sum(sizes)),
        "sample_size_mean": float(np.mean(sizes)),
        "sample_size_first": sizes[0],
    }


def _one(value: Any) -> Any:
    if isinstance(value, Mapping):
        return None
    if isinstance(value, (list, tuple, np.ndarray)):
        return ", ".join(map(str, value)) or None
    return None if value in MISSING or value != value else value


def about_sizes(analyses: pd.DataFrame) -> list[str]:
    """What there is to say where analyses have several sample sizes."""
    if "sample_size_first" not in analyses.columns:
        return []
    several = int((analyses["sample_size"] > analyses["sample_size_first"]).sum())
    if not several:
        return []
    return [
        f"{several} of {len(analyses)} analyses have several sample sizes: sample_size is their sum; sample_size_mean "
        "and sample_size_first are beside it"
    ]
