"""Error rates over the voxels that were tested: false discovery rate and Bonferroni."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...family import Array

METHODS = ("fdr", "bh", "by", "bonferroni", "none")


def adjusted(p: Array, method: str = "fdr") -> Array:
    """p values (V,) adjusted over the voxels that have one; NaN stays and takes no part.

    method: "fdr" (or "bh"; Benjamini and Hochberg 1995), "by" (Benjamini and Yekutieli 2001, for any dependence),
    "bonferroni", "none".

    >>> adjusted(np.array([0.01, np.nan, 0.04]), "bonferroni").tolist()
    [0.02, nan, 0.08]
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is not known; there are {', '.join(METHODS)}")
    tested = ~np.isnan(p)
    result = np.full(p.shape, np.nan)
    if not tested.any():
        return result
    found = p[tested]
    if method in ("fdr", "bh", "by"):
        found = stats.false_discovery_control(found, method="by" if method == "by" else "bh")
    elif method == "bonferroni":
        found = np.minimum(found * len(found), 1.0)
    result[tested] = found
    return result


def discoveries(p: Array, alpha: float = 0.05, method: str = "fdr") -> NDArray[np.bool_]:
    """Which voxels are discoveries at level alpha, (V,); those without a p value are not."""
    with np.errstate(invalid="ignore"):
        return np.asarray(adjusted(p, method) <= alpha)
