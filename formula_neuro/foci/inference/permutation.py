"""Family-wise error over the brain for foci: studies' labels permuted, or studies drawn with replacement.

Comparisons: the null model is fitted once, and labels move by study (welch.py). Homogeneity: as nothing can be
permuted, studies are drawn with replacement, and z is studentized in every draw (Efron and Tibshirani 1993, ch. 12).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ...errors import DataError, Unable
from ...family import Array
from ...maps.inference.permutation import AskedOfDraws, PermutationTest, check, corrected
from ...maps.inference.resampling import Resampling, permutations, resampled
from .contrast import FociContrast, tested
from .homogeneity import of_cell
from .hypotheses import Hypothesis, check_comparison, hypotheses
from .influence import influences
from .scores import NullScores, centred, comparable, null_scores, values_of
from .welch import BLOCK, Compared, Permuted

if TYPE_CHECKING:
    from ..fit import FociFit

LOWEST = -40.0  # z of a draw that leaves no intensity: no study that reaches the voxel is in it


@dataclass(frozen=True, eq=False)
class OfStudies(Resampling):
    """Labels of studies permuted: L (J, V) of contributions, and those that change places with one another."""

    L: NDArray[Any]
    by: Compared
    cell: NDArray[np.intp]
    x: Array  # (J,) of an effect; else empty
    groups: tuple[NDArray[np.intp], ...]

    def statistics(self, first: int, last: int) -> Array:
        orders = permutations(len(self.by.T), self.groups, self.seed, first, last)
        if len(self.x):
            D = np.array([centred(self.x[order], self.by.T, self.cell) for order in orders])
        else:
            D = self.by.D[orders]
        found, permuted = np.empty((self.voxels, last - first)), Permuted.of(self.by, D)
        for start in range(0, self.voxels, BLOCK):
            part = np.asarray(self.L[:, start : start + BLOCK], dtype=np.float64)
            found[start : start + BLOCK] = permuted.statistics(part)
        return found

    @property
    def joint(self) -> bool:
        return len(self.by.W) > 1


@dataclass(frozen=True, eq=False)
class OfDraws(Resampling):
    """Studies drawn with replacement, each K of K: how their influences L (K, V) move a log intensity; draw 0 is z.

    With the draw's counts W of the studies, s = sum_k (W_k - 1) L_k is what the intensity gains (a share of it), and
    z* = (1 + s) log(1 + s) / sqrt(sum_k W_k (L_k - s / K)^2), as z is a logarithm over its standard error.
    """

    L: NDArray[Any]
    z: Array

    def statistics(self, first: int, last: int) -> Array:
        K = len(self.L)
        W = np.array(
            [np.random.default_rng([self.seed, i]).multinomial(K, np.full(K, 1 / K)) for i in range(first, last)]
        )
        found = np.empty((self.voxels, last - first))
        for start in range(0, self.voxels, BLOCK):
            part = np.asarray(self.L[:, start : start + BLOCK], dtype=np.float64)
            s, squares = (W - 1.0) @ part, W @ part**2
            with np.errstate(divide="ignore", invalid="ignore"):
                z = (1 + s) * np.log1p(s) / np.sqrt((squares - s**2 / K) * K / (K - 1))
            found[start : start + BLOCK] = np.where(np.isfinite(z), z, LOWEST).T
        if first == 0:
            found[:, 0] = self.z
        return found

    @property
    def joint(self) -> bool:
        return False


def permuted_foci(fit: FociFit, given: Any, asked: AskedOfDraws) -> PermutationTest:
    """Test a hypothesis about foci in all voxels at once; see permutation_test()."""
    began = time.perf_counter()
    hypothesis, shown, alone = _hypothesis(fit, given, asked.what)
    side = asked.alternative or ("greater" if alone else "two.sided")
    check(asked, side, len(hypothesis.matrix))
    height = _height(asked.cluster_threshold, int(np.linalg.matrix_rank(hypothesis.matrix)))
    compared = (fit.brain, asked.seed, asked.statistic, side, height, asked.connectivity)
    how: Resampling
    if alone:
        if asked.within is not None:
            raise ValueError("within= is of permutations; homogeneity is tested by drawing studies with replacement")
        contrast, words = of_cell(fit, hypothesis.label, shown), _about_draws(fit)
        how = OfDraws(*compared, influences(contrast), contrast.values["z"])
    else:
        found = null_scores(fit, hypothesis, shown)
        groups, words = _exchangeable(fit, found, asked.within)
        how = OfStudies(*compared, found.maps(), found.by, found.cell, found.x, groups)
        contrast = tested(fit, hypothesis, shown, "robust", "wald")
    extremes = resampled(how, asked.n, asked.workers, asked.progress)
    if not alone:
        own = values_of(extremes.observed, len(found.by.W))
        wald = {k: v for k, v in contrast.values.items() if k in ("estimate", "se")}
        h = hypothesis
        contrast = FociContrast(fit, h.label, h.matrix, h.value, wald | own, h.labels, "score", (), h.names, shown)
    return PermutationTest(
        contrast, asked.statistic, side, asked.n, asked.seed, corrected(extremes, contrast.values["z"]),
        extremes.exceeded, extremes.enhanced, extremes.draws, asked.cluster_threshold, asked.connectivity, words,
        time.perf_counter() - began,
    )  # fmt: skip


def _hypothesis(fit: FociFit, given: Any, what: str | None) -> tuple[Hypothesis, str, bool]:
    """The hypothesis, what of intensities it is about, and whether it is one of homogeneity."""
    if isinstance(given, FociContrast):
        asked, shown, alone = given.hypothesis, what or given.what, given.alternative == "greater"
    elif isinstance(given, str) and given in fit.cells:
        return of_cell(fit, given).hypothesis, what or "shape", True
    else:
        read = hypotheses(fit, given)
        if not isinstance(read, Hypothesis):
            raise ValueError("a permutation test is of one hypothesis; test those of a family one by one")
        asked, shown, alone = read, what or "intensity", False
    if not asked.spatial:
        raise ValueError(f"{asked.label} acts on the whole brain, so that it has no map to permute; use fn.contrast")
    if not alone:
        check_comparison(fit, asked)
        reason = comparable(fit, asked)
        if reason:
            raise Unable(f"{asked.label} cannot be permuted: {reason}")
    return asked, shown, alone


def _exchangeable(fit: FociFit, found: NullScores, within: Any) -> tuple[tuple[NDArray[np.intp], ...], tuple[str, ...]]:
    """The contributions whose labels may change places, and what to say of it.

    Those of studies with one: among all such (of an effect, within a cell). Those of a study with several: among
    themselves. Both within the values of `within`.
    """
    study, cell = found.by.study, found.cell if len(found.x) else np.zeros_like(found.cell)
    several = np.bincount(study)[study] > 1
    strata, note = _within(fit, found, within)
    codes = pd.factorize(
        pd.Series(list(zip(np.where(several, study, -1).tolist(), cell.tolist(), strata.tolist(), strict=True)))
    )[0]
    groups = tuple(np.flatnonzero(codes == code) for code in range(codes.max() + 1))
    if all(len(group) < 2 for group in groups):
        raise DataError("no study can change places with another: every one is a group of its own")
    paired = len(np.unique(study[several]))
    words = ["studies keep their foci and change places: the null model is fitted once (score permutation)", *note]
    if paired:
        words.append(f"{paired:,} studies in several cells exchange their own analyses alone")
    if len(fit.names):
        words.append("approximate, as the effects of moderators were estimated before")
    return groups, tuple(words)


def _within(fit: FociFit, found: NullScores, within: Any) -> tuple[Array, tuple[str, ...]]:
    """A number (J,) for the stratum of each contribution."""
    if within is None:
        return np.zeros(len(found.cell)), ()
    table = fit.request.foci.studies
    if not isinstance(within, str) or within not in table.columns:
        raise DataError(f"within={within!r} is no column of the studies; there are {', '.join(map(str, table))}")
    codes = pd.factorize(table[within])[0][found.rows]
    if (codes < 0).any():
        raise DataError(f"within={within!r} is missing for {int((codes < 0).sum())} studies, which belong nowhere")
    return codes.astype(float), (f"permuted within {len(np.unique(codes))} groups of {within}",)


def _about_draws(fit: FociFit) -> tuple[str, ...]:
    return (f"{fit.n_studies:,} studies drawn with replacement, z studentized in each draw (bootstrap): approximate",)


def _height(z: float, q: int) -> float:
    """The cluster-forming z on the scale of a chi-squared of q rows."""
    return z if q == 1 else float(stats.chi2.isf(stats.norm.sf(z), q))
