"""Foci of a few dozen studies in an ellipsoid of voxels of 8 mm, quick to fit."""

from __future__ import annotations

from functools import cache
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

import formula_neuro as fn
from formula_neuro.foci.table import Foci

SPLINES = "splines(60 mm)"


@cache
def mask() -> nib.Nifti1Image:
    """An ellipsoid of 8 mm voxels as large as a brain."""
    ijk = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (18, 22, 18)), indexing="ij"), axis=-1)
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    affine[:3, 3] = -68, -102, -62
    return nib.Nifti1Image(((ijk**2).sum(axis=-1) <= 1.0).astype(np.uint8), affine)


def table(n: int = 48) -> pd.DataFrame:
    """Studies by diagnosis and drug, with ages around 40 and a factor of three levels."""
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "study": [f"s{i:02d}" for i in range(n)],
            "diagnosis": np.tile(["depression", "schizophrenia"], n // 2),
            "drug": np.repeat(["No", "Yes"], n // 2),
            "age": np.round(rng.normal(40, 5, n), 1),
            "subtype": rng.choice(["type1", "type2", "type3"], n),
        }
    )


@cache
def foci(counts: str = "poisson", noise: float = 10.0) -> Foci:
    """About 20 foci a study, with peaks by diagnosis."""
    return fn.simulate_foci(
        table=table(), groups="diagnosis", mask=mask(), seed=2, counts=counts, noise=noise, dispersion=0.5
    )


def fitted(formula: str, data: Any = None, **options: Any) -> Any:
    """The model of these foci in the ellipsoid, with wide splines."""
    given = {"mask": mask(), "estimator": SPLINES} | options
    return fn.fit(formula, foci() if data is None else data, **given)


@cache
def usual(family: str = "poisson") -> Any:
    """Two cells and two moderators."""
    return fitted("foci ~ s(diagnosis) + scale(age) + subtype", family=family)
