"""What a user may call images: a column of paths or of images, or one 4-D file -> one source an image, with its row."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import DataError, ImageError
from ..table import as_table, plain


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
        from .bids import from_bids

        return from_bids(Path(data), response)
    table = plain(as_table(data))
    if isinstance(response, str) and response in table.columns:
        home = Path(data).resolve().parent if isinstance(data, (str, os.PathLike)) else Path.cwd()
        return Sources(table, response, _of_column(table[response], response, home))
    if is_image(response) or is_image_path(response):
        return _of_stack(table, response)
    raise DataError(
        f"{response!r} is not a column of the data (there are {', '.join(map(str, table.columns))}), nor the path of a "
        "4-D image"
    )


def is_image(value: Any) -> bool:
    """Whether it is an image of nibabel."""
    return hasattr(value, "dataobj") and hasattr(value, "affine")


def is_image_path(value: Any) -> bool:
    """Whether it is a text or path that ends as image files do."""
    endings = (".nii", ".nii.gz", ".img", ".img.gz", ".hdr", ".mgz", ".mgh")
    return isinstance(value, (str, os.PathLike)) and os.fspath(value).lower().endswith(endings)


def _of_column(column: pd.Series, response: str, home: Path) -> tuple[Source, ...]:
    missing = [
        i for i, cell in enumerate(column) if not is_image(cell) and (cell is None or cell is pd.NA or cell != cell)
    ]
    if missing:
        raise ImageError(
            f"{response}: {len(missing)} of {len(column)} rows have no image ({rows_in_words(missing)}); leave these "
            "rows out, or give their images"
        )
    wrong = [i for i, cell in enumerate(column) if not is_image(cell) and not isinstance(cell, (str, os.PathLike))]
    if wrong:
        raise ImageError(
            f"{response} holds {column.iloc[wrong[0]]!r} in row {wrong[0] + 1}; a column of image paths, or of nibabel "
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


def _of_stack(table: pd.DataFrame, response: Any) -> Sources:
    """The volumes of a 4-D image, in the rows' order."""
    import nibabel

    path = None if is_image(response) else Path(response).expanduser()
    if path is not None and not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file (looked in {path.absolute().parent})")
    image = nibabel.load(path) if path is not None else response
    if len(image.shape) != 4:
        raise ImageError(f"{response}: a 4-D image with one volume a row is expected, this has shape {image.shape}")
    if image.shape[3] != len(table):
        raise ImageError(
            f"{response} has {image.shape[3]} volumes, but the table has {len(table)} rows; one a row is due"
        )
    name = "image" if path is None else path.name.removesuffix(".gz").rsplit(".", 1)[0]
    held = image if path is None else None
    volumes = tuple(
        Source(f"volume {i + 1} of {name}", None if path is None else path.resolve(), held, i)
        for i in range(len(table))
    )
    return Sources(table, name, volumes)


def rows_in_words(rows: Sequence[int], most: int = 5) -> str:
    """0-based rows as a user counts them: "rows 2, 5, 7, ..."."""
    shown = ", ".join(str(row + 1) for row in rows[:most])
    return f"row{'s' if len(rows) > 1 else ''} {shown}{', ...' if len(rows) > most else ''}"
