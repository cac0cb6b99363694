"""NiMARE's own tables: of a Studyset or Dataset in memory, or of a folder of parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..data.table import read
from ..errors import DataError
from .covariates import SIZES, about_sizes, columns_of
from .found import Found
from .ids import KEY, pairs, with_ids

LISTS = ("analyses", "metadata", "annotations")  # a row an analysis; later ones win
LOST = ["name", "description", "analysis"]  # of the studies: study_name is in the metadata


def from_object(data: Any) -> Found:
    """From a Studyset or a Dataset of NiMARE, which brings Talairach coordinates to MNI when it is made."""
    annotations = getattr(data, "annotations_df", None)
    if annotations is None:
        annotations = getattr(data, "annotations", None)
    tables = {"coordinates": data.coordinates, "metadata": data.metadata, "annotations": annotations}
    return _from_tables({k: v for k, v in tables.items() if isinstance(v, pd.DataFrame)}, type(data).__name__)


def from_folder(folder: Path) -> Found:
    """From a folder of parquet files: coordinates, and where it has them analyses, metadata, annotations, studies."""
    if not (folder / "coordinates.parquet").exists():
        raise DataError(f"{folder} has no coordinates.parquet; a folder of NiMARE's parquet tables is expected")
    names = ("coordinates", "studies", *LISTS)
    return _from_tables(
        {name: read(path) for name in names if (path := folder / f"{name}.parquet").exists()}, folder.name
    )


def _from_tables(tables: Mapping[str, pd.DataFrame], source: str) -> Found:
    if "coordinates" not in tables or not len(tables["coordinates"]):
        raise DataError(f"{source} has no coordinates; a studyset with foci is expected")
    foci = with_ids(tables["coordinates"].reset_index(drop=True), source)
    places = [f"row {i + 1} of the coordinates" for i in range(len(foci))]
    studies = foci[KEY].drop_duplicates()
    for name in LISTS:
        if name in tables and len(tables[name]):
            studies = _beside(studies, _columns(with_ids(tables[name], name)))
    if "studies" in tables:
        about = with_ids(tables["studies"], "studies").drop(columns=LOST, errors="ignore")
        new = [name for name in about.columns if name == "study" or name not in studies.columns]
        studies = studies.merge(about[new].drop_duplicates("study"), on="study", how="left")
    return Found(source, foci, studies, places, tuple(about_sizes(studies)))


def _columns(table: pd.DataFrame) -> pd.DataFrame:
    """The table with one value a cell and sample sizes as numbers."""
    if not any(name in table.columns for name in SIZES):
        return table
    sizes = [columns_of({name: row[name] for name in SIZES if name in row}) for row in table.to_dict("records")]
    made = pd.DataFrame(sizes, index=table.index)
    return table.drop(columns=[name for name in SIZES if name in table.columns]).join(made)


def _beside(studies: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The studies with the columns of a table of analyses, whose analyses without foci are added."""
    out = studies.drop(columns=[name for name in table.columns if name in studies.columns and name not in KEY])
    return out.merge(table[~pairs(table).duplicated()], on=KEY, how="outer", sort=False)
