"""What a user may call images: a column of paths or of images, or one 4-D file -> one source an image, with its row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..data.table import as_table, plain, read_from
from ..errors import DataError, ImageError
from ..nearest import nearest


@dataclass(frozen=True, eq=False)
class Source:
    """One image: a file, one volume of a 4-D file, or a nibabel image in memory; `name` is how messages call it."""

    name: str
    path: Path | None = None
    image: Any = None
    volume: int | None = None


@dataclass(frozen=True, eq=False)
class Sources:
    """The table with one row an image, the response's name and the images in the rows' order."""

    table: pd.DataFrame
    response: str
    images: tuple[Source, ...]
    messages: tuple[str, ...] = ()


def sources(data: Any, response: Any) -> Sources:
    """From a table (or its path) and the column of images, or a 4-D file whose volumes are the rows."""
    if isinstance(data, (str, os.PathLike)) and Path(data).is_dir():
        from .bids import from_bids  # it makes Sources, so it needs this file first

        return from_bids(Path(data), str(response))
    if isinstance(data, (list, tuple)) and any(is_image(one) or is_image_path(one) for one in data):
        raise DataError(
            f"the data are a list of {len(data)} images; give a table with a row for each of them, as "
            f'pd.DataFrame({{"{response if isinstance(response, str) else "lesion"}": images, "age": ages}})'
        )
    table = _with_texts(data, plain(as_table(data)))
    if isinstance(response, str) and response in table.columns:
        home = Path(data).resolve().parent if isinstance(data, (str, os.PathLike)) else Path.cwd()
        return Sources(table, response, _of_column(table[response], response, home))
    if is_image(response) or is_image_path(response):
        from .volumes import from_volumes

        return from_volumes(table, response)
    if isinstance(response, (list, tuple)):
        raise DataError(
            f"response= is a list of {len(response)}; put the images into a column of the table, "
            'table["lesion"] = images, and give its name'
        )
    meant = nearest(str(response), map(str, table.columns)) if isinstance(response, str) else None
    hint = f"; did you mean {meant!r}?" if meant else ""
    raise DataError(
        f"{response!r} is not a column of the data (there are {', '.join(map(str, table.columns))}), nor the path of a "
        f"4-D image{hint}"
    )


def _with_texts(data: Any, table: pd.DataFrame) -> pd.DataFrame:
    """The table with 001 as it stands in a csv or tsv file, where pandas has made 1 of it."""
    whole = [name for name in table.columns if pd.api.types.is_integer_dtype(table[name])]
    ending = Path(data).suffix.lower() if isinstance(data, (str, os.PathLike)) else ""
    if ending not in (".csv", ".tsv") or not whole:
        return table
    texts = pd.read_csv(data, sep="," if ending == ".csv" else "\t", dtype=str, encoding="utf-8-sig")
    padded = [name for name in whole if texts[name].str.match(r"\s*0\d").any()]
    return read_from(table.assign(**{name: texts[name] for name in padded}), data) if padded else table


def is_image(value: Any) -> bool:
    """Whether it is an image of nibabel."""
    return hasattr(value, "dataobj") and hasattr(value, "affine")


def is_image_path(value: Any) -> bool:
    """Whether it is a text or path that ends as image files do."""
    endings = (".nii", ".nii.gz", ".img", ".img.gz", ".hdr", ".mgz", ".mgh")
    return isinstance(value, (str, os.PathLike)) and os.fspath(value).lower().endswith(endings)


def _of_column(column: pd.Series, response: str, home: Path) -> tuple[Source, ...]:
    missing = [i for i, cell in enumerate(column) if not is_image(cell) and _is_missing(cell)]
    if missing:
        raise ImageError(
            f"{response}: {len(missing)} of {len(column)} rows have no image ({rows_in_words(missing)}); leave these "
            "rows out, or give their images"
        )
    wrong = [i for i, cell in enumerate(column) if not is_image(cell) and not isinstance(cell, (str, os.PathLike))]
    if wrong:
        raise ImageError(
            f"{response} holds {column.iloc[wrong[0]]} in row {wrong[0] + 1}; a column of image paths, or of nibabel "
            "images, is expected"
        )
    paths = [None if is_image(cell) else home / os.path.expanduser(os.fspath(cell)) for cell in column]
    short = Counter(path.name for path in paths if path is not None)
    return tuple(
        Source(f"the image of row {i + 1}", image=cell)
        if path is None
        else Source(path.name if short[path.name] == 1 else str(cell), path=path)
        for i, (cell, path) in enumerate(zip(column, paths, strict=True))
    )


def _is_missing(cell: Any) -> bool:
    """Whether a cell without an image holds nothing: an empty text is the working directory's path, and no image."""
    return bool(cell is None or cell is pd.NA or cell != cell or (isinstance(cell, str) and not cell.strip()))


def rows_in_words(rows: Sequence[int], most: int = 5) -> str:
    """0-based rows as a user counts them: "rows 2, 5, 7, ..."."""
    shown = ", ".join(str(row + 1) for row in rows[:most])
    return f"row{'s' if len(rows) > 1 else ''} {shown}{', ...' if len(rows) > most else ''}"
