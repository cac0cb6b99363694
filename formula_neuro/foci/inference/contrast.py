"""Contrasts of intensity maps, of effects of numbers in space, and of global moderators."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...errors import FitError, Unable
from ...family import Array
from ...inference.coefficients import wald as wald_table
from ...inference.hypothesis import check_consistent
from ...inference.precision import with_df
from ...inference.tested import Contrast
from ...maps.inference.contrast import MapContrast
from ..engine import KINDS
from .hypotheses import Hypothesis, check_comparison, hypotheses, spatial_rows
from .moderators import WORDS, moderator_precision
from .wald import WHAT, combined, joint, single

if TYPE_CHECKING:
    from ...maps.inference.threshold import Thresholded
    from ..fit import FociFit

TESTS = ("wald", "score")
ABOUT_SCORES = (
    "z and p are of score tests, which hold their level where few studies reach a voxel; estimates and standard errors "
    "are of the fit (test='wald' tests by them)"
)
SAID = {"intensity": "level and place", "shape": "where, not how many"}


@dataclass(frozen=True, eq=False)
class FociContrast(MapContrast):
    """A hypothesis about the maps of foci in every voxel: `.maps`, `.threshold()`, `.studies()`, `.to_nifti(folder)`.

    matrix (q, r) weighs `names`, the cells of s(...) and its other maps. `values` (V,) of one row: "estimate" (a log
    ratio), "se", "z", "p" and "logp" = -log10 p; of several rows "statistic" (chi-squared), "z", "p", "logp".
    what: "intensity" (level and place) or "shape" (where, not how many). Several rows are rejected where at least one
    of them is not 0.
    """

    names: tuple[str, ...] = ()
    what: str = "intensity"
    covariance: str = "robust"
    side: str = "two.sided"

    @property
    def alternative(self) -> str:
        return self.side

    @property
    def hypothesis(self) -> Hypothesis:
        """What was tested."""
        return Hypothesis(self.label, self.names, self.matrix, self.value, self.labels, True)

    @property
    def weights(self) -> pd.DataFrame:
        """The matrix with the names of its rows and columns."""
        return pd.DataFrame(self.matrix, index=list(self.labels), columns=list(self.names))

    def row(self, number: int) -> FociContrast:
        """One of several rows as a contrast of its own."""
        if len(self.matrix) == 1 and number in (0, -1):
            return self
        return tested(self.foci_fit, self.hypothesis.row(number), self.what, self.covariance, self.test)

    @property
    def foci_fit(self) -> FociFit:
        from ..fit import FociFit

        assert isinstance(self.fit, FociFit)
        return self.fit

    def studies(self, found: Thresholded | None = None, top: int = 3) -> pd.DataFrame:
        """Which studies drive each cluster that stands out; see foci.inference.influence.drivers."""
        from .influence import drivers

        return drivers(self, self.threshold() if found is None else found, top)

    def influence(self, study: Any) -> Any:
        """How much a study moves the estimate in every voxel, to first order, as an image."""
        from .influence import study_map

        return self.fit.brain.image(study_map(self, study))

    def to_nifti(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write its maps with their sidecars; the paths written."""
        from ...maps.files.output import named_contrast, write

        return write(self.fit, folder, named_contrast(self.label, self.values, self.labels))

    def __repr__(self) -> str:
        z = self.values["z"][np.isfinite(self.values["z"])]
        peak = f", z from {z.min():.2f} to {z.max():.2f}" if len(z) else ""
        how = f"{self.what} ({SAID[self.what]}), {self.test} test, {self.covariance} covariance"
        lines = [
            f"{self.label}: {len(z):,} voxels{peak}; .maps, .plot(), .threshold(...), .studies(), .to_nifti(folder)",
            how,
        ]
        return "\n".join([*lines, *self.messages])


@dataclass(frozen=True, eq=False, repr=False)
class Contrasts(Mapping[str, Any]):
    """Several tests by name: found["a - b"], found.to_frame(), found.threshold(), found.to_nifti(folder).

    Error rates are those of each test by itself: they count its voxels, not the other tests.
    """

    tests: Mapping[str, FociContrast | Contrast]

    def __getitem__(self, name: str) -> Any:
        if name not in self.tests:
            raise KeyError(f"there is no test {name!r}; there are {', '.join(self.tests)}")
        return self.tests[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tests)

    def __len__(self) -> int:
        return len(self.tests)

    @property
    def maps(self) -> Mapping[tuple[str, str], Any]:
        """All maps as images, by statistic and name of the test."""
        of_maps = ((name, one) for name, one in self.tests.items() if isinstance(one, FociContrast))
        return {(word, name): image for name, one in of_maps for word, image in one.maps.items()}

    def to_frame(self) -> pd.DataFrame:
        """One row a test: name, rows; of maps voxels, discoveries (false discovery rate 0.05), z_min, z_max; of
        moderators estimate, std_error, statistic, df, p_value of single rows, the joint ones of several."""
        return pd.DataFrame([{"test": name, "rows": len(one.matrix)} | _row(one) for name, one in self.tests.items()])

    def threshold(
        self, method: str = "fdr", alpha: float = 0.05, *, min_size: int = 1, connectivity: int = 26
    ) -> dict[str, Thresholded]:
        """What stands out in each map by itself, by name; see FociContrast.threshold."""
        of_maps = ((name, one) for name, one in self.tests.items() if isinstance(one, FociContrast))
        return {
            name: one.threshold(method, alpha, min_size=min_size, connectivity=connectivity) for name, one in of_maps
        }

    def to_nifti(self, folder: str | os.PathLike[str]) -> list[str]:
        """Write the maps of all tests with their sidecars; the paths written."""
        of_maps = [one for one in self.tests.values() if isinstance(one, FociContrast)]
        return [path for one in of_maps for path in one.to_nifti(folder)]

    def __repr__(self) -> str:
        said = dict.fromkeys(message for one in self.tests.values() for message in one.messages)
        return "\n".join([self.to_frame().to_string(index=False, float_format=lambda value: f"{value:.3g}"), *said])


def _row(one: FociContrast | Contrast) -> dict[str, Any]:
    from ...maps.inference.multiplicity import discoveries

    if isinstance(one, Contrast):
        shown = one.table if len(one.table) == 1 else one.joint
        return {name: shown[name].iloc[0] for name in shown.columns if name not in ("term", "conf_low", "conf_high")}
    z = one.values["z"]
    ends = (float(np.nanmin(z)), float(np.nanmax(z))) if np.isfinite(z).any() else (float("nan"),) * 2
    return {
        "voxels": int(np.isfinite(z).sum()),
        "discoveries": int(discoveries(one.values["p"]).sum()),
        "z_min": ends[0],
        "z_max": ends[1],
    }


def contrast_foci(
    fit: FociFit,
    hypothesis: Any,
    *,
    what: str = "intensity",
    covariance: str | None = None,
    test: str | None = None,
    reference: str | None = None,
    conf_level: float = 0.95,
) -> FociContrast | Contrast | Contrasts:
    """Test hypotheses about maps or moderators; see contrast()."""
    if what not in WHAT:
        raise ValueError(f"what={what!r} is not known; there are {', '.join(WHAT)}")
    if test is not None and test not in TESTS:
        raise ValueError(f"test={test!r} is not known; there are {', '.join(TESTS)}")
    if covariance is not None and covariance not in WORDS:
        raise ValueError(f"vcov={covariance!r} is not known; there are {', '.join(WORDS)}")
    asked = hypotheses(fit, hypothesis, reference)

    def answer(one: Hypothesis) -> FociContrast | Contrast:
        check_consistent(one.matrix, one.value)
        if not one.spatial:
            return of_moderators(fit, one, covariance, test, conf_level)
        check_comparison(fit, one)
        return tested(fit, one, what, covariance, test)

    if isinstance(asked, Hypothesis):
        return answer(asked)
    return Contrasts({name: answer(one) for name, one in asked.items()})


def tested(fit: FociFit, asked: Hypothesis, what: str, covariance: str | None, test: str | None) -> FociContrast:
    """One hypothesis about maps in every voxel."""
    from .scores import comparable, score_values

    reason = comparable(fit, asked)
    if test == "score" and reason:
        raise Unable(f"test='score': {reason}; take test='wald'")
    kind = covariance or "robust"
    if kind not in KINDS:
        raise ValueError(f"vcov={covariance!r} is of moderators; maps have {', '.join(KINDS)}")
    values, word = wald_values(fit, asked, what, kind), "wald"
    chosen = test is None and covariance is None
    messages: tuple[str, ...] = (f"Wald's test: {reason}",) if chosen and reason else ()
    if test == "score" or (chosen and not reason):
        try:
            scores, said = score_values(fit, asked, what)
            values, word, messages = values | scores, "score", (ABOUT_SCORES, *said)
        except FitError as error:
            if test == "score":
                raise
            messages = (f"Wald's test, as the null model of the score test cannot be fitted: {error}",)
    return FociContrast(
        fit, asked.label, asked.matrix, asked.value, values, asked.labels, word, messages, asked.names, what, kind
    )


def wald_values(fit: FociFit, asked: Hypothesis, what: str, covariance: str) -> dict[str, Array]:
    """The maps of Wald's test of one or several rows."""
    estimate, variance = combined(fit, asked, what, covariance)
    if len(asked.matrix) == 1:
        return single(estimate[:, 0], variance[:, 0, 0], float(asked.value[0]))
    rank = int(np.linalg.matrix_rank(asked.matrix @ spatial_rows(fit)))
    return joint(estimate - asked.value, variance, rank)


def of_moderators(
    fit: FociFit, asked: Hypothesis, covariance: str | None, test: str | None, conf_level: float
) -> Contrast:
    """Hypotheses about global moderators, row by row and jointly, with the covariances between them."""
    if test not in (None, "wald"):
        raise Unable(f"test={test!r} is of maps; moderators have Wald's, and fn.anova(small, large)")
    own = moderator_precision(fit, covariance)
    L = asked.matrix
    estimate, V = L @ fit.engine.gamma, L @ own.covariance @ L.T
    table = wald_table(
        list(asked.labels), estimate, np.sqrt(np.diag(V)), np.full(len(L), own.df), conf_level, asked.value
    )
    jointly = with_df(V, estimate - asked.value, own.df, int(np.linalg.matrix_rank(L)))
    said = (f"how many foci in the whole brain; standard errors: {own.word}, {WORDS[own.word]}",)
    return Contrast(L, asked.value, table, jointly.to_frame(), said)
