"""The table that a report carries, so that its code runs beside it: the columns that a fit reads, and their levels."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..data.table import MISSING_WORDS
from ..data.table import source as path_of
from ..syntax.expression import names
from .curves import is_number

if TYPE_CHECKING:
    from ..maps.request import MapRequest
    from ..request import Request

NAME = "data.csv"


def source(request: Request | MapRequest) -> str:
    """The path that the data were read from, "" for a table in memory."""
    given = request.design.given
    return "" if given is None else path_of(given.table)


def data_words(request: Request | MapRequest) -> str:
    """What the data are, for the header of a page: the file's name, or the size of the table."""
    given = request.design.given
    if path := source(request):
        return os.path.basename(path)
    table = request.design.data if given is None else given.table
    return f"a table of {len(table):,} × {len(table.columns)}"


def arrays(request: Request | MapRequest) -> dict[str, Any]:
    """Weights, offset and rows that were given as arrays of one value a row, by the names of their columns in the file.

    Nothing where the data have a file of their own, or a column of that name.
    """
    given = request.design.given
    if given is None or source(request) or hasattr(request, "images"):  # no page carries images
        return {}
    found = {name: getattr(given, name) for name in ("weights", "offset", "subset")}
    return {
        name: np.asarray(values)
        for name, values in found.items()
        if values is not None and np.shape(values) == (len(given.table),) and name not in given.table
    }


def kept_table(request: Request, code: str) -> pd.DataFrame | None:
    """The columns that the fit reads, all rows; None where the data have a file of their own.

    `code` is the call; it names columns within quotation marks.
    """
    design = request.design
    if design.given is None or source(request):
        return None
    table = design.given.table
    told = " ".join(text for _, text in re.findall(r"""(["'])(.*?)\1""", code))  # family="poisson" is no column
    kept = [
        name
        for name in table.columns
        if name in design.data.columns
        or name in design.beside
        or re.search(rf"(?<!\w){re.escape(str(name))}(?!\w)", told)
    ]
    return table[kept].assign(**arrays(request))


def levels(request: Request, table: pd.DataFrame) -> dict[str, list[str]]:
    """The levels, in order, of the factors that a csv file would not give back: digits, or an order of their own.

    Grouping factors are left out, as a model does not change with the order of their levels.
    """
    formula = request.design.formula
    parts = [formula.fixed, *(bar.part for bar in formula.bars)]
    nodes = [*([] if formula.response is None else [formula.response]), *(v for part in parts for v in part.variables)]
    read = {node.text for v in nodes for node in names(v)}
    return {name: _levels(table[name]) for name in table if name in read and not _comes_back(table[name])}


def _comes_back(column: pd.Series) -> bool:
    if is_number(column) or pd.api.types.is_bool_dtype(column.dtype):
        return True
    text = column.to_frame("a").to_csv(index=False)
    back = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=MISSING_WORDS)["a"]
    return not is_number(back) and _levels(column) == sorted(_levels(back))


def _levels(column: pd.Series) -> list[str]:
    found = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(level) for level in column.cat.categories if (found == level).any()]
    return sorted(map(str, found.unique()))
