"""What a user may call data -> one pandas table with unique column names and rows 0..n-1."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from .errors import DataError

READERS = {".csv": ",", ".tsv": "\t", ".txt": None}


def as_table(data: Any) -> pd.DataFrame:
    """A DataFrame from a DataFrame, a dict of columns, a record array, a polars or arrow table, or a path.

    Paths may end in .csv, .tsv, .txt (blanks or tabs) or .parquet. Raises DataError, FileNotFoundError.
    """
    if isinstance(data, (str, os.PathLike)):
        table = read(Path(data))
    elif isinstance(data, pd.DataFrame):
        table = data
    elif hasattr(data, "to_pandas"):
        table = data.to_pandas()
    else:
        try:
            table = pd.DataFrame(data)
        except (ValueError, TypeError) as error:
            raise DataError(f"data of type {type(data).__name__} is not a table ({error})") from None
    return _checked(table)


def read(path: Path) -> pd.DataFrame:
    """The table in a file, by its ending."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file (looked in {path.absolute().parent})")
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the path of a csv, tsv, txt or parquet file")
    ending = path.suffix.lower()
    if ending == ".parquet":
        try:
            return pd.read_parquet(path)
        except ImportError:
            raise DataError(f"{path}: reading parquet needs pyarrow: pip install pyarrow") from None
    if ending not in READERS:
        raise DataError(f"{path}: files may end in {', '.join(READERS)} or .parquet, not {ending or 'nothing'!r}")
    separator = READERS[ending]
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline().rstrip("\r\n")
        _check_header(header, separator, path)
        return pd.read_csv(path, sep=separator or r"\s+", encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a table ({str(error).strip()})") from None


def _check_header(header: str, separator: str | None, path: Path) -> None:
    """pandas renames repeated columns to a.1 in silence; a formula must not pick one of them by chance."""
    names = [name.strip().strip('"') for name in (header.split(separator) if separator else header.split())]
    _raise_repeated([name for name in names if name], f"{path}: ")
    if separator and len(names) == 1 and ";" in header:
        raise DataError(f"{path}: one column only; is the separator ';'? Read it with pandas.read_csv(path, sep=';')")


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    _raise_repeated([str(c) for c in table.columns], "")
    if not len(table.columns):
        raise DataError("the data has no columns")
    if not len(table):
        raise DataError("the data has no rows")
    return table


def _raise_repeated(names: list[str], where: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{where}the column name {', '.join(repeated)} occurs more than once; rename or drop one")
