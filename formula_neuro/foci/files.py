"""Maps of a meta-regression written to a folder, under BIDS-like names or NiMARE's."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..maps.files.output import INTENTS, Written, alphanumerics, begun, write
from .maps import OF_CELLS, OF_EFFECTS, effects, statistics_of

if TYPE_CHECKING:
    from .fit import FociFit

LAYOUTS = ("bids", "nimare")
IN_NIMARE = {"intensity": "spatialIntensity", "log_intensity": "logSpatialIntensity", "se": "seLogSpatialIntensity"}


def to_nifti(fit: FociFit, folder: str | os.PathLike[str], layout: str = "bids", dtype: str = "float64") -> list[str]:
    """Write all maps of a fit and its tables; the paths written. See FociFit.to_nifti."""
    place = begun(folder, layout, LAYOUTS, dtype)
    maps = bids(fit) if layout == "bids" else nimare(fit)
    return [*write(fit, place, maps, dtype), *_beside(fit, place, layout)]


def bids(fit: FociFit) -> Iterator[Written]:
    """cell-depressed_stat-intensity_statmap.nii.gz, contrast-age_stat-z_statmap.nii.gz."""
    for cell, name in zip(fit.cells, alphanumerics(fit.cells), strict=True):
        for statistic, said in OF_CELLS.items():
            word = statistic.title().replace("_", "")
            about = {"Description": f"{cell}: {said}", "Statistic": statistic, "Cell": cell}
            file = f"cell-{name}_stat-{word[0].lower() + word[1:]}_statmap.nii.gz"
            yield Written(file, fit.maps.at_voxels((statistic, cell)), about, INTENTS.get(statistic, ("none", ())))
    names = effects(fit)
    for effect, name in zip(names, alphanumerics(names), strict=True):
        for statistic in statistics_of(effect):
            said = OF_EFFECTS[statistic]
            about = {"Description": f"{effect}: {said}", "Statistic": statistic, "Contrast": effect}
            file = f"contrast-{name}_stat-{statistic}_statmap.nii.gz"
            yield Written(file, fit.maps.at_voxels((statistic, effect)), about, INTENTS.get(statistic, ("none", ())))


def nimare(fit: FociFit) -> Iterator[Written]:
    """NiMARE's names: spatialIntensity_group-SchizophreniaYes.nii.gz; z_<effect>, est_<effect> of numbers in s(...)."""
    for cell in fit.cells:
        for statistic, word in IN_NIMARE.items():
            about = {"Description": f"{cell}: {OF_CELLS[statistic]}", "Statistic": statistic, "Cell": cell}
            yield Written(f"{word}_group-{nimare_label(cell)}.nii.gz", fit.maps.at_voxels((statistic, cell)), about)
    for effect in effects(fit):
        for statistic in statistics_of(effect):
            word = {"effect": "est"}.get(statistic, statistic)
            about = {"Description": f"{effect}: {OF_EFFECTS[statistic]}", "Statistic": statistic, "Contrast": effect}
            file = f"{word}_{re.sub(r'[^A-Za-z0-9_.-]+', '-', effect).strip('-')}.nii.gz"
            yield Written(file, fit.maps.at_voxels((statistic, effect)), about, INTENTS.get(statistic, ("none", ())))


def nimare_label(cell: str) -> str:
    """A cell's name as NiMARE writes that of a group: levels one after the other, the first letter of each a capital.

    >>> nimare_label("schizophrenia:Yes"), nimare_label("a b")
    ('SchizophreniaYes', 'AB')
    """
    words = re.findall(r"[A-Za-z0-9]+", cell)
    return "".join(word[0].upper() + word[1:] for word in words) or "Group"


def _beside(fit: FociFit, place: Path, layout: str) -> list[str]:
    """The mask and the tables; of BIDS also what the folder is."""
    mask = fit.brain.image(np.ones(len(fit.brain.voxels)), 0.0)
    mask.set_data_dtype(np.uint8)
    mask.to_filename(place / "mask.nii.gz")
    tables = {"moderators": fit.tidy(), "cells": fit.cell_table, "terms": fit.terms, "fit": fit.glance()}
    for name, table in tables.items():
        table.to_csv(place / f"{name}.tsv", sep="\t", index=False)
    paths = [str(place / "mask.nii.gz"), *(str(place / f"{name}.tsv") for name in tables)]
    if layout == "nimare":
        moderators = fit.tidy().set_index("term")
        for name, column in (("coef", "estimate"), ("se", "std_error")):
            path = place / f"moderators_regression_{name}.tsv"
            moderators[[column]].T.to_csv(path, sep="\t", index=False)
            paths.append(str(path))
        return paths
    about = {"Name": "Maps of formula_neuro", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    generated = [{"Name": "formula_neuro", "Version": fit.provenance["Software"]["formula_neuro"]}]
    description = place / "dataset_description.json"
    description.write_text(json.dumps(about | {"GeneratedBy": generated}, indent=2) + "\n", encoding="utf-8")
    return [*paths, str(description)]
