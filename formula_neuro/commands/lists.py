"""`formula-neuro backends`, `tasks` and `doctor`: what is installed, as tables or JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from .. import registry
from ..display.json_words import plain
from .answering import FAILED, R_MISSING, say

if TYPE_CHECKING:
    import pandas as pd


def backends(as_json: bool) -> None:
    """All backends as a table, or as JSON with every column."""
    table = registry.backends()
    if as_json:
        return _print_json(table)
    shown = table.assign(
        ready=table["ready"].map({True: "yes", False: "no"}),
        note=table["why_not"].where(table["why_not"] != "", table["help"]),
    )
    _print_table(shown[["name", "ready", "models", "families", "estimators", "note"]])


def tasks(as_json: bool) -> None:
    """All tasks as a table, or as JSON."""
    table = registry.tasks()
    if as_json:
        _print_json(table)
    elif table.empty:
        say("no plugin installed here brings a task")
    else:
        _print_table(table)


def doctor(require_r: bool, as_json: bool) -> None:
    """The findings, one line each; status 1 where something that all need is missing, 4 where R is asked for."""
    from .. import doctor as medicine

    findings = medicine.examine()
    typer.echo(medicine.as_json(findings) if as_json else medicine.as_text(findings))
    if not medicine.complete(findings):
        raise typer.Exit(FAILED)
    if require_r and not medicine.complete(findings, require_r=True):
        raise typer.Exit(R_MISSING)


def _print_json(table: pd.DataFrame) -> None:
    typer.echo(json.dumps(plain(table.to_dict("records")), ensure_ascii=False, allow_nan=False))


def _print_table(table: pd.DataFrame) -> None:
    """A table that fits the terminal; a pipe gets it whole."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for name in table.columns:
        grid.add_column(str(name), overflow="fold", no_wrap=name == "name")
    for row in table.itertuples(index=False):
        grid.add_row(*map(_cell, row))
    console.print(grid)


def _cell(value: Any) -> str:
    from rich.markup import escape

    return escape(str(value))
