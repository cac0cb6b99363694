"""What a user may call data -> one pandas table with unique column names and rows 0..n-1."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sized
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import pandas as pd

from ..errors import DataError

# R's "NA", and what other programs write; not "None", which is a level of many factors (drug: None, 5 mg, 10 mg).
MISSING_WORDS = ["", "NA", "N/A", "#N/A", "n/a", "<NA>", "NaN", "nan", "-NaN", "-nan", "NULL", "null"]
TOLD = "formula_neuro.messages"  # in a table's attrs: what a model of it must know
SOURCE = "formula_neuro.source"  # the same: the path that it was read from, and what it held then
OTHER_READERS = {  # of pandas, which may need another package
    ".xlsx": "read_excel", ".xls": "read_excel", ".ods": "read_excel", ".sav": "read_spss", ".dta": "read_stata",
    ".sas7bdat": "read_sas", ".json": "read_json", ".feather": "read_feather", ".pkl": "read_pickle",
}  # fmt: skip
READERS = {".csv": ",", ".tsv": "\t", ".txt": None}


def as_table(data: Any) -> pd.DataFrame:
    """A DataFrame from a DataFrame, a dict of columns, a record array, a polars or arrow table, or a path.

    Also from what has a to_frame(), as explore's answer; texts in the frame's attrs[TOLD] are messages of its fits.
    Paths may end in .csv, .tsv, .txt (blanks or tabs) or .parquet. Raises DataError, FileNotFoundError.
    """
    if isinstance(data, (str, os.PathLike)):
        table = _checked(read(data), f"{os.fspath(data)}: ")
        return read_from(table, data)
    if isinstance(data, pd.DataFrame):
        return _checked(data)
    if hasattr(data, "collect") and type(data).__name__ == "LazyFrame":
        raise DataError("data is a LazyFrame, which holds no values yet; give data.collect()")
    if hasattr(data, "to_pandas"):
        return _checked(data.to_pandas())
    if hasattr(data, "to_frame") and not isinstance(data, (pd.Series, pd.Index)):
        return _checked(data.to_frame())
    if isinstance(data, Mapping):
        _check_lengths(data)
    elif data is None or isinstance(data, (int, float, bytes)):
        raise DataError(f"data is of type {type(data).__name__}; {EXPECTED}")
    try:
        return _checked(pd.DataFrame(data))
    except (ValueError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        held = "; its .images are what fn.fit takes" if hasattr(data, "images") else ""
        raise DataError(f"data of type {type(data).__name__} is no table ({error}); {EXPECTED}{held}") from None


def read_from(table: pd.DataFrame, path: str | os.PathLike[str]) -> pd.DataFrame:
    """The table, which source() says to be read from this path as long as it stays as it is."""
    table.attrs[SOURCE] = (os.fspath(path), _held(table))
    return table


def source(table: pd.DataFrame) -> str:
    """The path that the table was read from; "" of one made otherwise, or with rows, columns or values of its own.

    pandas hands attrs on to what is made of a table, so that they alone do not tell.
    """
    path, held = table.attrs.get(SOURCE, ("", ""))
    return path if path and held == _held(table) else ""


def _held(table: pd.DataFrame) -> str:
    """A fingerprint of the columns and their values."""
    names = "\n".join(map(str, table.columns))
    try:
        values = crc32(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    except (TypeError, ValueError):  # cells of lists, as parquet files have them
        values = len(table)
    return f"{crc32(names.encode()):x}-{values:x}"


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with rows 0, 1, ... and texts as column names; itself where they are."""
    index = table.index
    if not (isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None):
        table = table.reset_index(drop=True)
    return table if all(type(name) is str for name in table.columns) else table.rename(columns=str)


def some_columns(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """These columns; without any work where they are all."""
    columns = list(table.columns)
    if names == columns:
        return table.copy(deep=False)
    return table.take([columns.index(name) for name in names], axis=1)  # in a quarter of table[names]'s time


EXPECTED = "a DataFrame, a dict of columns, a record array, or the path of a csv, tsv, txt or parquet file is expected"


def _check_lengths(columns: Mapping[Any, Any]) -> None:
    lengths = {name: len(v) if isinstance(v, Sized) and not isinstance(v, str) else 0 for name, v in columns.items()}
    if columns and not any(lengths.values()):
        raise DataError(f"data is a dict without columns of values, as {{'x': [1.0]}}; {EXPECTED}")
    if len(set(lengths.values()) - {0}) > 1:
        shown = ", ".join(f"{name}: {n}" for name, n in lengths.items() if n)
        raise DataError(f"the columns of data have different lengths ({shown})")


def read(given: str | os.PathLike[str]) -> pd.DataFrame:
    """The table in a file, by its ending."""
    path = Path(given)
    if "://" in str(given):
        raise DataError(f"{given}: addresses are not read; download the file, or pass pandas.read_csv({str(given)!r})")
    if not path.exists():
        if "~" in str(given).lstrip("~"):  # ~ at the start is a home folder
            raise DataError(f"{given}: the data look like a formula; the formula comes first, then the data")
        raise FileNotFoundError(f"{path}: there is no such file (looked in {path.absolute().parent})")
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the path of a csv, tsv, txt or parquet file")
    ending = path.suffix.lower()
    if ending == ".parquet":
        return _parquet(path)
    if ending == ".txt" and path.read_bytes()[:2] == b"//":
        raise DataError(f"{path}: looks like Sleuth's foci, whose formula has a map: foci ~ s(group), or foci ~ s(1)")
    if ending not in READERS:
        how = f"; pass pandas.{OTHER_READERS[ending]}(path)" if ending in OTHER_READERS else ""
        raise DataError(f"{path}: files may end in {', '.join(READERS)} or .parquet, not {ending or 'nothing'!r}{how}")
    separator = READERS[ending]
    try:
        separator = separator or _separator(path)
        _check_header(path, separator)
        table = pd.read_csv(
            path, sep=separator or r"\s+", encoding="utf-8-sig", keep_default_na=False, na_values=MISSING_WORDS
        )
        _check_row_names(table, path, separator)
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: the file is empty") from None
    except UnicodeDecodeError:
        wide = path.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff")  # Excel's "Unicode text"
        encoding = "sep='\\t', encoding='utf-16'" if wide else "encoding='latin-1'"
        remedy = f"save it as UTF-8, or pass pandas.read_csv(path, {encoding})"
        raise DataError(f"{path} is not written in UTF-8; {remedy}") from None
    except (pd.errors.ParserError, csv.Error) as error:
        told = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise DataError(f"{path}: cannot be read as a table ({told})") from None
    return table


def _separator(path: Path) -> str | None:
    """A tab where it alone parts the header and the first row, so that values may hold blanks; None for blanks."""
    with path.open(encoding="utf-8-sig") as file:
        lines = (line.strip() for line in file if line.strip())
        head, row = next(lines, ""), next(lines, "\t")
    padded = " \t" in head or "\t " in head
    return "\t" if "\t" in head and "\t" in row and not padded else None


def _check_row_names(table: pd.DataFrame, path: Path, separator: str | None) -> None:
    """Raise where rows have more values than the header has names, which moves every value under another name.

    R's row names, as write.table() has them, may stand first: quoted, or counting the rows.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = (line if separator else " ".join(line.split()) for line in file if line.strip())
        head, row = (next(csv.reader(lines, delimiter=separator or " "), []) for _ in range(2))
        first = next(iter(row), "")
    if len(row) <= len(head):
        return
    counting = list(map(str, table.index)) == [str(i + 1) for i in range(len(table))]
    if len(row) == len(head) + 1 and row[-1].strip() and (counting or _quoted(path)):
        return
    raise DataError(
        f"{path}: its rows have more values than the header has names ({len(head)}), so that the first, {first!r}, "
        "would be no column's; is a separator within a value, or at the end of each row, or the name of the first "
        "column missing? Quote such values, or name the column"
    )


def _quoted(path: Path) -> bool:
    """Whether the first row starts with a quotation mark."""
    with path.open(encoding="utf-8-sig") as file:
        return next(islice((line for line in file if line.strip()), 1, None), "").startswith('"')


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise DataError(f"{path}: reading parquet needs pyarrow: pip install pyarrow") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({error})") from None


def _check_header(path: Path, separator: str | None) -> None:
    """pandas renames repeated columns to a.1 in silence; a formula must not pick one of them by chance."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = (line for line in file if line.strip())
        if separator:
            names = next(csv.reader(lines, delimiter=separator), [])
        else:
            names = [name.strip("\"'") for name in next(lines, "").split()]
    _raise_repeated([name.strip() for name in names if name.strip()], f"{path}: ")
    other = next((mark for mark in ";\t," if len(names) == 1 and separator and mark in names[0]), None)
    if other:
        remedy = f"Rename the file, or pass pandas.read_csv(path, sep={other!r})"
        if other == ";":  # which stands where the comma is in numbers
            remedy = "Save it with commas, and points in numbers, or pass pandas.read_csv(path, sep=';', decimal=',')"
        raise DataError(f"{path}: one column only ({names[0]!r}); is the separator {other!r}? {remedy}")


def _checked(table: pd.DataFrame, where: str = "") -> pd.DataFrame:
    _raise_repeated([str(c) for c in table.columns], where)
    if not len(table.columns):
        raise DataError(f"{where}the data has no columns")
    if not len(table):
        raise DataError(f"{where}the data has no rows")
    return table


def _raise_repeated(names: list[str], where: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{where}the column name {', '.join(repeated)} occurs more than once; rename or drop one")
