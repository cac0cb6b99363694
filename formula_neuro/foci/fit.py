"""The finished value of a meta-regression of foci, and the questions that it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..display.shown import Summary
from ..family import Array, FociFamily
from ..images.brain import Brain
from .convergence import Convergence
from .engine import Engine
from .maps import FociMaps
from .request import FociRequest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..comparing.agreement import Agreement
    from .prediction import PredictedMaps
    from .table import Foci


@dataclass(frozen=True, eq=False)
class FociFit:
    """A meta-regression of foci: maps of intensity, a table of the global moderators, verbs for both.

    The maps answer where foci are and how many an analysis of average moderators has there; `tidy()` answers what
    changes the number of foci in the whole brain.

    `fitted` (M,) are the expected foci of every analysis, Lambda; `loglik` is that of the counts of analyses and voxels
    with all constants (NaN: quasipoisson), so that it compares across families; `n_parameters` counts effective
    coefficients of the maps, global ones and dispersions. `phi` is Pearson's dispersion of the totals; `alpha` by cell
    the variance of the random levels (0: Poisson), with the standard errors of log alpha. `edf` by map are effective
    coefficients, `penalty` the smoothing parameter (0: none). `unsupported` counts by cell the splines without foci.

    >>> import formula_neuro as fn
    >>> from formula_neuro.foci.truth import ellipsoid
    >>> foci = fn.simulate_foci(table={"drug": ["no", "yes"] * 20}, groups="drug", peaks=5, seed=1)
    >>> c = fn.fit("foci ~ s(drug) + scale(sample_size)", foci, mask=ellipsoid(), estimator="splines(60 mm)")
    >>> c.cells, c.names, c.converged
    (('no', 'yes'), ('scale(sample_size)',), True)
    >>> c.predict({"drug": ["yes"], "sample_size": [30]})["fitted"].round(3).tolist()  # every study has 5 foci
    [5.0]
    >>> c.maps["relative", "no"].shape
    (27, 35, 21)
    """

    request: FociRequest
    backend: str
    engine: Engine
    loglik: float
    n_parameters: float
    fitted: Array
    phi: float = float("nan")
    alpha: Mapping[str, float] = field(default_factory=dict)
    log_alpha_se: Mapping[str, float] = field(default_factory=dict)
    convergence: tuple[Convergence, ...] = ()
    edf: Mapping[str, float] = field(default_factory=dict)
    penalty: float = 0.0
    unsupported: Mapping[str, int] = field(default_factory=dict)
    messages: tuple[str, ...] = ()
    seconds: float = float("nan")

    # ---- numbers ---------------------------------------------------------------------------------
    @property
    def names(self) -> tuple[str, ...]:
        """The columns of the global moderators, q of them."""
        return self.request.design.names

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of the intensity maps: levels of the factors in s(...), joined by ':'."""
        return tuple(self.request.cells)

    @property
    def family(self) -> FociFamily:
        return self.request.family

    @property
    def brain(self) -> Brain:
        """Where the maps live: the grid, the mask on it and its voxels."""
        return self.request.brain

    @property
    def coef(self) -> pd.Series:
        """The coefficients of the global moderators, log ratios of the number of foci, (q,)."""
        return pd.Series(self.engine.gamma, index=list(self.names), name="estimate", dtype=float)

    @property
    def vcov(self) -> pd.DataFrame:
        """The covariance of the moderators' coefficients, (q, q), by which tidy() has its standard errors."""
        from .inference.moderators import moderator_precision

        return pd.DataFrame(moderator_precision(self).covariance, index=list(self.names), columns=list(self.names))

    @property
    def se(self) -> pd.Series:
        """The standard errors of the moderators' coefficients, (q,), those of tidy()."""
        return pd.Series(np.sqrt(np.diag(self.vcov)), index=list(self.names), name="std_error")

    @property
    def nobs(self) -> int:
        """Analyses used."""
        return len(self.request.L)

    @property
    def n_studies(self) -> int:
        """Studies that these analyses come from."""
        return len(np.unique(self.request.cluster))

    @property
    def df_resid(self) -> int:
        """Analyses less maps, each with a level, less global columns: degrees of freedom of t for the moderators."""
        return self.nobs - len(self.request.maps) - len(self.names)

    @property
    def converged(self) -> bool:
        """Whether every search ended at a verified optimum."""
        return all(one.converged for one in self.convergence)

    @property
    def aic(self) -> float:
        """-2 log-likelihood + 2 parameters, effective ones where maps are penalised; NaN for quasipoisson."""
        return -2 * self.loglik + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """With the logarithm of the number of studies, which are the independent units."""
        return float(-2 * self.loglik + np.log(self.n_studies) * self.n_parameters)

    # ---- tables and words ------------------------------------------------------------------------
    @property
    def terms(self) -> pd.DataFrame:
        """One row a map and a global column: name, kind ("map", "global"), question, coefficients."""
        from .display.tables import terms

        return terms(self)

    @property
    def cell_table(self) -> pd.DataFrame:
        """One row a cell: analyses, studies, foci, foci_per_analysis, expected, edf, foci_per_edf, highest, x, y, z.

        `expected` are foci of an analysis whose moderators are 0; `highest` is the largest intensity over the mean one,
        at x, y, z (mm); `edf` are effective coefficients.
        """
        from .display.tables import cells

        return cells(self)

    def tidy(self, *, vcov: str | None = None, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """One row a global moderator: term, estimate, std_error, statistic, df, p_value, conf_low, conf_high.

        Estimates are log ratios of the number of foci in the whole brain (ratios with exponentiate=True).
        vcov: "quasi" (Poisson's times the dispersion of the totals), "robust" (studies as clusters), "jackknife"
        (the same by leaving out each study, CR3), "fisher" or "observed"; by default "quasi" for poisson, "jackknife"
        where studies have several analyses, "fisher" otherwise.
        """
        from .display.tables import moderators

        return moderators(self, vcov, conf_level, exponentiate)

    def dispersion(self, *, conf_level: float = 0.95) -> pd.DataFrame:
        """One row a cell: alpha with its limits, and the likelihood ratio test of alpha = 0 (statistic, p_value, logp).

        alpha is the variance of the factor of mean 1 that multiplies an analysis's expected foci (a study's, with
        Splines(cluster="study")); of negative_binomial fits, that of an analysis in a voxel. 0: Poisson. Half of the
        null distribution is 0, half chi-squared. Poisson fits of factors answer with the clustered family's.
        """
        from .inference.dispersion import dispersion

        return dispersion(self, conf_level)

    def glance(self) -> pd.DataFrame:
        """One row on the whole: family, analyses, studies, foci, voxels, splines, phi, loglik, aic, converged, ..."""
        from .display.tables import overall

        return overall(self)

    def summary(self) -> Summary:
        """The fit in words: where foci are, what changes their number, overdispersion, convergence, messages."""
        from .display.words import summary

        return Summary(summary(self))

    def predict(
        self, newdata: Any = None, type: str = "foci", *, vcov: str = "robust", conf_level: float = 0.95
    ) -> pd.DataFrame | PredictedMaps:
        """Expected foci of the analyses of a table, or of those fitted, with standard errors and limits.

        type: "foci", in the whole mask: a table of fitted, log_se, conf_low, conf_high; or "intensity", in every
            voxel: a value with .intensity, .log_se, .low, .high (n, V) and .image(row, "low").
        vcov: "robust" (studies as clusters), "fisher" or "observed". Limits are those of means, not of new foci.
        """
        from .prediction import predict

        return predict(self, newdata, type, vcov, conf_level)

    def simulate(self, n: int = 1, seed: int | np.random.Generator | None = None) -> list[Foci]:
        """n data sets drawn from the fit: the same analyses, with new numbers and places of foci (centres of voxels).

        Raises Unable for quasipoisson, which is no distribution.
        """
        from .prediction import simulate

        return simulate(self, n, seed)

    def influence(self, study: Any, cell: str) -> Any:
        """How much the log intensity of a cell would lose without a study, to first order, in every voxel: an image."""
        from .inference.homogeneity import of_cell

        return of_cell(self, cell, "intensity").influence(study)

    def plot(self, statistic: str = "intensity", name: str | None = None) -> Figure:
        """Axial slices over a brain; a figure that a notebook shows.

        c.plot() draws the intensities of all cells, a row each; c.plot("relative") their shapes; c.plot("effect", "x")
        and c.plot("z", "x") the map of a number in s(...); c.plot("glass") the foci in a glass brain. Needs the extra
        "plot".
        """
        from .display.plot import plot

        return plot(self, statistic, name)

    def to_nifti(self, folder: str | os.PathLike[str], layout: str = "bids", dtype: str = "float64") -> list[str]:
        """Write the maps and tables to a folder; the paths written.

        layout: "bids" (cell-depressed_stat-intensity_statmap.nii.gz, contrast-age_stat-z_statmap.nii.gz), or "nimare"
        (spatialIntensity_group-Depressed.nii.gz). Each map has a JSON sidecar. dtype: "float64", or "float32" for half
        the size.
        """
        from .files import to_nifti

        return to_nifti(self, folder, layout, dtype)

    def report(self, path: str | os.PathLike[str], *, crosscheck: Agreement | None = None) -> str:
        """Write one self-contained HTML page on the fit (no request leaves it); its path. Needs the extra "plot".

        It holds the maps, where every cell has more foci than chance, the moderators, overdispersion, convergence and
        the code in Python and R. `crosscheck`, the answer of fn.crosscheck(c), adds R's verdict.
        """
        from .display.report import report

        return report(self, path, crosscheck=crosscheck)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        from .display.words import short_html

        return short_html(self)

    # ---- maps ------------------------------------------------------------------------------------
    @property
    def finite_df(self) -> bool:
        """Whether statistics of maps are t; they are normal."""
        return False

    @property
    def provenance(self) -> dict[str, Any]:
        """What made its maps, for the sidecars of files."""
        from .provenance import provenance

        return provenance(self)

    @property
    def maps(self) -> FociMaps:
        """The maps as images: maps["intensity", "a"], maps["log_intensity", "a"], maps["se", "a"], maps["effect", "x"].

        Their keys are (statistic, cell) and (statistic, map of a number in s(...)); see `list(c.maps)`.
        """
        return FociMaps(self)
