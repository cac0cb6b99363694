"""The corpus of benchmarks/cbmr.py: where it lies in an installed NiMARE, and its covariates."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAME = "nback_vs_flanker_studyset"
MASK = "templates/tpl-MNI152NLin6Asym_res-02_desc-brain_mask.nii.gz"
GROUP = "ParticipantDemographicsExtractor.groups[0]."


def resources() -> Path:
    """NiMARE's folder of resources, without importing it."""
    found = find_spec("nimare")
    if found is None or found.origin is None:
        raise ImportError("NiMARE is not installed: its corpus is what this benchmark fits")
    return Path(found.origin).parent / "resources"


def corpus() -> Path:
    return next(resources().glob(f"{NAME}*"))


def mask() -> Path:
    return resources() / MASK


def covariates(table: Any) -> dict[str, Any]:
    """task, zlogn and zage of every row: scores of log sample size and mean age, the median where they are missing.

    `lot` are 20 made-up groups of studies.
    """
    import numpy as np
    import pandas as pd

    names = [name for name in table.columns if name.endswith("TaskName")]
    text = table[names].astype(object).where(table[names].notna(), "").agg(" | ".join, axis=1)
    flanker = text.str.contains("flanker", case=False) | text.str.contains(r"\beriks[eo]n", case=False)
    n, age = (pd.to_numeric(table[GROUP + name], errors="coerce") for name in ("count", "age_mean"))
    zlogn, zage = (_scores(value) for value in (np.log(n.fillna(n.median())), age.fillna(age.median())))
    study = table["study"] if "study" in table.columns else table["study_id"]
    lot = pd.factorize(study)[0] % 20
    return {
        "task": np.where(flanker, "flanker", "nback"),
        "zlogn": zlogn.to_numpy(),
        "zage": zage.to_numpy(),
        "lot": [f"g{k:02d}" for k in lot],
    }


def _scores(values: Any) -> Any:
    return (values - values.mean()) / values.std(ddof=1)
