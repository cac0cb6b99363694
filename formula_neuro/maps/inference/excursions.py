"""Where a posterior is sure of a sign in many voxels at once, and how large its clusters are: from joint draws.

Marginal probabilities say nothing of voxels together. Of the sets that are made of the voxels surest of their sign, the
excursion function gives each voxel the probability that all coefficients of the smallest set with it are beyond the
value (Bolin and Lindgren 2015, J. R. Stat. Soc. B 77, 85; their one-parameter family, by Monte Carlo).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...errors import Unable
from ...family import Array
from ...inference.hypothesis import as_rows
from ...inference.sides import as_alternative
from ...running.bar import bar
from ...running.estimates import planned
from ..lacking import cannot
from .contrast import MapContrast, contrast_maps
from .sizes import cluster_beliefs
from .threshold import Thresholded

if TYPE_CHECKING:
    from ..fit import MapFit

AT_ONCE = 8  # draws that are solved together


@dataclass(frozen=True, eq=False)
class Excursions:
    """Joint posterior draws of a combination of coefficients in all voxels, and what they say of voxels together.

    `probability` (V,) is the excursion function: that a voxel and all that are surer of their sign are beyond the
    contrast's value, on the side of their posterior mean ("two.sided"), above ("greater") or below it ("less"). `draws`
    (V, n) are the draws less that value, divided by the posterior standard deviations, in single precision.
    """

    contrast: MapContrast
    alternative: str
    seed: int
    draws: NDArray[np.float32]
    probability: Array
    seconds: float

    @property
    def n(self) -> int:
        """Draws."""
        return int(self.draws.shape[1])

    @cached_property
    def maps(self) -> dict[str, Any]:
        """Images: "z" and "probability"."""
        brain = self.contrast.fit.brain
        return {"z": brain.image(self.contrast.values["z"]), "probability": brain.image(self.probability)}

    def threshold(self, alpha: float = 0.05) -> Thresholded:
        """The largest set of voxels that are all beyond the value with a probability of 1 - alpha or more.

        An answer as contrast(...).threshold(), with .image, .to_frame(atlas, labels), .to_nifti().
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha lies between 0 and 1, as 0.05; got {alpha!r}")
        kept = np.asarray(self.probability >= 1 - alpha)
        return Thresholded(self.contrast, "joint", alpha, self.alternative, kept, 1 - self.probability)

    def clusters(self, found: Thresholded | None = None, *, conf_level: float = 0.95) -> pd.DataFrame:
        """What the posterior says of each cluster of a thresholded map (default: self.threshold()), a row a cluster.

        Columns: those of found.to_frame(); all_beyond, the probability that the coefficients of all its voxels are
        beyond the value; beyond and beyond_low, the share of its voxels that are: mean, and the bound that it is
        above with probability conf_level; size, size_low and size_high, the voxels of the cluster in draws that are
        thresholded as the map was (|z| from found.height): mean and interval of the largest cluster that shares a
        voxel with it, 0 where none does (as the cluster-size intervals of Menacher et al. 2024, without their
        bootstrap). It may well be larger than the cluster itself: voxels around it whose z is a little too low are
        above the height in many draws.
        """
        if not 0 < conf_level < 1:
            raise ValueError(f"conf_level lies between 0 and 1, as 0.95; got {conf_level!r}")
        chosen = self.threshold() if found is None else found
        mine, other = self.contrast, chosen.contrast
        if other.fit is not mine.fit or not (np.array_equal(other.matrix, mine.matrix) and other.value == mine.value):
            raise ValueError(f"these draws are of {mine.label!r}, but the thresholded map is of {other.label!r}")
        return cluster_beliefs(chosen, self.draws, conf_level)

    def to_nifti(self, folder: Any) -> list[str]:
        """Write z and the excursion function with their sidecars; the paths written."""
        from ..files.output import Written, alphanumeric, write

        stem = f"contrast-{alphanumeric(self.contrast.label)}"
        about = {"Contrast": self.contrast.label, "Alternative": self.alternative, "Draws": self.n, "Seed": self.seed}
        said = f"{self.contrast.label}: joint posterior probability of the voxel and all that are surer of their sign"
        maps = (
            Written(f"{stem}_stat-z_statmap.nii.gz", self.contrast.values["z"], about, ("z score", ())),
            Written(f"{stem}_stat-joint_statmap.nii.gz", self.probability, {"Description": said} | about),
        )
        return write(self.contrast.fit, folder, maps)

    def __repr__(self) -> str:
        found = self.threshold()
        rate = np.sqrt(0.05 * 0.95 / self.n)
        return (
            f"{self.contrast.label}: {self.n:,} joint draws in {self.seconds:.1f} s, {self.alternative}\n"
            f"{int(found.kept.sum()):,} of {len(self.probability):,} voxels are all beyond {self.contrast.value[0]:g} "
            f"with probability 0.95 (Monte Carlo error {rate:.3f}); .threshold(alpha), .clusters(), .maps"
        )


def excursions(
    fit: MapFit,
    hypothesis: Any,
    n: int | None = None,
    seed: int = 1,
    *,
    alternative: str = "two.sided",
    progress: bool | None = None,
) -> Excursions:
    """Draw a combination of coefficients in all voxels together from the posterior of a spatial model.

    hypothesis: a coefficient or combination, as in contrast(); with a value, "age = 0.01", excursions are beyond it.
    n: draws, 500 by default, or those that chains have kept; a probability of 0.95 has a Monte Carlo error of 0.010
        with 500 of them.
    alternative: "two.sided" (each voxel on the side of its posterior mean), "greater" or "less" than the value.

    With method="laplace" Q, the precision between neighbours, is held at its estimate, and the draws are normal; chains
    have neither limit. Maps that are fitted voxel by voxel have no joint draws: Unable.

    >>> import formula_neuro as fn
    >>> s = fn.simulate_lesions(80, reference=fn.lesion_reference(spacing=12), seed=1)
    >>> v = fn.fit("lesion ~ age", s.images, family="binomial(probit)", estimator="spatial")
    >>> ages = fn.excursions(v, "age", n=100, alternative="greater")
    >>> single = fn.contrast(v, "age").threshold("none", alternative="greater")
    >>> bool(ages.threshold(0.05).kept.sum() <= single.kept.sum())
    True
    """
    began = time.perf_counter()
    L, _, labels = as_rows(hypothesis, fit.names)
    alternative = as_alternative(alternative)
    if len(L) > 1:
        raise ValueError(f"excursions are of one combination at a time, not of {len(L)}: {', '.join(labels)}")
    source = getattr(fit.engine, "draws", None)
    if source is None:
        raise Unable(
            'excursions need joint draws of all voxels (`draws`), as of estimator="spatial"; ' + cannot(fit, "draws")
        )
    n = _number(n, getattr(source, "most", None))
    contrast = contrast_maps(fit, hypothesis)
    made = np.empty((fit.n_voxels, n), dtype=np.float32)
    scale, away = contrast.values["se"][:, None], float(contrast.value[0])
    plan = planned("draws", made.nbytes)
    with bar(plan, n, fit.request.running.progress if progress is None else progress) as advance:
        for first in range(0, n, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, n))
            made[:, first : numbers.stop] = (np.einsum("p,vpk->vk", L[0], source(numbers, seed)) - away) / scale
            advance(len(numbers))
    probability = excursion_function(contrast.values["z"], made, alternative)
    return Excursions(contrast, alternative, seed, made, probability, time.perf_counter() - began)


def _number(n: Any, most: int | None) -> int:
    """The number of draws."""
    if n is None:
        return 500 if most is None else most
    if not isinstance(n, (int, np.integer)) or n < 2:
        raise ValueError(f"n is a number of draws, 2 or more; got {n!r}")
    if most is not None and n > most:
        raise ValueError(f"n={n} draws were asked for, but the chains kept {most}: leave n= out, or take maps={n}")
    return int(n)


def excursion_function(z: Array, draws: NDArray[np.floating[Any]], alternative: str = "two.sided") -> Array:
    """(V,) of posterior means z (V,) and joint draws (V, n), both in standard deviations from the value.

    Voxels are ordered by how sure they are of their side, and a draw counts up to the first that is on the other.

    >>> excursion_function(np.array([2.0, 1.0]), np.array([[2.0, 1.0, 3.0, 2.0], [1.0, -1.0, 2.0, 0.5]])).tolist()
    [1.0, 0.75]
    """
    side = {"two.sided": np.where(z < 0, -1, 1), "greater": np.ones(len(z)), "less": -np.ones(len(z))}[alternative]
    order = np.argsort(-side * z, kind="stable")
    failed = draws[order] * side[order, None].astype(draws.dtype) <= 0
    length = np.where(failed.any(axis=0), failed.argmax(axis=0), len(z))  # voxels before the first failure
    beyond = 1 - np.searchsorted(np.sort(length), np.arange(len(z)), side="right") / draws.shape[1]
    found = np.empty(len(z))
    found[order] = beyond
    return found
