"""Which voxels of a map stand out: error rates over voxels, and a table of the clusters that are left."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage, special

from ...family import Array
from ...inference.sides import as_alternative
from ...nearest import not_known
from .clusters import STRUCTURES, cluster_table
from .contrast import MapContrast
from .multiplicity import METHODS, adjusted

STATISTICS = {"max": "max-T", "cluster": "cluster extent", "tfce": "TFCE"}  # of a permutation test
OTHERS = {"uncorrected": "none", "fpr": "none", "unc": "none", "fwe": "bonferroni", "fwer": "bonferroni"}  # elsewhere
WORDS = {
    "none": "uncorrected p",
    "bonferroni": "family-wise error (Bonferroni)",
    "fdr": "false discovery rate",
    "bh": "false discovery rate",
    "by": "false discovery rate (BY)",
    "max": "family-wise error (max-T)",
    "cluster": "family-wise error of clusters",
    "tfce": "family-wise error (TFCE)",
    "joint": "posterior probability that any is on the other side",
}


@dataclass(frozen=True, eq=False)
class Thresholded:
    """The voxels of a contrast that stand out at a level, with what that level means.

    `kept` (V,) marks them among the voxels analysed; `adjusted` (V,) are the p values adjusted by `method`; `height` is
    the smallest |z| that was kept, NaN where none was.
    """

    contrast: MapContrast
    method: str
    alpha: float
    alternative: str
    kept: NDArray[np.bool_]
    adjusted: Array
    min_size: int = 1
    connectivity: int = 26

    @property
    def height(self) -> float:
        z = np.abs(self.contrast.values["z"][self.kept])
        return float(z.min()) if len(z) else float("nan")

    @cached_property
    def image(self) -> Any:
        """The z map where it stands out and 0 elsewhere in the voxels analysed."""
        return self.contrast.fit.brain.image(np.where(self.kept, self.contrast.values["z"], 0.0))

    def to_frame(self, atlas: Any = None, labels: Any = None) -> pd.DataFrame:
        """One row a cluster: sign, voxels, mm3, peak z, its p, coordinates x, y, z (mm) and a label of the atlas.

        atlas: an image of whole numbers (or its path), `labels` their names in order or by number; see
        maps.inference.clusters.cluster_table.
        """
        return cluster_table(self, atlas, labels)

    def to_nifti(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write the thresholded z map, the adjusted p values and the table of clusters; the paths written."""
        from ..files.output import write_thresholded

        return write_thresholded(self, folder)

    def __repr__(self) -> str:
        n = int(self.kept.sum())
        name = WORDS.get(self.method, self.method)
        return f"{self.contrast.label}: {n:,} voxels at {name} {self.alpha:g}" + (
            f", |z| from {self.height:.2f}\n{self.to_frame().to_string(index=False)}" if n else ""
        )


def threshold(
    contrast: MapContrast,
    method: str = "fdr",
    alpha: float = 0.05,
    *,
    alternative: str | None = None,
    min_size: int = 1,
    connectivity: int = 26,
) -> Thresholded:
    """The voxels whose adjusted p value is at most alpha.

    method: "fdr" (Benjamini and Hochberg), "by", "bonferroni", or "none" (alpha is then each voxel's own level). Only
    voxels that were tested count. alternative: "two.sided", "greater" or "less" than the hypothesis's value; by
    default the contrast's own, two.sided unless it was tested on one side. min_size: smaller clusters are left out, by
    a connectivity of 6, 18 or 26 neighbours: a choice of what to show, which no p value knows of. Of a posterior
    (estimator="spatial") 2 Phi(-|z|) stands for the p value, a convention without a guaranteed rate; excursions() has
    joint probabilities.
    """
    if method not in METHODS:
        raise ValueError(not_known("method", method, METHODS, OTHERS) + _of_the_brain(method))
    alternative = contrast.alternative if alternative is None else as_alternative(alternative)
    if alternative != "two.sided" and not contrast.signed:
        raise ValueError(
            f"alternative={alternative!r}: a joint test of several rows has no direction; test one row, contrast.row(0)"
        )
    if connectivity not in STRUCTURES:
        raise ValueError(f"connectivity={connectivity!r}: a voxel has 6, 18 or 26 neighbours")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha lies between 0 and 1, as 0.05; got {alpha!r}")
    p = one_sided(contrast, alternative)
    corrected = adjusted(p, method)
    with np.errstate(invalid="ignore"):
        kept = np.asarray(corrected <= alpha)
    kept = _large(contrast, kept, min_size, connectivity) if min_size > 1 else kept
    return Thresholded(contrast, method, alpha, alternative, kept, corrected, min_size, connectivity)


def _of_the_brain(method: object) -> str:
    """Where family-wise errors over the brain and clusters are to be had."""
    asked = str(method).casefold()
    return "; fn.permutation_test(v, ...) has those of the brain" if asked in ("fwe", "fwer", *STATISTICS) else ""


def one_sided(contrast: MapContrast, alternative: str) -> Array:
    """The contrast's p values on the side of an alternative, (V,)."""
    if alternative == contrast.alternative:
        return contrast.values["p"]
    z = contrast.values["z"]
    if alternative == "two.sided":
        return np.asarray(2 * special.ndtr(-np.abs(z)))
    return np.asarray(special.ndtr(-z if alternative == "greater" else z))


def _large(contrast: MapContrast, kept: NDArray[np.bool_], size: int, connectivity: int) -> NDArray[np.bool_]:
    """Those in clusters of at least so many voxels, each sign by itself."""
    brain = contrast.fit.brain
    large = np.zeros(len(kept), dtype=bool)
    above = contrast.values["z"] > 0
    for side in (above, ~above) if contrast.signed else (np.ones(len(kept), dtype=bool),):
        there = brain.unmask((kept & side).astype(float), fill=0.0) > 0
        names, count = ndimage.label(there, STRUCTURES[connectivity])
        sizes = np.bincount(names.ravel(), minlength=count + 1)
        sizes[0] = 0
        large |= (sizes[names] >= size).ravel()[brain.voxels]
    return large
