"""Foci in tables: one with a row a focus, alone or with a second of the studies."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path
from typing import Any

import pandas as pd

from ..data.table import MISSING_WORDS, as_table, plain
from ..errors import DataError
from .found import AXES, Found
from .ids import ANALYSIS, KEY, STUDY, with_ids

SEPARATORS = {".csv": ",", ".tsv": "\t"}


def from_table(data: Any, source: str = "the table") -> Found:
    """From a table (or its path) with study, x, y, z, perhaps analysis and space, and what else it has.

    Columns that are the same in all rows of an analysis become columns of the studies.
    """
    table = with_ids(load(data), source)
    table = _with_axes(table, source)
    if "analysis" not in table.columns:
        table.insert(1, "analysis", "1")
    line = 2 if isinstance(data, (str, os.PathLike)) else 1
    word = "line" if line == 2 else "row"
    places = [f"{word} {i + line}" for i in range(len(table))]
    foci, studies = _split(table)
    return Found(source, foci, studies, places)


def load(data: Any) -> pd.DataFrame:
    """A table, its ids as they stand (001 is not 1); files may be compressed (.gz)."""
    if not isinstance(data, (str, os.PathLike)):
        return plain(as_table(data))
    path = Path(data)
    zipped = path.suffix.lower() == ".gz"
    ending = Path(path.stem).suffix.lower() if zipped else path.suffix.lower()
    if zipped and ending not in SEPARATORS:
        raise DataError(f"{path}: compressed tables end in .csv.gz or .tsv.gz")
    table = plain(_unzipped(path, SEPARATORS[ending]) if zipped else as_table(path))
    if ending not in SEPARATORS:
        return table
    names = [name for name in table.columns if str(name).strip().lower() in (*STUDY, *ANALYSIS)]
    texts = pd.read_csv(path, sep=SEPARATORS[ending], dtype=str, encoding="utf-8-sig", na_filter=False)
    texts = plain(texts)[list(map(str, names))]  # not by usecols=, which takes R's row names for the first column
    texts = texts.where(~texts.isin(MISSING_WORDS), "")
    return table.assign(**{str(name): texts[name] for name in names})


def _unzipped(path: Path, separator: str) -> pd.DataFrame:
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file (looked in {path.absolute().parent})")
    try:
        return pd.read_csv(path, sep=separator, encoding="utf-8-sig", keep_default_na=False, na_values=MISSING_WORDS)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a compressed table ({str(error).strip()})") from None


def _with_axes(table: pd.DataFrame, source: str) -> pd.DataFrame:
    """The table with its coordinates named x, y, z and its space named space, whatever their case."""
    lower = {str(name).strip().lower(): name for name in reversed(table.columns)}
    lower |= {name: name for name in [*AXES, "space"] if name in table.columns}  # x before X where both are there
    missing = [axis for axis in AXES if axis not in lower]
    if missing:
        raise DataError(
            f"{source} has no column {' or '.join(missing)} (it has {', '.join(map(str, table.columns))}); the columns "
            "study, x, y, z (mm) are expected, a row a focus"
        )
    return table.rename(columns={lower[name]: name for name in [*AXES, "space"] if name in lower})


def _split(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns of the foci, and those of the analyses in a row each."""
    own = [*KEY, *AXES, "space", "stated_space"]
    others = [name for name in table.columns if name not in own]
    groups = table[others].groupby([table[key] for key in KEY], sort=False)
    constant = [name for name in others if groups[name].nunique(dropna=False).max() <= 1]
    studies = table[[*KEY, *constant]].drop_duplicates(KEY).reset_index(drop=True)
    return table.drop(columns=constant), studies
