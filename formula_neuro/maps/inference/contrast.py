"""Linear hypotheses about the coefficients in every voxel: maps of their estimates, statistics and p values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from ...errors import DataError
from ...family import Array
from ...inference.hypothesis import as_rows
from ...nearest import not_known
from ..fit import MapFit
from ..mapped import Mapped
from ..maps import wald
from .retested import TESTS, retested

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .threshold import Thresholded


@dataclass(frozen=True, eq=False)
class MapContrast:
    """Hypotheses matrix @ coef = value in every voxel; one row has a signed map, several a joint one besides.

    `values` are arrays of the V analysed voxels: "z" and "p" of a single row (and "t"; of Wald's test "estimate" and
    "se"); "statistic" (F of linear models, else chi-squared), "z" and "p" of several, whose rows are `contrast.row(i)`.
    p values are two-sided, of a joint test those of its upper tail; z has the same tail as p.
    """

    fit: Mapped
    label: str
    matrix: Array  # (q, p)
    value: Array  # (q,)
    values: Mapping[str, Array]
    labels: tuple[str, ...] = ()
    test: str = "wald"  # "wald", "score", "lr", "F"
    messages: tuple[str, ...] = ()

    @property
    def alternative(self) -> str:
        """The side of its p values: "two.sided", or "greater" where it was tested that way."""
        return "two.sided"

    @property
    def signed(self) -> bool:
        """Whether its statistic has a sign: a single row."""
        return "statistic" not in self.values

    @cached_property
    def maps(self) -> Mapping[str, Any]:
        """The maps as images, by the names of `values`."""
        return {name: self.fit.brain.image(values) for name, values in self.values.items()}

    def row(self, number: int) -> MapContrast:
        """One of several rows as a contrast of its own."""
        assert isinstance(self.fit, MapFit)
        return _contrast(self.fit, self.matrix[[number]], self.value[[number]], (self.labels[number],), self.test)

    def threshold(
        self,
        method: str = "fdr",
        alpha: float = 0.05,
        *,
        alternative: str | None = None,
        min_size: int = 1,
        connectivity: int = 26,
    ) -> Thresholded:
        """The voxels whose adjusted p value is at most alpha: .image, .to_frame() of clusters, .to_nifti(folder).

        method: "fdr" (Benjamini and Hochberg), "by", "bonferroni", or "none", where alpha is each voxel's own level.
        alternative: "two.sided", "greater" or "less"; by default the contrast's. min_size: voxels of the clusters that
        are shown, by a connectivity of 6, 18 or 26 neighbours. fn.permutation_test(v, ...) has family-wise errors.
        """
        from .threshold import threshold

        return threshold(self, method, alpha, alternative=alternative, min_size=min_size, connectivity=connectivity)

    def plot(self, statistic: str = "z") -> Figure:
        """Axial slices of one of its maps over a brain, by the names of `values`. Needs the extra "plot"."""
        from ..display.plot import contrast_map

        return contrast_map(self, statistic).figure

    def to_nifti(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write its maps with their sidecars, as MapFit.to_nifti; the paths written."""
        from ..files.output import named_contrast, write

        return write(self.fit, folder, named_contrast(self.label, self.values, self.labels, self.fit.finite_df))

    def __repr__(self) -> str:
        z = self.values["z"][np.isfinite(self.values["z"])]
        peak = f", z from {z.min():.2f} to {z.max():.2f}" if len(z) else ""
        name = "" if self.test == "wald" else f" ({self.test})"
        shown = f"{self.label}{name}: {len(z):,} voxels{peak}; .maps, .plot(), .threshold(...), .to_nifti(folder)"
        return "\n".join([shown, *self.messages])


def contrast_maps(fit: MapFit, hypothesis: Any, test: str = "wald") -> MapContrast:
    """Test linear hypotheses about the coefficients in every voxel; texts, mappings and matrices as in contrast().

    test: "wald", "score" (finite in separated voxels too) or "lr"; the last two fit null models in every voxel. Least
    squares have one test alone: there all three are t or F.
    """
    if test not in TESTS:
        raise ValueError(not_known("test", test, TESTS, {"rao": "score", "lrt": "lr", "likelihood ratio": "lr"}))
    L, value, labels = as_rows(hypothesis, fit.names)
    return _contrast(fit, L, value, tuple(labels), test)


def _contrast(fit: MapFit, L: Array, value: Array, labels: tuple[str, ...], test: str = "wald") -> MapContrast:
    if test != "wald" and fit.request.model != "lm":
        values, messages = retested(fit, L, value, test)
        return MapContrast(fit, " & ".join(labels), L, value, values, labels, test, messages)
    used = np.atleast_1d(L.any(axis=0))
    gone = np.atleast_1d(np.isnan(fit.values["coef"][:, used]).all(axis=0))
    if gone.any() and fit.fitted.any():
        names = [name for name, mine in zip(fit.names, used, strict=True) if mine]
        lost = ", ".join(name for name, g in zip(names, gone, strict=True) if g)
        raise DataError(f"{lost} is aliased (a combination of earlier columns) or was fitted nowhere: it has no test")
    estimate, V = _combined(fit, L, used)
    df = fit.contrast_freedom(L)
    values = _single(estimate[:, 0], V[:, 0, 0], value[0], df) if len(L) == 1 else _joint(estimate - value, V, df)
    return MapContrast(fit, " & ".join(labels), L, value, values, labels, test)


def jointly(fit: MapFit, L: Array) -> dict[str, Array]:
    """Wald's joint maps of L b = 0, of a single row too: "statistic" (F, or chi-squared), "z" and "p"."""
    return _joint(*_combined(fit, L, np.abs(L).sum(axis=0) > 0), fit.contrast_freedom(L))


def _combined(fit: MapFit, L: Array, used: NDArray[np.bool_]) -> tuple[Array, Array]:
    """L b (V, q) and its covariance (V, q, q), from the columns that L uses: others may be infinite."""
    with np.errstate(invalid="ignore"):
        estimate = fit.values["coef"][:, used] @ L[:, used].T
    return estimate, L[:, used] @ fit.covariance()[:, used][:, :, used] @ L[:, used].T


def _single(estimate: Array, variance: Array, value: float, df: Array) -> dict[str, Array]:
    with np.errstate(invalid="ignore"):
        se = np.sqrt(variance)
    away = estimate - value
    found = {"estimate": estimate, "se": se, "z": wald("z", away, se, df), "p": wald("p", away, se, df)}
    return found if not np.isfinite(df).any() else found | {"t": wald("t", away, se, df)}


def _joint(away: Array, V: Array, df: Array) -> dict[str, Array]:
    """Wald's statistic of q rows; F where the statistics of single rows are t."""
    fine = np.isfinite(away).all(axis=1) & np.isfinite(V).all(axis=(1, 2))
    q = away.shape[1]
    rank = int(np.linalg.matrix_rank(V[fine][0])) if fine.any() else q
    statistic = np.full(len(away), np.nan)
    inverse = np.linalg.pinv(V[fine], hermitian=True) if rank < q else np.linalg.inv(V[fine])
    statistic[fine] = np.einsum("vi,vij,vj->v", away[fine], inverse, away[fine])
    of_f = np.isfinite(df)
    shown = np.where(of_f, statistic / rank, statistic)
    bounded = np.where(of_f, df, 1.0)
    tail = np.where(of_f, stats.f.logsf(shown, rank, bounded), stats.chi2.logsf(shown, rank))
    return {"statistic": shown, "z": -special.ndtri_exp(tail), "p": np.exp(tail)}
