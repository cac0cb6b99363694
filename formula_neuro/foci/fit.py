"""The finished value of a meta-regression of foci, and the questions that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..family import Array, FociFamily
from ..images.brain import Brain
from .convergence import Convergence
from .engine import Engine
from .maps import FociMaps
from .request import FociRequest


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
    def nobs(self) -> int:
        """Analyses used."""
        return len(self.request.L)

    @property
    def n_studies(self) -> int:
        """Studies that these analyses come from."""
        return len(np.unique(self.request.cluster))

    @property
    def df_resid(self) -> int:
        """Analyses less cells less global columns: degrees of freedom of t for the moderators."""
        return self.nobs - len(np.unique(self.request.group)) - len(self.names)

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

    # ---- maps ------------------------------------------------------------------------------------
    @property
    def maps(self) -> FociMaps:
        """The maps as images: maps["intensity", "a"], maps["log_intensity", "a"], maps["se", "a"], maps["effect", "x"].

        Their keys are (statistic, cell) and (statistic, map of a number in s(...)); see `list(c.maps)`.
        """
        return FociMaps(self)
