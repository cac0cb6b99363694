"""What a fit made by R can do again; each answer is a new call of R, so that a Fit stays a plain value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from formula_neuro.family import Array
from formula_neuro.request import Request
from formula_neuro.result import Fit

from .asked import arguments
from .engine import call
from .kenward_roger import Pbkrtest, kenward_roger

METHODS = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward-Roger"}


@dataclass(frozen=True)
class Refitting:
    """An R backend by its name, and the versions that ran: "lme4 1.1-31 (R 4.2.2 by rpy2)".

    `order` is the place in R of each of the design's random terms, `start` where R was asked to begin;
    `not_compared` names quantities by which this backend means something else than others, with the reason.
    """

    by_formula: ClassVar[bool] = True  # refits read the formula and the data, not the columns of a changed design
    backend: str
    version: str
    order: tuple[int, ...] = ()
    start: Mapping[str, Any] = field(default_factory=dict)
    not_compared: Mapping[str, str] = field(default_factory=dict)

    def refit(self, request: Request) -> Fit:
        """Fit another request (a new response, another estimator) by the same R function."""
        from . import fits, geepack

        targets = {
            "r-lm": fits.lm,
            "r-glm": fits.glm,
            "brglm2": fits.brglm2,
            "lme4": fits.lme4,
            "lmerTest": fits.lmertest,
            "nlme": fits.nlme,
            "glmmTMB": fits.glmmtmb,
            "geepack": geepack.fit,
        }
        return targets[self.backend](request)

    def emmeans(
        self,
        fit: Fit,
        specs: Sequence[str],
        contrast: str | Mapping[str, Sequence[float]] | None = None,
        *,
        adjust: str | None = None,
        type: str = "link",
        by: Sequence[str] = (),
        at: Mapping[str, Any] | None = None,
        df: str | None = None,
        conf_level: float = 0.95,
    ) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Means and contrasts by R's own emmeans, with R's column names; arguments as fn.emmeans's."""
        from .marginal import emmeans

        return emmeans(
            fit, self.backend, specs, contrast, adjust=adjust, type=type, by=by, at=at, df=df, conf_level=conf_level
        )


@dataclass(frozen=True)
class Iterating(Refitting):
    """A fit of glm, which can be asked to start at given estimates and to go on where it would stop."""

    def closely(self, fit: Fit) -> Fit:
        """The same model from another fit's coefficients on, started again a dozen times where it ended."""
        from . import fits

        return fits.glm(fit.request, rounds=12, start=fit.beta)


@dataclass(frozen=True)
class GoingOn(Refitting):
    """A fit of lme4, which can be asked to start at given estimates."""

    def closely(self, fit: Fit) -> Fit:
        """A mixed model from another fit's estimates on, with steps in its own units and exact inner iterations.

        Standard errors of a GLMM come from differences in those units too, where glmer takes steps of 1e-4.
        """
        from . import fits

        return fits.closely(self.backend, fit, self.order)


@dataclass(frozen=True)
class Containing(Refitting):
    """A fit of nlme's lme, with its degrees of freedom by containment (Pinheiro and Bates 2000, 2.4.2)."""

    default_df: ClassVar[str] = "containment"

    def df(self, fit: Fit, L: Array, method: str = "containment") -> Array:
        """Of each row of L (q, p) the smallest number among the coefficients that it holds."""
        if method != "containment":
            raise ValueError(f"df={method!r} is not known to lme; there is containment")
        value = call("fit_nlme", {**arguments(fit.request), **self.start, "freedom": True}).value
        known = dict(zip(value["names"], value["df"], strict=True))
        each = np.array([known.get(name, np.nan) for name in fit.names])
        rows = np.atleast_2d(np.asarray(L, dtype=np.float64))
        df: Array = np.array([each[row != 0].min(initial=np.inf) for row in rows])
        return df


@dataclass(frozen=True)
class Testing(GoingOn):
    """A fit of lmerTest, which has degrees of freedom."""

    def df(self, fit: Fit, L: Array, method: str = "satterthwaite") -> Array:
        """Degrees of freedom of each row of L (q, p), "satterthwaite" or "kenward-roger" (pbkrtest)."""
        if method not in METHODS:
            raise ValueError(f"df={method!r} is not known to lmerTest; there are {', '.join(METHODS)}")
        rows = np.atleast_2d(np.asarray(L, dtype=np.float64))
        asked = {"method": METHODS[method], "rows_of": rows, "columns_of": fit.names}
        df: Array = call("degrees", {**arguments(fit.request), **self.start, **asked}).value["df"]
        return df

    def kenward_roger(self, fit: Fit) -> Pbkrtest:
        """The adjusted covariance of the coefficients, and the tests that go with it, by pbkrtest."""
        return kenward_roger(fit, self.start)

    def anova(self, fit: Fit, df: str = "satterthwaite") -> pd.DataFrame:
        """lmerTest's own anova of type III: term, df, df_resid, sum_sq, mean_sq, statistic, p_value."""
        value = call("anova_of_terms", {**arguments(fit.request), **self.start, "method": METHODS[df]}).value
        return pd.DataFrame({name: list(column) for name, column in value.items()})
