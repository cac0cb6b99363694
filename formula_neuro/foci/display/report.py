"""One HTML page about one meta-regression of foci, complete in itself: maps, tables, clusters and code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ... import __version__
from ...display.page import UNCHECKED, address, by_rows, check_html, csv_address, figure_part, minus, render, took
from ...display.plot import png
from ...display.report import check_part
from ...maps.display.report import cluster_rows
from ..inference.homogeneity import homogeneity
from .plot import canvas, shown
from .recipes import MASK, kept_tables, own_mask, python_code, r_code
from .words import (
    FAMILIES,
    convergence,
    dispersion,
    how_many_title,
    likelihood,
    moderator_columns,
    opening,
    summary,
    warnings,
    where_columns,
)

if TYPE_CHECKING:
    from ...comparing.agreement import Agreement
    from ...maps.inference.threshold import Thresholded
    from ..fit import FociFit

ALPHA = 0.05
CLUSTERS = 10  # rows of a table
DPI = 110


def report(fit: FociFit, path: str | os.PathLike[str], *, crosscheck: Agreement | None = None) -> str:
    """Write one self-contained HTML page on a meta-regression; returns the path written. See FociFit.report."""
    target = Path(path)
    check_html(target)
    target.write_text(render("foci_report.html.j2", page(fit, crosscheck)), encoding="utf-8")
    return str(target)


def page(fit: FociFit, crosscheck: Agreement | None) -> dict[str, Any]:
    """Everything that the template shows, as texts and pictures."""
    tests = homogeneity(fit)
    found = {cell: tests[cell].threshold("fdr", ALPHA) for cell in fit.cells}
    heads, columns, names = where_columns(fit)
    on, mask = canvas(fit), own_mask(fit)
    return {
        "formula": str(fit.request.design.formula),
        "model": f"{FAMILIES[fit.family.name]} meta-regression of foci",
        "facts": _facts(fit),
        "data": [f"{line}." for line in opening(fit)[2:]],
        "converged": fit.converged,
        "convergence": convergence(fit),
        "messages": list(dict.fromkeys((*fit.messages, *warnings(fit)))),
        "sentences": [sentence(cell, one) for cell, one in found.items()],
        "cells": by_rows(["cell", *heads], [names, *columns]),
        "moderators": _moderators(fit),
        "moderators_title": how_many_title(fit) if fit.names else "",
        "dispersion": [f"{line}." for line in (dispersion(fit), likelihood(fit)) if line],
        "behind": f"Axial slices, the left of the brain on the left; behind the colours: {on.words}.",
        "brains": [figure_part(one.title, one.caption, png(one.figure, DPI)) for one in shown(fit, on)],
        "clusters": [_clusters(cell, one) for cell, one in found.items()],
        "check": check_part(crosscheck),
        "unchecked": UNCHECKED.format(verb="crosscheck(c)", elsewhere="in R, as far as R can,", page="c.report"),
        "python": python_code(fit, mask=mask is not None),
        "r": r_code(fit),
        "summary": summary(fit),
        "held": _held(fit),
        "files": [*_files(fit, found), *([(MASK, address("application/gzip", mask))] if mask else [])],
    }


def _held(fit: FociFit) -> str:
    """What the page holds of the data: who is handed the page is handed it."""
    tables = [f"{name} ({len(table):,} rows)" for name, table in kept_tables(fit).items()]
    return f"Within this page {' and '.join(tables)} hold the data." if tables else ""


def _facts(fit: FociFit) -> list[tuple[str, str]]:
    facts = [
        ("foci", f"{int(fit.request.totals.sum()):,}"),
        ("analyses", f"{fit.nobs:,}"),
        ("studies", f"{fit.n_studies:,}"),
        ("voxels", f"{len(fit.brain.voxels):,}"),
        ("family", fit.family.name),
        ("backend", fit.backend),
    ]
    facts += [("time", took(fit.seconds))] if np.isfinite(fit.seconds) else []
    return [*facts, ("converged", "yes" if fit.converged else "NO"), ("formula_neuro", __version__)]


def _moderators(fit: FociFit) -> dict[str, Any] | None:
    if not fit.names:
        return None
    heads, columns = moderator_columns(fit)
    return by_rows(["term", *heads], [list(fit.names), *columns])


def sentence(cell: str, found: Thresholded) -> str:
    """In how many voxels a cell has more foci than chance, and where most."""
    z = found.contrast.values["z"]
    if not np.isfinite(z).any():
        return f"{cell}: no test, as a single study has foci in it."
    best = int(np.nanargmax(np.where(np.isfinite(z), z, np.nan)))
    place = ", ".join(minus(f"{v:.0f}") for v in found.contrast.fit.brain.world[best])
    tested, kept = int(np.isfinite(z).sum()), int(found.kept.sum())
    strongest = f"the strongest has z = {minus(f'{z[best]:.2f}')}, at ({place}) mm"
    if not kept:
        return (
            f"{cell}: in none of {tested:,} voxels more foci than chance at a false discovery rate of 5 %; {strongest}."
        )
    share = f"{100 * kept / tested:.1f} %"
    return (
        f"{cell}: more foci than chance in {kept:,} of {tested:,} voxels ({share}) at a false discovery rate of 5 %; "
        f"{strongest}."
    )


def _clusters(name: str, found: Thresholded) -> dict[str, Any]:
    table = found.to_frame()
    return {"name": name, "grid": cluster_rows(table.head(CLUSTERS)), "count": len(table), "shown": CLUSTERS}


def _files(fit: FociFit, found: dict[str, Thresholded]) -> list[tuple[str, str]]:
    """Names and data: addresses of the tables, as csv."""
    tables = kept_tables(fit) | ({"moderators.csv": fit.tidy()} if fit.names else {})
    tables |= {"cells.csv": fit.cell_table, "fit.csv": fit.glance()}
    clusters = [table.assign(cell=cell) for cell, one in found.items() if len(table := one.to_frame())]
    if clusters:
        tables["clusters.csv"] = pd.concat(clusters, ignore_index=True)
    return [(name, csv_address(table)) for name, table in tables.items()]
