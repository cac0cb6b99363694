"""Family-wise error over the brain by permuting a covariate over the images."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...errors import DataError, Unable
from ...family import Array
from ...inference.hypothesis import as_rows
from ...nearest import not_known
from ..fit import MapFit
from .clusters import STRUCTURES
from .contrast import MapContrast
from .held import Split, split
from .nulls import NullModel, Nulls, every, fitted, null_model
from .permuted import FreedmanLane, Scores, without
from .resampling import Extremes, OfImages, is_extreme, resampled, strata
from .threshold import STATISTICS, Thresholded


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """A permutation test over the brain: `.maps`, `.threshold(alpha)`, `.to_frame()`, `.to_nifti(folder)`.

    `p` (V,) are family-wise error corrected, `uncorrected` (V,) are each voxel's own; `draws` are the largest
    statistics of all permutations in the order of the stream, the data's own the first; `enhanced` (V,) are the values
    that were compared with them: |z|, the size of the voxel's cluster, or TFCE.
    """

    contrast: MapContrast
    statistic: str  # "max", "cluster", "tfce"
    alternative: str
    n: int
    seed: int
    p: Array
    uncorrected: Array
    enhanced: Array
    draws: Array  # (n + 1,)
    cluster_threshold: float
    connectivity: int
    messages: tuple[str, ...] = ()
    seconds: float = float("nan")

    @cached_property
    def maps(self) -> dict[str, Any]:
        """Images: "z" (the data's own; a joint test has "statistic"), "p", "uncorrected", "enhanced"."""
        brain = self.contrast.fit.brain
        shown = {name: self.contrast.values[name] for name in ("z", "statistic") if name in self.contrast.values}
        own = {"p": self.p, "uncorrected": self.uncorrected, "enhanced": self.enhanced}
        return {name: brain.image(values) for name, values in (shown | own).items()}

    def threshold(self, alpha: float = 0.05) -> Thresholded:
        """The voxels whose corrected p value is at most alpha, with .image, .to_frame(atlas, labels), .to_nifti()."""
        if not 0 < alpha < 1:
            raise ValueError(f"alpha lies between 0 and 1, as 0.05; got {alpha!r}")
        with np.errstate(invalid="ignore"):
            kept = np.asarray(self.p <= alpha)
        return self._shown(alpha, kept)

    def to_frame(self, atlas: Any = None, labels: Any = None) -> Any:
        """One row a cluster with its p value (of the peak): those above the cluster-forming threshold, else those at
        a corrected p value of 0.05; columns as Thresholded.to_frame's."""
        if self.statistic != "cluster":
            return self.threshold().to_frame(atlas, labels)
        return self._shown(1.0, np.asarray(self.enhanced > 0)).to_frame(atlas, labels)

    def _shown(self, alpha: float, kept: NDArray[np.bool_]) -> Thresholded:
        return Thresholded(self.contrast, self.statistic, alpha, self.alternative, kept, self.p, 1, self.connectivity)

    def critical(self, alpha: float = 0.05) -> float:
        """The value of `enhanced` from which on a voxel is significant at level alpha: a quantile of the draws."""
        ordered = np.sort(self.draws)[::-1]
        return float(ordered[max(int(np.floor(alpha * len(ordered) + 1e-9)) - 1, 0)])

    def to_nifti(self, folder: Any) -> list[str]:
        """Write the z map, corrected and uncorrected p values and what they were made of, with sidecars; the paths."""
        from ..files.output import Written, alphanumeric, write

        stem = f"contrast-{alphanumeric(self.contrast.label)}"
        about = {
            "Contrast": self.contrast.label, "Statistic": STATISTICS[self.statistic], "Alternative": self.alternative,
            "Permutations": self.n, "Seed": self.seed, "Connectivity": self.connectivity,
            "PermutationMessages": list(self.messages),
        }  # fmt: skip
        about |= {"ClusterThreshold": self.cluster_threshold} if self.statistic == "cluster" else {}
        values = {
            f"{stem}_stat-z_statmap.nii.gz": self.contrast.values["z"],
            f"{stem}_stat-p_desc-{self.statistic}FWE_statmap.nii.gz": self.p,
            f"{stem}_stat-p_desc-permutation_statmap.nii.gz": self.uncorrected,
            f"{stem}_stat-{self.statistic}_statmap.nii.gz": self.enhanced,
        }
        return write(self.contrast.fit, folder, (Written(name, found, about) for name, found in values.items()))

    def __repr__(self) -> str:
        least = np.nanmin(self.p) if np.isfinite(self.p).any() else float("nan")
        kept = int((np.nan_to_num(self.p, nan=1.0) <= 0.05).sum())
        lines = [
            f"{self.contrast.label}: {STATISTICS[self.statistic]} of {self.n:,} permutations, {self.alternative}, in "
            f"{self.seconds:.1f} s",
            f"smallest corrected p {least:.3g}; {kept:,} of {len(self.p):,} voxels at 0.05",
        ]
        return "\n".join([*lines, *self.messages])


@dataclass(frozen=True, eq=False)
class AskedOfDraws:
    """What permutation_test() was asked beside a fit and a hypothesis; it says what each is."""

    n: int
    seed: int
    statistic: str
    alternative: str | None
    cluster_threshold: float
    connectivity: int
    within: Any
    what: str | None
    workers: Any
    progress: bool | None


def permuted_maps(fit: MapFit, hypothesis: Any, asked: AskedOfDraws) -> PermutationTest:
    """Test a hypothesis about images in all voxels at once; see permutation_test()."""
    began = time.perf_counter()
    if asked.what is not None:
        raise Unable("what= is of foci; a hypothesis about images is about their coefficients")
    statistic, connectivity, side = asked.statistic, asked.connectivity, asked.alternative or "two.sided"
    L, value, labels = as_rows(hypothesis, fit.names)
    check(asked, side, len(L))
    parts = split(fit, L, value)
    model = null_model(fit, parts.Z, parts.offset, "a permutation test")
    images = fit.request.images
    nulls = fitted(model, images, asked.workers, asked.progress)
    method, exact = _method(fit, parts, model, nulls)
    height = _height(fit, asked.cluster_threshold, parts.x.shape[1])
    groups, words = strata(fit, asked.within)
    how = OfImages(fit.brain, asked.seed, statistic, side, height, connectivity, images, model, nulls, method, groups)
    found = resampled(how, asked.n, asked.workers, asked.progress)
    values = _values(fit, found.observed, parts.x.shape[1])
    contrast = MapContrast(fit, " & ".join(labels), L, value, values, tuple(labels), "score")
    p = corrected(found, values["z"])
    messages = (*_words(fit, exact, nulls, found.observed), *words)
    return PermutationTest(
        contrast, statistic, side, asked.n, asked.seed, p, found.exceeded, found.enhanced, found.draws,
        asked.cluster_threshold, connectivity, messages, time.perf_counter() - began,
    )  # fmt: skip


def check(asked: AskedOfDraws, alternative: str, rows: int) -> None:
    """Raise ValueError for what a permutation test cannot be asked."""
    n, statistic, connectivity, height = asked.n, asked.statistic, asked.connectivity, asked.cluster_threshold
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n is a number of permutations, 1 or more; got {n!r}")
    if statistic not in STATISTICS:
        raise ValueError(not_known("statistic", statistic, STATISTICS))
    if alternative != "two.sided" and rows > 1:
        raise ValueError(
            f"alternative={alternative!r}: a joint test of several rows has no direction; leave alternative= out"
        )
    if connectivity not in STRUCTURES:
        raise ValueError(f"connectivity={connectivity!r}: a voxel has 6, 18 or 26 neighbours")
    if not height > 0:
        raise ValueError(f"cluster_threshold is a z value above 0, as 3.1; got {height!r}")


def _method(fit: MapFit, parts: Split, model: NullModel, nulls: Nulls) -> tuple[Scores | FreedmanLane, bool]:
    """How voxels are tested, and whether permutations are exact."""
    w = fit.request.weights
    used = w > 0
    plain = bool((w[used] == w[used][0]).all() and np.ptp(parts.offset[used]) == 0)
    Z, x = parts.Z * used[:, None], parts.x * used[:, None]
    constant = Z.shape[1] == 1 and np.ptp(parts.Z[used]) == 0
    if fit.family.name == "gaussian":
        if not np.isfinite(fit.df_resid):
            raise Unable(f"a permutation test is of linear and generalized linear models; this is a {fit.backend} fit")
        root = np.sqrt(w)
        Q = np.linalg.qr(Z * root[:, None])[0]
        left = np.linalg.qr(without(x * root[:, None], Q, np.ones(len(w))))
        signs = np.sign(np.diag(left[1]))
        return FreedmanLane(left[0] * signs, Q, root, fit.df_resid), constant and plain
    Q = np.linalg.qr(Z)[0]
    if constant and plain:
        return Scores(without(x, Q, used.astype(float)), Q, level=True), True
    mean = np.zeros(len(w))
    for rows in every(model, nulls, fit.request.images):
        mean += rows.W.sum(axis=0)
    if not mean.any():
        raise DataError("no voxel has a null model with information left, so that there is nothing to permute")
    return Scores(without(x, Q, mean), Q), False


def _height(fit: MapFit, z: float, q: int) -> float:
    """The cluster-forming z on the scale of the statistics that are permuted: of equal tail."""
    tail, df = float(stats.norm.logsf(z)), fit.df_resid
    one = fit.family.name != "gaussian"
    if q == 1:
        return z if one else float(stats.t.isf(np.exp(tail), df))
    return float(stats.chi2.isf(np.exp(tail), q) if one else stats.f.isf(np.exp(tail), q, df))


def _values(fit: MapFit, observed: Array, q: int) -> dict[str, Array]:
    """The maps of the data's own statistic, as a contrast has them."""
    from .retested import values_of

    return values_of(observed, q, fit.df_resid if fit.family.name == "gaussian" else float("inf"))


def corrected(found: Extremes, z: Array) -> Array:
    """(V,) shares of the draws that are at least a voxel's own value; 1 where nothing was enhanced, NaN untested."""
    ordered = np.sort(found.draws)
    beyond = len(ordered) - np.searchsorted(ordered, is_extreme(found.enhanced), side="left")
    return np.where(np.isnan(z), np.nan, beyond / len(ordered))


def _words(fit: MapFit, exact: bool, nulls: Nulls, observed: Array) -> tuple[str, ...]:
    notes = []
    if fit.family.name != "gaussian":
        notes.append(
            "score statistics of null models fitted by maximum likelihood, the tested covariate permuted: "
            + ("exact" if exact else "approximate, as there are other covariates beside the intercept")
        )
    elif not exact:
        notes.append("residuals of the null model permuted (Freedman and Lane): approximate beside other covariates")
    lost = int(np.isnan(observed).sum())
    if lost:
        notes.append(
            f"{lost:,} of {len(observed):,} voxels have no test: without the tested covariate they are constant"
        )
    if len(nulls.apart):
        notes.append(f"in {len(nulls.apart):,} voxels other covariates separate the images; limits are tested there")
    return tuple(notes)
