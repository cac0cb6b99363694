"""What the pages about runs, explorations and evolutions share: the design of all reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from formula_neuro import __version__
from formula_neuro.display.page import by_rows, check_html, csv_address, figure_part, render, took
from formula_neuro.display.plot import png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 20_000  # of a table to keep within the page: about a megabyte
DPI = 110


def write_report(path: str | os.PathLike[str], page: Callable[[], Mapping[str, Any]]) -> str:
    """Write the page; returns the path written. Raises an OSError before any work is done."""
    target = Path(path)
    check_html(target)
    target.write_text(render("task_report.html.j2", dict(page())), encoding="utf-8")
    return str(target)


def facts(pairs: Sequence[tuple[str, str]], backend: str, seconds: float) -> list[tuple[str, str]]:
    """The header: what is particular, then the backend ("" for none), the time and the version, as in every report."""
    engine = [("backend", backend)] if backend else []
    time = [("time", took(seconds))] if np.isfinite(seconds) else []
    return [*pairs, *engine, *time, ("formula_neuro", __version__)]


def section(title: str, table: pd.DataFrame, note: str = "") -> dict[str, Any]:
    """A table to read, under its title."""
    columns = [[_cell(value) for value in table[name]] for name in table]
    return {"title": title, "grid": by_rows([str(name) for name in table], columns), "note": note}


def _cell(value: Any) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}" if np.isfinite(value) else "–"
    return str(value)


def files(tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, str]]:
    """Tables as csv to keep, those that are small enough for a page."""
    return [(name, csv_address(table)) for name, table in tables.items() if len(table) <= MOST_ROWS]


def picture(title: str, caption: str, figure: Figure) -> dict[str, str]:
    return figure_part(title, caption, png(figure, DPI))
