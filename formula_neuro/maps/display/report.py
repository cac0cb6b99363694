"""One HTML page about one fit in every voxel, complete in itself: slices, tables, clusters and code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ... import __version__
from ...display.kept_data import data_words
from ...display.page import UNCHECKED, by_rows, check_html, csv_address, figure_part, minus, render, took
from ...display.plot import png
from ..inference.contrast import contrast_maps
from .own import OwnTable, own_tables
from .pictures import canvas
from .plot import Shown, shown
from .recipes import python_code, r_code
from .words import coefficients, convergence, legend, model, separation, summary

if TYPE_CHECKING:
    from ..agreement import MapAgreement
    from ..fit import MapFit
    from ..inference.threshold import Thresholded

ALPHA = 0.05
CLUSTERS = 10  # rows of a table
DPI = 110
NO_PEER = (
    "No R package fits this model to a brain. v.engine.check() holds its normal approximation against exact chains in "
    "pieces of the mask."
)


def report(fit: MapFit, path: str | os.PathLike[str], *, crosscheck: MapAgreement | None = None) -> str:
    """Write one self-contained HTML page on a fit in every voxel; returns the path written. See MapFit.report."""
    target = Path(path)
    check_html(target)
    target.write_text(render("map_report.html.j2", page(fit, crosscheck)), encoding="utf-8")
    return str(target)


def page(fit: MapFit, crosscheck: MapAgreement | None) -> dict[str, Any]:
    """Everything that the template shows, as texts and pictures."""
    found = {name: thresholded(fit, name) for name in testable(fit)}
    heads, columns = coefficients(fit)
    on = canvas(fit)
    pictures = shown(fit, on)
    return {
        "formula": str(fit.request.design.formula),
        "model": model(fit),
        "facts": _facts(fit),
        "data": data(fit),
        "separation": separation(fit),
        "convergence": convergence(fit),
        "converged": fit.converged,
        "messages": list(dict.fromkeys(fit.messages)),
        "sentences": [sentence(fit, name, one) for name, one in found.items() if name != "(Intercept)"],
        "coefficients": by_rows(["term", *heads], [list(fit.names), *columns]),
        "legend": " ".join(legend(fit)),
        "own": [_own(table) for table in own_tables(fit)],
        "behind": f"Axial slices, the left of the brain on the left; behind the colours: {on.words}.",
        "brains": [_part(one) for one in pictures if one.wide],
        "figures": [_part(one) for one in pictures if not one.wide],
        "infinite": _infinite(fit),
        "clusters": [_clusters(name, one) for name, one in found.items() if name != "(Intercept)"],
        "check": _check(crosscheck),
        "unchecked": NO_PEER
        if fit.posterior
        else UNCHECKED.format(verb="crosscheck(v, voxels=200)", elsewhere="in R", page="v.report"),
        "python": python_code(fit),
        "r": r_code(fit),
        "summary": summary(fit),
        "files": _files(fit, found),
    }


# ---- words ---------------------------------------------------------------------------------------
def _facts(fit: MapFit) -> list[tuple[str, str]]:
    request, images = fit.request, fit.request.images
    facts = [
        ("data", data_words(request)),
        ("masks" if images.binary else "images", f"{fit.nobs:,}"),
        ("voxels analysed", f"{fit.n_voxels:,}"),
        ("voxels in the mask", f"{int(images.mask.sum()):,}"),
        ("family", str(request.family)),
        ("estimator", request.estimator.word),
        ("backend", fit.backend),
    ]
    facts += [("seed", str(request.running.seed))] if fit.posterior else []
    facts += [("time", took(fit.seconds))] if np.isfinite(fit.seconds) else []
    return [*facts, ("converged", "yes" if fit.converged else "NO"), ("formula_neuro", __version__)]


def data(fit: MapFit) -> list[str]:
    """What was fitted to what, in sentences."""
    images, design = fit.request.images, fit.request.design
    kind = "masks of 0 and 1" if images.binary else "images"
    inside = f"{fit.n_voxels:,} of {int(images.mask.sum()):,} voxels of the mask were analysed"
    text = [f"{fit.nobs:,} {kind} ({images.response}) on a grid of {images.grid.describe()}; {inside}."]
    lost = "; ".join(f"{count:,} for missing {name}" for name, count in design.dropped)
    text += [f"Images left out: {lost}."] if lost else []
    if images.binary:
        least, most = int(images.counts.min()), int(images.counts.max())
        text.append(f"A voxel has {least:,} to {most:,} events (at most {100 * most / fit.nobs:.1f} % of the images).")
    return text


def testable(fit: MapFit) -> list[str]:
    """The coefficients that have a z somewhere."""
    return [name for name in fit.names if np.isfinite(fit.maps.at_voxels(("z", name))).any()]


def thresholded(fit: MapFit, name: str) -> Thresholded:
    """The coefficient's voxels at the false discovery rate of the page."""
    return contrast_maps(fit, {name: 1.0}).threshold("fdr", ALPHA)


def sentence(fit: MapFit, name: str, found: Thresholded) -> str:
    """How many voxels stand out for a coefficient, in which direction, and where most."""
    z = found.contrast.values["z"]
    tested, kept = int(np.isfinite(z).sum()), int(found.kept.sum())
    best = int(np.nanargmax(np.where(np.isfinite(z), np.abs(z), np.nan)))
    place = ", ".join(minus(f"{v:.0f}") for v in _millimetres(fit, best))
    strongest = f"the strongest has z = {minus(f'{z[best]:.2f}')}, at ({place}) mm"
    if not kept:
        return f"{name}: none of {tested:,} voxels stands out at a false discovery rate of 5 %; {strongest}."
    up = int((found.kept & (z > 0)).sum())
    sides = "all above 0" if up == kept else "all below 0" if not up else f"{up:,} above and {kept - up:,} below 0"
    share = f"{100 * kept / tested:.1f} %"
    which = f"{kept:,} of {tested:,} voxels ({share})"
    return f"{name}: {which} stand out at a false discovery rate of 5 %, {sides}; {strongest}."


def _millimetres(fit: MapFit, voxel: int) -> np.ndarray[Any, Any]:
    images = fit.request.images
    ijk = np.array(np.unravel_index(images.voxels[voxel], images.grid.shape), dtype=float)
    return np.asarray(images.grid.affine[:3, :3] @ ijk + images.grid.affine[:3, 3])


# ---- tables --------------------------------------------------------------------------------------
def _infinite(fit: MapFit) -> dict[str, Any] | None:
    """How often each coefficient's maximum-likelihood estimate is infinite, with its sign."""
    table = fit.tidy()
    if not table["separated"].any():
        return None
    share = [f"{100 * n / fit.n_voxels:.1f} %" for n in table["separated"]]
    open_sign = table["separated"] - table["to_plus_infinity"] - table["to_minus_infinity"]
    counts = [table["separated"], table["to_plus_infinity"], table["to_minus_infinity"], open_sign]
    heads = ["term", "infinite", "share of voxels", "to +∞", "to −∞", "sign left open by the data"]
    infinite, *signs = [[f"{n:,}" for n in column] for column in counts]
    return by_rows(heads, [list(table["term"]), infinite, share, *signs])


def _clusters(name: str, found: Thresholded) -> dict[str, Any]:
    """The largest peaks of a coefficient's voxels that stand out."""
    table = found.to_frame()
    return {"name": name, "grid": cluster_rows(table.head(CLUSTERS)), "count": len(table), "shown": CLUSTERS}


def cluster_rows(table: pd.DataFrame) -> dict[str, Any] | None:
    """A table of clusters in words; None where it has none."""
    if table.empty:
        return None
    columns = {
        "cluster": [str(k) for k in table["cluster"]],
        "sign": ["−" if sign == "-" else "+" for sign in table["sign"]],
        "voxels": [f"{n:,}" for n in table["voxels"]],
        "mm³": [f"{v:,.0f}" for v in table["mm3"]],
        "peak z": [f"{v:.2f}" for v in table["peak_z"]],
        "p (adjusted)": [f"{v:.2g}" if v else "< 1e-300" for v in table["p_adjusted"]],
        **{f"{axis} (mm)": [f"{v:.0f}" for v in table[axis]] for axis in ("x", "y", "z")},
    }
    return by_rows(list(columns), list(columns.values()))


def _check(crosscheck: MapAgreement | None) -> dict[str, Any] | None:
    if crosscheck is None:
        return None
    columns = ("native", "reference", "difference", "tolerance")
    rows = [
        {
            "cells": [row["quantity"], *(minus(f"{row[c]:.4g}") for c in columns)],
            "item": ", ".join(word for word in (str(row["item"]), f"voxel {row['voxel']}") if word),
            "agrees": bool(row["agrees"]),
            "reason": f"{row['unit']}; {row['reason']}",
        }
        for _, row in crosscheck.to_frame().iterrows()
    ]
    return {
        "class": {"agrees": "yes", "disagrees": "no", "unfinished": "open"}[crosscheck.verdict],
        "sentence": crosscheck.sentence,
        "reference": crosscheck.checks[0].reference,
        "rows": rows,
        "notes": list(crosscheck.notes),
    }


def _own(table: OwnTable) -> dict[str, Any]:
    grid = by_rows(["term", *table.heads], [table.names, *table.columns])
    return {"title": table.title, "grid": grid, "note": table.note}


def _part(one: Shown) -> dict[str, str]:
    return figure_part(one.title, one.caption, png(one.figure, DPI))


def _files(fit: MapFit, found: dict[str, Thresholded]) -> list[tuple[str, str]]:
    """Names and data: addresses of the tables, as csv."""
    clusters = [one.to_frame().assign(term=name) for name, one in found.items()]
    tables = {"coefficients.csv": fit.tidy(), "fit.csv": fit.glance()}
    if clusters and any(len(table) for table in clusters):
        tables["clusters.csv"] = pd.concat([table for table in clusters if len(table)], ignore_index=True)
    return [(name, csv_address(table)) for name, table in tables.items()]
