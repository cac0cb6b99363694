"""Tests of hypotheses in every voxel besides Wald's: score and likelihood ratio, from a null model's fit."""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from ..family import Array
from .maps import wald


def values_of(statistic: Array, q: int, df: float) -> dict[str, Array]:
    """The maps of a statistic (V,): of one row a signed root (z, or t with finite df), of q rows chi-squared or F."""
    if q == 1:
        nu, one = np.full(len(statistic), df), np.ones(len(statistic))
        found = {name: wald(name, statistic, one, nu) for name in ("z", "p")}
        return found | ({"t": statistic} if np.isfinite(df) else {})
    tail = stats.f.logsf(statistic, q, df) if np.isfinite(df) else stats.chi2.logsf(statistic, q)
    return {"statistic": statistic, "z": -special.ndtri_exp(tail), "p": np.exp(tail)}
