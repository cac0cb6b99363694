"""Foci as the files of other programs: NIMADS studysets (NiMARE) and Sleuth text (GingerALE)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from .covariates import SIZES
from .ids import KEY, some
from .table import Foci

NAMES = ("study_name", "analysis_name")
MADE = ("sample_size_mean", "sample_size_first")  # they follow from the sizes


def write_studyset(foci: Foci, path: str | os.PathLike[str], name: str) -> None:
    """A NIMADS studyset: covariates as annotations, sample_size as metadata, coordinates in MNI."""
    studies: dict[str, dict[str, Any]] = {}
    for row, points in _analyses(foci):
        study = studies.setdefault(row["study"], _study(row))
        study["analyses"].append(_analysis(row, points))
    content = {"id": name, "name": name, "studies": list(studies.values())}
    Path(path).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def write_sleuth(foci: Foci, path: str | os.PathLike[str]) -> None:
    """Sleuth text in MNI; raises DataError where an analysis has no sample size, which the format demands."""
    if "sample_size" not in foci.studies.columns:
        raise DataError(
            "Sleuth text has a line //Subjects=N for each experiment; add the sizes: "
            'foci.with_studies({"sample_size": [...]})'
        )
    sizes = pd.to_numeric(foci.studies["sample_size"], errors="coerce")
    lacking = foci.studies.loc[~(sizes >= 1), "study"].unique().tolist()
    if lacking:
        raise DataError(
            f"Sleuth text has a line //Subjects=N for each experiment; sample_size is missing for {some(lacking)}"
        )
    lines = ["//Reference=MNI"]
    for row, points in _analyses(foci):
        lines += [f"//{_header(row)}", f"//Subjects={round(float(row['sample_size']))}"]
        lines += ["\t".join(map(repr, point)) for point in points]
        lines.append("")
    Path(path).write_text("\n".join(lines), encoding="utf-8")


def _analyses(foci: Foci) -> Iterator[tuple[dict[str, Any], list[list[float]]]]:
    """The columns of every analysis with its points."""
    order = np.argsort(foci.rows, kind="stable")
    parts = np.split(foci.points[order], np.cumsum(foci.counts)[:-1])
    names = list(map(str, foci.studies.columns))
    for values, points in zip(foci.studies.itertuples(index=False), parts, strict=True):
        yield dict(zip(names, values, strict=True)), points.tolist()


def _study(row: dict[str, Any]) -> dict[str, Any]:
    text = {field: _plain(row.get(field)) or "" for field in ("authors", "publication")}
    return {"id": row["study"], "name": _plain(row.get("study_name")) or row["study"], **text, "analyses": []}


def _analysis(row: dict[str, Any], points: list[list[float]]) -> dict[str, Any]:
    size = _plain(row.get("sample_size"))
    notes = {
        name: plain
        for name, value in row.items()
        if name not in (*KEY, *NAMES, *SIZES, *MADE, "authors", "publication") and (plain := _plain(value)) is not None
    }
    return {
        "id": row["analysis"],
        "name": _plain(row.get("analysis_name")) or row["analysis"],
        "conditions": [],
        "weights": [],
        "images": [],
        "points": [{"space": "MNI", "coordinates": point, "values": []} for point in points],
        "metadata": {} if size is None else {"sample_sizes": [size]},
        "annotations": notes,
    }


def _plain(value: Any) -> Any:
    """The value as JSON has it; None where it is missing."""
    if value is None or value is pd.NA or value != value:
        return None
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return int(value) if float(value).is_integer() else float(value)
    return str(value)


def _header(row: dict[str, Any]) -> str:
    """Study and analysis on one line, apart at the first semicolon, as it is read back."""
    from .sleuth import split_header

    study, analysis = (" ".join(str(row[name]).split()) for name in KEY)
    text = study if analysis == "1" else f"{study}; {analysis}"
    if split_header(text) != (study, analysis):
        raise DataError(
            f"study {study!r}: its name cannot stand in Sleuth text, which parts study and experiment at the first "
            "; or : (after a year, if there is one); rename it"
        )
    return text
