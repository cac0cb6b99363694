"""Names of studies and analyses: always text, the same text whatever file they came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..errors import DataError

KEY = ["study", "analysis"]
STUDY = ("study", "study_id", "id")
ANALYSIS = ("analysis", "analysis_id", "contrast", "contrast_id", "experiment")


def pairs(table: pd.DataFrame) -> pd.MultiIndex:
    """The key of every row: study and analysis."""
    return pd.MultiIndex.from_frame(table[KEY])


def as_text(value: Any) -> str:
    """An id as text, "" where it is missing: 12 and 12.0 are "12".

    >>> as_text(12.0), as_text(" Smith 2010 "), as_text(None)
    ('12', 'Smith 2010', '')
    """
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def with_ids(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The table with its columns of ids named study and analysis (where it has one), as text, in front.

    Raises DataError where no column names the studies.
    """
    study, analysis = _column(table, STUDY), _column(table, ANALYSIS)
    if study is None:
        sleuth = "; a Sleuth text starts with //Reference=MNI" if source.endswith(".txt") else ""
        raise DataError(
            f"{source} has no column study (it has {', '.join(map(str, table.columns))}); name the column of study ids "
            f"study, and that of analyses, where a study has several, analysis{sleuth}"
        )
    names = {study: "study"} if analysis is None else {study: "study", analysis: "analysis"}
    out = table.rename(columns=names)
    keys = list(names.values())
    out = out.assign(**{name: [as_text(value) for value in out[name]] for name in keys})
    if "id" in out.columns and "analysis" in out.columns and (out["id"] == out["study"] + "-" + out["analysis"]).all():
        out = out.drop(columns="id")  # NiMARE's name of the pair
    return out[[*keys, *(name for name in out.columns if name not in keys)]]


def _column(table: pd.DataFrame, names: Sequence[str]) -> Any:
    """The first of these names that the table has, in whatever case; None where it has none."""
    have = {str(name).strip().lower(): name for name in reversed(table.columns)}
    have |= {name: name for name in names if name in table.columns}  # study before Study where both are there
    return next((have[name] for name in names if name in have), None)


def some(names: Sequence[Any], most: int = 5) -> str:
    """The first few names: "a, b, c and 4 more"."""
    rest = len(names) - most
    shown = ", ".join(map(str, names[:most]))
    return f"{shown} and {rest} more" if rest > 0 else shown
