"""The finished value of every fit on a table, and the questions that it answers.

A Fit is complete and frozen. Its arrays follow the design's columns; the verbs below hand back pandas
tables indexed by R's coefficient names. What needs more than the stored numbers (refits, degrees of
freedom) goes through `engine`, the abilities of the backend that made the fit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .estimator import BIAS_REDUCED
from .family import Array, Family
from .inflation import ZeroInflation
from .other_names import OtherNames
from .request import Request

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .comparing.agreement import Agreement
    from .display.shown import Summary


@dataclass(frozen=True, eq=False)
class RandomEffect:
    """One random term after the fit: K columns for each of L levels of a grouping factor."""

    group: str
    columns: tuple[str, ...]  # K
    levels: tuple[str, ...]  # L
    covariance: Array  # (K, K) of the effects, on the response's (link's) scale
    modes: Array  # (L, K) conditional modes
    mode_covariance: Array  # (L, K, K) their conditional covariances, those of lme4's condVar


@dataclass(frozen=True, eq=False)
class Fit(OtherNames):
    """A fitted model: numbers as attributes, tables and pictures as verbs.

    `coef`, `se`, `vcov` are pandas values indexed by R's coefficient names; aliased coefficients stay,
    as NaN. `deviance` is R's deviance(): the residual sum of squares of an LM, -2 log-likelihood (the REML
    criterion) of an LMM, and the conditional deviance at the modes of a GLMM. `criterion` is what was
    minimised: -2 log-likelihood, the REML criterion, or -2 penalised log-likelihood (Jeffreys; NaN for adjusted
    scores that are no derivative of anything).
    """

    request: Request
    backend: str
    beta: Array  # (p,)
    covariance: Array  # (p, p)
    loglik: float
    deviance: float
    criterion: float
    n_parameters: int
    df_resid: float
    sigma: float  # residual standard deviation; 1 where the family has no dispersion
    eta: Array  # (n,) linear predictor with offset and random effects
    converged: bool
    messages: tuple[str, ...] = ()
    seconds: float = float("nan")
    random: tuple[RandomEffect, ...] = ()
    theta: Array = field(default_factory=lambda: np.empty(0))  # relative covariance factors, as lme4's
    iterations: int = 0
    engine: Any = None
    # of maximum likelihood on these data, whatever the estimator: the infinite coefficients with their signs (0:
    # nothing determines it), and the kind: "overlap", "quasi-complete", "complete", "all 0", "all 1", "" not looked for
    separated: Mapping[str, float] = field(default_factory=dict)
    separation: str = ""
    null_deviance: float = float("nan")  # of the intercept (and offset) alone
    # what describes residuals beside sigma, by name: a GEE's correlations, a residual structure's phi and sd ratios
    residual: Mapping[str, float] = field(default_factory=dict)
    inflation: ZeroInflation | None = None  # estimates of the probability of zeros that are none of the family's

    _within = frozenset(
        "beta covariance criterion engine eta infinite inflation iterations n_parameters names null_deviance random "
        "residual residual_weights theta zero_probability".split()
    )

    # ---- numbers ---------------------------------------------------------------------------------
    @property
    def names(self) -> tuple[str, ...]:
        """R's names of the coefficients, in the order of the columns of the design, (p,)."""
        return self.request.design.names

    @property
    def coef(self) -> pd.Series:
        """The coefficients, on the link's scale, (p,); NaN for aliased columns. R's coef(), lme4's fixef().

        >>> import formula_neuro as fn
        >>> fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [3.0, 5, 7, 9]}).coef.round(6).to_dict()
        {'(Intercept)': 1.0, 'x': 2.0}
        """
        return pd.Series(self.beta, index=list(self.names), name="estimate")

    @property
    def vcov(self) -> pd.DataFrame:
        """The covariance of the coefficients' estimates, (p, p); NaN for aliased ones.

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> m.vcov.round(3).values.tolist()
        [[2.025, -0.675], [-0.675, 0.27]]
        """
        return pd.DataFrame(self.covariance, index=list(self.names), columns=list(self.names))

    @property
    def se(self) -> pd.Series:
        """The standard errors of the coefficients, (p,): roots of the diagonal of `vcov`.

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> m.se.round(3).to_dict()
        {'(Intercept)': 1.423, 'x': 0.52}
        """
        with np.errstate(invalid="ignore"):  # R sometimes finds a negative dispersion: NaN
            return pd.Series(np.sqrt(np.diag(self.covariance)), index=list(self.names), name="std_error")

    @property
    def nobs(self) -> int:
        """Rows used; linear models do not count rows of zero weight, as R's lm."""
        return int((self.request.weights > 0).sum()) if self.request.model in ("lm", "lmm") else len(self.request.y)

    @property
    def family(self) -> Family:
        """The family with what was estimated of it: theta of the negative binomial."""
        return self.request.family

    @property
    def dispersion(self) -> float:
        """sigma squared: R's summary(glm)$dispersion; 1 for binomial and poisson."""
        return self.sigma**2

    @property
    def aic(self) -> float:
        """-2 log-likelihood + 2 parameters, variances and dispersions counted; of the REML likelihood for REML fits.

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> round(m.aic, 2), round(m.bic, 2), m.nobs
        (15.78, 13.94, 4)
        """
        return -2 * self.loglik + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """With log(nobs), as lme4; nlme uses log(nobs - p) under REML."""
        return float(-2 * self.loglik + np.log(self.nobs) * self.n_parameters)

    @property
    def fitted(self) -> pd.Series:
        """Fitted means of the rows used, indexed by the data's own row labels; with zero inflation (1 - p) mu.

        >>> import formula_neuro as fn
        >>> fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]}).fitted.round(1).tolist()
        [1.1, 2.2, 3.3, 4.4]
        """
        mu = self.request.family.link.inverse(self.eta) * (1 - self.zero_probability)
        return pd.Series(mu, index=self.request.design.index, name="fitted")

    @property
    def zero_probability(self) -> Array:
        """p (n,): the probability that a row is 0 for another reason than the family's; 0 without zero inflation."""
        zeros, design = self.inflation, self.request.inflation
        return np.zeros(len(self.eta)) if zeros is None or design is None else zeros.probability(design)

    @property
    def residual_weights(self) -> Array:
        """What sigma squared is divided by for each row's residual variance, (n,): prior weights, and varIdent's."""
        own = getattr(self.engine, "residual_weights", None)
        return self.request.weights if own is None else np.asarray(own)

    @property
    def aliased(self) -> tuple[str, ...]:
        """Columns that are linear combinations of earlier ones; their coefficients are NaN.

        >>> import formula_neuro as fn
        >>> fn.fit("y ~ x + z", {"x": [1.0, 2, 3, 4], "z": [2.0, 4, 6, 8], "y": [1.0, 3, 2, 5]}).aliased
        ('z',)
        """
        return tuple(name for name, b in zip(self.names, self.beta, strict=True) if np.isnan(b))

    @property
    def infinite(self) -> Mapping[str, float]:
        """The coefficients of this estimate that separation makes infinite, with their signs (0: undetermined).

        Bias-reduced estimates, and those with a prior, are finite where those of maximum likelihood, which `separated`
        names, are not.
        """
        finite = self.request.estimator.word in BIAS_REDUCED or getattr(self.request.estimator, "prior", None)
        return {} if finite else self.separated

    # ---- tables ----------------------------------------------------------------------------------
    def tidy(
        self,
        df: str | None = None,
        *,
        vcov: Any = None,
        conf_level: float = 0.95,
        exponentiate: bool = False,
        test: str = "wald",
    ) -> pd.DataFrame:
        """One row a coefficient: term, estimate, std_error, statistic, df, p_value, conf_low, conf_high.

        `vcov` is "HC0" to "HC3", {"cluster": "mouseID"} or a matrix: robust standard errors. `test` is "wald", "lr"
        (likelihood ratio) or "score"; see inference.coefficients.tidy.

        >>> import formula_neuro as fn
        >>> m = fn.fit("lick ~ dff", fn.datasets.waterlick(), family="binomial")
        >>> m.tidy(exponentiate=True)[["term", "estimate", "conf_low"]].round(2).values.tolist()
        [['(Intercept)', 0.53, 0.41], ['dff', 1.07, 1.03]]
        """
        from .inference.coefficients import tidy

        return tidy(self, df=df, vcov=vcov, conf_level=conf_level, exponentiate=exponentiate, test=test)

    def glance(self) -> pd.DataFrame:
        """One row on the whole fit: nobs, sigma, loglik, aic, bic, deviance, df_resid, converged, ...

        >>> import formula_neuro as fn
        >>> m = fn.fit("lick ~ dff", fn.datasets.waterlick(), family="binomial")
        >>> m.glance()[["nobs", "aic", "df_resid"]].round(1).values.tolist()
        [[512.0, 688.3, 510.0]]
        """
        from .inference.coefficients import glance

        return glance(self)

    def shape_parameter(self, *, conf_level: float = 0.95) -> pd.DataFrame:
        """theta of nbinom2, phi of nbinom1, beta and betabinomial: term, estimate, std_error, conf_low, conf_high.

        >>> import formula_neuro as fn
        >>> data = {"cells": [0, 2, 9, 4, 1, 5, 12, 0, 6, 4, 3, 17], "mouse": list("aaabbbcccddd")}
        >>> fn.fit("cells ~ 1 + (1|mouse)", data, family="nbinom2").shape_parameter().round(1).values.tolist()
        [['theta', 1.2, 0.7, 0.4, 3.5]]
        """
        from .inference.shape_parameter import shape_parameter

        return shape_parameter(self, conf_level)

    def zero_inflation(self, *, conf_level: float = 0.95, exponentiate: bool = False) -> pd.DataFrame:
        """The coefficients of the zero-inflation model on the logit scale, with the columns of tidy().

        m.predict(type="zprob") has the probabilities. Raises Unable without fn.Laplace(zero_inflation=...).

        >>> import formula_neuro as fn
        >>> data = {"cells": [0, 0, 3, 4, 0, 5, 2, 0, 6, 4, 0, 7, 5, 3, 0, 6], "mouse": list("aaaabbbbccccdddd")}
        >>> m = fn.fit("cells ~ 1 + (1|mouse)", data, family="poisson", estimator=fn.Laplace(zero_inflation="~ 1"))
        >>> m.zero_inflation()[["term", "estimate"]].round(1).values.tolist()
        [['(Intercept)', -0.5]]
        """
        from .inference.zero_inflation import zero_inflation

        return zero_inflation(self, conf_level, exponentiate)

    def varcorr(self) -> pd.DataFrame:
        """Variances and covariances of the random effects, as lme4's as.data.frame(VarCorr(m)).

        Columns: group, term, term2 (None for a variance), covariance, sd_or_correlation; the residual last.

        >>> import formula_neuro as fn
        >>> m = fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick())
        >>> m.varcorr()[["group", "sd_or_correlation"]].round(2).values.tolist()
        [['mouseID', 1.66], ['Residual', 4.68]]
        """
        from .inference.random import varcorr

        return varcorr(self)

    def ranef(self, sd: str = "conditional") -> pd.DataFrame:
        """Conditional modes of the random effects: group, level, term, estimate, sd.

        `sd` is "conditional" (given the coefficients, as lme4's condVar) or "prediction" (with their uncertainty).

        >>> import formula_neuro as fn
        >>> m = fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick())
        >>> m.ranef().head(2)[["level", "term", "estimate", "sd"]].round(1).values.tolist()
        [['1', '(Intercept)', 1.7, 0.6], ['2', '(Intercept)', -1.2, 0.5]]
        """
        from .inference.random import ranef

        return ranef(self, sd)

    def augment(self, newdata: Any = None) -> pd.DataFrame:
        """The rows used (or new ones) with fitted, residual, hat, sigma, cooks_distance, std_residual, se_fit.

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> m.augment()[["y", "fitted", "hat"]].round(1).head(2).values.tolist()
        [[1.0, 1.1, 0.7], [3.0, 2.2, 0.3]]
        """
        from .inference.prediction.augmented import augment

        return augment(self, newdata)

    def influence(self, exact: bool = False, groups: Any = None) -> pd.DataFrame:
        """What leaving out each row would change: hat, cooks_distance, dffits, dfbeta_..., as R's influence.measures.

        With `groups` ("mouseID") each cluster is left out instead, of any model: rows, cooks_distance, dfbeta_...,
        dfbetas_..., and words on which cluster moves what. `exact` refits a GLM, or a model without each cluster,
        instead of one step at the variances of the fit; see inference.influence and inference.cluster_influence.

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> m.influence()["cooks_distance"].round(2).tolist()
        [0.03, 0.15, 0.38, 1.04]
        """
        if groups is not None:
            from .inference.rows.cluster_influence import cluster_influence

            return cluster_influence(self, groups, exact)
        from .inference.rows.influence import influence

        return influence(self, exact)

    def predict(
        self,
        newdata: Any = None,
        *,
        type: str = "response",
        random: bool | str = True,
        new_levels: str = "error",
        se: bool = False,
        interval: str | None = None,
        conf_level: float = 0.95,
        df: str | None = None,
        vcov: Any = None,
        weights: Any = None,
    ) -> Any:
        """Predictions for the rows used or for new data: "response" (means), "link" or "terms"; a Series.

        Of zero-inflated models "response" is (1 - p) mu, "conditional" mu, "zprob" p and "zlink" its logit.
        `se=True` or `interval="confidence"` (or "prediction", of a linear model's new response) gives a DataFrame with
        fitted, std_error, conf_low, conf_high. `random=False` leaves the random effects out (the population), a formula
        as "~ (1 | mouse)" takes some in. A level of a grouping factor that the fit has not seen is an error, or with
        `new_levels="zero"` a random effect of zero.
        See inference.prediction.predict for the rest.

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> m.predict({"x": [5.0]}, interval="prediction").round(2).to_dict("list")
        {'fitted': [5.5], 'std_error': [1.42], 'conf_low': [-2.4], 'conf_high': [13.4]}
        """
        from .inference.prediction.means import predict

        return predict(
            self,
            newdata,
            type=type,
            random=random,
            new_levels=new_levels,
            se=se,
            interval=interval,
            conf_level=conf_level,
            df=df,
            vcov=vcov,
            weights=weights,
        )

    def simulate(
        self, n: int = 1, seed: int | np.random.Generator | None = None, *, random: bool = False
    ) -> pd.DataFrame:
        """New responses from the fitted model, (rows used, n), with new random effects each time.

        `random=True` takes the random effects as estimated.

        >>> import formula_neuro as fn
        >>> fn.fit("lick ~ dff", fn.datasets.waterlick(), family="binomial").simulate(3, seed=1).shape
        (512, 3)
        """
        from .inference.prediction.simulation import simulate

        return simulate(self, n, seed, random)

    def residuals(
        self, type: str | None = None, seed: int | np.random.Generator | None = None, *, random: bool = False
    ) -> Any:
        """Residuals, a Series: "response", "pearson", "deviance", "working", "standardized", "studentized", "quantile".

        R's default for the model; "partial" is a DataFrame, a column a term; `seed` and `random` belong to "quantile":
        of a mixed model it is over new random effects, with `random=True` given those estimated.

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> m.residuals().round(2).tolist(), m.residuals("studentized").round(2).tolist()
        ([-0.1, 0.8, -1.3, 0.6], [-0.11, 0.72, -2.91, 0.89])
        """
        from .inference.prediction.residual_types import residuals

        return residuals(self, type, seed, random)

    # ---- words and pictures ----------------------------------------------------------------------
    def summary(self) -> Summary:
        """What R's summary() prints, in R's order and words.

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> print(m.summary())
        Call:
        lm(formula = y ~ x)
        ...
        Residual standard error: 1.162 on 2 degrees of freedom
        ...
        """
        from .display.shown import Summary
        from .display.summary import summary

        return Summary(summary(self))

    def plot(self, which: str | None = None) -> Figure:
        """Effect, coefficients, residuals, quantiles, influence and random effects in one figure, or one kind of them.

        `which` is "effects", "coefficients", "residuals", "qq", "calibration", "influence" or "random".

        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> m.plot("residuals").savefig("residuals.png")  # doctest: +SKIP
        >>> [axes.get_xlabel() for axes in m.plot("effects").axes]
        ['x']
        """
        from .display.plot import plot

        return plot(self, which)

    def report(self, path: str | os.PathLike[str], *, crosscheck: Agreement | None = None) -> str:
        """Write one self-contained HTML page (no request leaves it); returns the path written.

        `crosscheck`, the answer of fn.crosscheck(fit), adds R's verdict to the page.

        >>> import pathlib, tempfile
        >>> import formula_neuro as fn
        >>> m = fn.fit("y ~ x", {"x": [1.0, 2, 3, 4], "y": [1.0, 3, 2, 5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = pathlib.Path(m.report(f"{folder}/fit.html")).read_text(encoding="utf-8")
        >>> page.count("<img"), page.count("<table") > 0, "https://" in page
        (5, True, False)
        """
        from .display.report import report

        return report(self, path, crosscheck=crosscheck)

    def __repr__(self) -> str:
        from .display.summary import short

        return short(self)
