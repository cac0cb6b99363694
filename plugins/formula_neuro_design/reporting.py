"""One HTML page about an optimal design, complete in itself."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from formula_neuro import __version__
from formula_neuro.data.table import source
from formula_neuro.display.page import address, by_rows, check_html, csv_address, figure_part, render
from formula_neuro.display.plot import draw_one, png

from .pictures import pictures
from .sentences import code, percent, sentences
from .summarizing import block_ranges
from .usual import compared_with_usual

if TYPE_CHECKING:
    from .answer import OptimalDesign

MOST_ROWS = 5000  # of a table to keep within the page: about half a megabyte


def write_report(d: OptimalDesign, path: str | os.PathLike[str]) -> str:
    """Write the page; returns the path written."""
    target = Path(path)
    check_html(target)
    target.write_text(html(d), encoding="utf-8")
    return str(target)


def html(d: OptimalDesign) -> str:
    """The page as text."""
    compared = compared_with_usual(d, d, None)
    shown = pictures(d, "all")
    own = _own(d)
    return render(
        "task_report.html.j2",
        {
            "formula": d.formula,
            "model": f"optimal design matrix for {d.name}",
            "facts": _facts(d),
            "messages": list(d.messages),
            "sentences": sentences(d, compared.table),
            "sections": [
                _section(
                    "The contrast",
                    _contrast(d),
                    "The estimate is the sum of the coefficients times these numbers, 0 for all other columns.",
                ),
                _section("Bias and variance by block", _ranges(d), "Lowest and highest over the designs of a block."),
                _section(
                    "Beside the usual analyses", _compared(compared.table), " ".join(map(_sentence, compared.notes))
                ),
            ],
            "figures": [figure_part(p.title, p.caption, png(draw_one(p))) for p in shown],
            "python": code(d),
            "summary": str(d.summary()),
            "files": _files(d),
            "held": f"Within this page data.csv holds the {len(own):,} rows of the data." if own is not None else "",
        },
    )


def _section(title: str, grid: dict[str, Any], note: str) -> dict[str, Any]:
    return {"title": title, "grid": grid, "note": note}


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."


def _facts(d: OptimalDesign) -> list[tuple[str, str]]:
    n, p = d.design.shape
    some = d.family.l != 0
    return [
        ("data", _data(d)),
        ("scans", f"{n:,}"),
        ("columns", str(p)),
        ("true designs", str(len(d.bias))),
        ("largest bias", percent(np.abs(d.bias[some]).max())),
        ("objective", f"{d.objective:.6g}"),
        *([("steps of the search", f"{d.iterations:,}")] if d.iterations else []),
        ("backend", "native-design"),
        ("formula_neuro", __version__),
    ]


def _data(d: OptimalDesign) -> str:
    if d.data is None:
        return "several tables"
    path = source(d.data)
    return os.path.basename(path) if path else f"a table of {len(d.data):,} × {len(d.data.columns)}"


def _contrast(d: OptimalDesign) -> dict[str, Any]:
    given = set(map(str, d.first.columns))
    names = [str(name) for name in d.design.columns]
    kinds = ["given" if name in given else "found" for name in names]
    told = [f"{value:.6g}" for value in d.contrast]
    rows = [row for row in zip(names, kinds, told, strict=True) if row[1] == "found" or row[2] != "0"]
    return by_rows(["column", "is", "contrast"], [list(column) for column in zip(*rows, strict=True)])


def _ranges(d: OptimalDesign) -> dict[str, Any]:
    table = block_ranges(d)
    return by_rows([str(name) for name in table], [[str(x) for x in table[name]] for name in table])


def _compared(table: pd.DataFrame) -> dict[str, Any]:
    heads = ["analysis", "columns", "rms bias", "largest bias", "sd ratio", "rmse", "mean power", "lowest power"]
    kept = table[["analysis", "columns", "rms_bias", "max_bias", "sd_ratio", "rmse", "mean_power", "min_power"]]
    columns = [[_cell(value) for value in kept[name]] for name in kept.columns]
    return by_rows(heads, columns)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.3f}"
    return str(value)


def _own(d: OptimalDesign) -> pd.DataFrame | None:
    """The data that the page holds, which its code reads; None where they have a file, or are too long for a page."""
    return d.data if d.data is not None and len(d.data) <= MOST_ROWS and not source(d.data) else None


def _files(d: OptimalDesign) -> list[tuple[str, str]]:
    """Names and addresses: the design, the contrast, the true designs, and everything as json."""
    contrast = pd.DataFrame([d.contrast], columns=list(d.design.columns))
    own = _own(d)
    found = [] if own is None else [("data.csv", csv_address(own))]
    found += [("design.csv", csv_address(d.design)), ("contrast.csv", csv_address(contrast))]
    if len(d.bias) <= MOST_ROWS:
        found.append(("designs.csv", csv_address(d.to_frame())))
    return [*found, ("design.json", address("application/json", json.dumps(d.to_dict()).encode()))]
