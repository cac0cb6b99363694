"""How a model is estimated, as small values: `"reml"` at the user's door becomes `REML()` at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from .residual_structure import as_structures


@dataclass(frozen=True)
class Estimator:
    """One way to estimate a model; subclasses hold what belongs to that way alone."""

    @property
    def word(self) -> str:
        return _WORD_OF[type(self)]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that it needs beside those of the formula."""
        return ()


@dataclass(frozen=True, repr=False)
class _Likelihood(Estimator):
    """What ML and REML share: the structure of a linear mixed model's residuals."""

    residual: Any = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "residual", as_structures(self.residual))

    def __repr__(self) -> str:
        shown = self.residual[0] if len(self.residual) == 1 else list(self.residual)
        return f"{type(self).__name__}({f'residual={shown!r}' if self.residual else ''})"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for structure in self.residual for name in structure.columns))


@dataclass(frozen=True, repr=False)
class ML(_Likelihood):
    """Maximum likelihood; "ml" is the word for it. residual: of linear mixed models, as REML's.

    >>> import formula_neuro as fn
    >>> m = fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick(), estimator=fn.ML())
    >>> m.varcorr()["covariance"].round(2).tolist()  # smaller than REML's
    [2.38, 21.89]
    """


@dataclass(frozen=True, repr=False)
class REML(_Likelihood):
    """Restricted maximum likelihood, the default of linear mixed models; "reml" is the word for it.

    residual: VarIdent("treatment") gives each level of a column a residual standard deviation of its own, AR1("time",
    group="mouse") correlates residuals in time; a list takes both.

    >>> import formula_neuro as fn
    >>> m = fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick(), estimator=fn.REML())
    >>> m.varcorr()["covariance"].round(2).tolist()
    [2.77, 21.94]
    """


@dataclass(frozen=True)
class Normal:
    """A weak normal prior of a mixed model's coefficients, for data in which maximum likelihood has no finite answer.

    sd: of every coefficient but the intercept, on the scale of the link; intercept: of the intercept. The defaults are
    those of blme (Chung et al. 2013), made for covariates whose standard deviation is about 1.
    """

    sd: float = 2.5
    intercept: float = 10.0

    def __post_init__(self) -> None:
        for name in ("sd", "intercept"):
            given: Any = getattr(self, name)
            if not isinstance(given, Real) or given is True or not float(given) > 0:
                raise ValueError(f"Normal: {name}= is a standard deviation above 0, got {given!r}")


def _check_prior(given: Any) -> None:
    if not (given is None or isinstance(given, Normal)):
        raise ValueError(f"prior= is fn.Normal(sd=2.5) or None, got {given!r}")


@dataclass(frozen=True, repr=False)
class _Approximate(Estimator):
    """An approximation of an integral over random effects; what is None is not shown."""

    def __repr__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given if value is not None)})"


@dataclass(frozen=True, repr=False)
class Laplace(_Approximate):
    """Laplace's approximation of the likelihood, the default of generalized linear mixed models.

    weights: of the rows in the approximation's determinant: "expected" (Fisher's, lme4's choice) or "observed"
    (glmmTMB's, often nearer the integral); they differ for other than canonical links. None takes the expected ones for
    binomial, poisson and inverse.gaussian (whose observed ones give the approximation poles) and the observed ones for
    all other families; gaussian and Gamma take either, negative binomials and beta families the observed ones alone.
    Of inverse.gaussian neither is very near: with one scalar random effect AGQ(25) is, where Laplace's coefficients are
    off by some 0.3 of their standard errors (observed weights, where they have a maximum: 0.03).
    prior: a weak prior of the coefficients, as Normal(2.5); the estimate is then the posterior's mode.
    zero_inflation: a formula of fixed terms, "~ 1" or "~ dose", for the logit of the probability that a count is 0
    whatever its mean (glmmTMB's ziformula); of poisson, nbinom1, nbinom2, binomial and betabinomial responses, with
    observed weights. m.zero_inflation() has the estimates.

    >>> import formula_neuro as fn
    >>> m = fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family="binomial", estimator=fn.Laplace())
    >>> float(m.coef["dff"].round(3)), float(m.varcorr()["sd_or_correlation"][0].round(3))
    (0.062, 0.53)
    """

    weights: str | None = None
    prior: Normal | None = None
    zero_inflation: str | None = None

    def __post_init__(self) -> None:
        _check_prior(self.prior)
        if self.weights not in (None, "expected", "observed"):
            raise ValueError(f"Laplace: weights={self.weights!r} is not known; there are 'expected' and 'observed'")
        if self.zero_inflation is None:
            return
        if self.weights == "expected":
            raise ValueError("Laplace: zero inflation goes with observed weights; leave weights= out")
        from .inflation import inflation_formula

        inflation_formula(self.zero_inflation)

    @property
    def columns(self) -> tuple[str, ...]:
        if self.zero_inflation is None:
            return ()
        from .inflation import inflation_columns

        return inflation_columns(self.zero_inflation)


@dataclass(frozen=True, repr=False)
class AGQ(_Approximate):
    """Adaptive Gauss-Hermite quadrature with a number of nodes, for one scalar random effect.

    Its log-likelihood is reported on the scale of Laplace's, so that the two can be compared
    (lme4 puts it on another constant). `AGQ(1)` is Laplace's approximation.

    >>> import formula_neuro as fn
    >>> m = fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family="binomial", estimator=fn.AGQ(9))
    >>> float(m.coef["dff"].round(3))
    0.062
    """

    nodes: int = 10
    prior: Normal | None = None

    def __post_init__(self) -> None:
        _check_prior(self.prior)
        nodes: Any = self.nodes
        if not isinstance(nodes, Integral) or nodes is True or not 1 <= int(nodes) <= 100:
            raise ValueError(f"AGQ takes 1 to 100 nodes, a whole number, got {self.nodes!r}; 10 is usually plenty")


@dataclass(frozen=True)
class MeanBR(Estimator):
    """Mean bias reduction by adjusted scores (Firth 1993; Kosmidis and Firth 2009); brglm2's AS_mean.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1, 2, 3, 4], "y": [0, 0, 1, 1]}, family="binomial", estimator=fn.MeanBR())
    >>> float(m.coef["x"].round(2))  # maximum likelihood: infinite
    1.31
    """


@dataclass(frozen=True)
class MedianBR(Estimator):
    """Median bias reduction by adjusted scores (Kenne Pagui, Salvan and Sartori 2017); brglm2's AS_median.

    "median_br" is the word for it: `fn.fit(..., estimator="median_br")`.

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1, 2, 3, 4], "y": [0, 0, 1, 1]}, family="binomial", estimator=fn.MedianBR())
    >>> float(m.coef["x"].round(2))  # maximum likelihood: infinite
    2.11
    """


@dataclass(frozen=True)
class Jeffreys(Estimator):
    """Maximum of the likelihood times Jeffreys' prior to a power; brglm2's MPL_Jeffreys.

    At power 1/2 it equals mean bias reduction for the logit link; any power above 0 keeps estimates finite
    (Kosmidis and Firth 2021).

    >>> import formula_neuro as fn
    >>> m = fn.fit("y ~ x", {"x": [1, 2, 3, 4], "y": [0, 0, 1, 1]}, family="binomial", estimator="jeffreys(0.1)")
    >>> bool(m.coef["x"] > fn.refit(m, estimator=fn.Jeffreys()).coef["x"] > 0)
    True
    """

    power: float = 0.5

    def __post_init__(self) -> None:
        if not (isinstance(self.power, (int, float)) and 0 < self.power < float("inf")):
            raise ValueError(f"the power of Jeffreys' prior is a number above 0, as 0.5; got {self.power!r}")


CORRELATIONS = ("independence", "exchangeable", "ar1", "unstructured")
CORRECTIONS = ("md", "kc", "none")


@dataclass(frozen=True)
class GEE(Estimator):
    """Generalized estimating equations: the population's mean, with rows of a cluster correlated (Liang & Zeger 1986).

    cluster: the column of the clusters; their rows may stand anywhere in the data.
    corr: the working correlation within a cluster: "independence", "exchangeable", "ar1" or "unstructured". A wrong one
    costs precision, not validity.
    order: the column of times, whole numbers or an ordered factor, for "ar1" (whose correlation falls with their
    distance) and "unstructured"; without it rows are taken in the data's order.
    bias: the correction of the sandwich for few clusters: "md" (Mancl & DeRouen 2001), "kc" (Kauermann & Carroll 2001),
    "none" (geepack's standard errors, too small with few clusters).
    denominators: of dispersion and correlations: "n", geepack's numbers of rows and pairs (or sums of weights), or
    "n-p", less the number of coefficients.

    >>> GEE(cluster="mouseID", corr="AR1", order="trial").corr
    'ar1'
    """

    cluster: str
    corr: str = "exchangeable"
    order: str | None = None
    bias: str = "md"
    denominators: str = "n"

    def __post_init__(self) -> None:
        for field, known in (("corr", CORRELATIONS), ("bias", CORRECTIONS), ("denominators", ("n", "n-p"))):
            given = getattr(self, field)
            word = given.lower() if isinstance(given, str) else given
            if word not in known:
                raise ValueError(f"GEE: {field}={given!r} is not known; there are {', '.join(known)}")
            object.__setattr__(self, field, word)
        for field in ("cluster", "order"):
            name = getattr(self, field)
            if not isinstance(name, str) and not (field == "order" and name is None):
                raise ValueError(f"GEE: {field}= is the name of a column, as {field}='mouseID'; got {name!r}")
        if self.order is not None and self.corr in ("independence", "exchangeable"):
            raise ValueError(f"GEE: order= does nothing with corr={self.corr!r}; leave it out, or take corr='ar1'")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.cluster,) if self.order is None else (self.cluster, self.order)


METHODS = ("laplace", "gibbs")


@dataclass(frozen=True, repr=False)
class Spatial(_Approximate):
    """Probit models of masks whose coefficients vary smoothly over voxels, a Bayesian model ("spatial" is the word).

    The prior is the multivariate CAR prior of Ge et al. (2014): differences of the coefficients between voxels that
    share a face are normal with precision Q, and Q is Wishart(prior_df, I) for covariates that are standardised inside
    (as its scale I is not free of theirs); maps are on the scale of the data. No coefficient is centred: the prior is
    flat in the level of every coefficient, so that it takes the place of Ge's fixed effects. There is no global term of
    white matter, which the authors' program adds by itself.
    Maps: "coef" is the posterior mean, "se" the posterior standard deviation, "z" their ratio.

    method: "laplace" (a normal approximation around the mode with a correction for skewness, Q by EM: the same numbers
        at every call), or "gibbs" (sampling, exact but for Monte Carlo error; where events are rarer than some per cent
        chains need tens of thousands of sweeps, and say where they have not met).
    draws: laplace: draws for the covariances (default 32); gibbs: sweeps kept of every chain (1000).
    chains, burn_in, thin: of gibbs: chains (4), sweeps left out first (1000), and of how many one is kept (1).
    prior_df: P + 1 by default, the smallest whole number with a proper prior (the authors' GPU program has 20, their
        CPU program V + P - c, their paper 0).

    >>> Spatial(draws=64)
    Spatial(method='laplace', draws=64)
    """

    method: str = "laplace"
    draws: int | None = None
    chains: int | None = None
    burn_in: int | None = None
    thin: int | None = None
    prior_df: float | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"Spatial: method={self.method!r} is not known; there are {', '.join(METHODS)}")
        for name, least in (("draws", 4), ("chains", 1), ("burn_in", 0), ("thin", 1)):
            given = getattr(self, name)
            if given is None:
                continue
            if self.method == "laplace" and name != "draws":
                raise ValueError(f"Spatial: {name}= belongs to method='gibbs'; leave it out, or take that method")
            if not isinstance(given, int) or given < least:
                raise ValueError(f"Spatial: {name}= is a whole number, {least} or more; got {given!r}")
        if self.prior_df is not None and not self.prior_df > 0:
            raise ValueError(f"Spatial: prior_df= is a number above 0; got {self.prior_df!r}")


_WORDS: dict[str, type[Estimator]] = {
    "ml": ML, "reml": REML, "laplace": Laplace, "agq": AGQ,
    "mean_br": MeanBR, "median_br": MedianBR, "jeffreys": Jeffreys, "spatial": Spatial,
}  # fmt: skip
BIAS_REDUCED = ("mean_br", "median_br", "jeffreys")  # finite where maximum likelihood is not
_PATTERN = r"\s*(\w+)\s*(?:\(\s*(\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)\s*\))?\s*"
_WORD_OF = {**{cls: word for word, cls in _WORDS.items()}, GEE: "gee"}
DEFAULTS: dict[str, type[Estimator]] = {"lm": ML, "glm": ML, "lmm": REML, "glmm": Laplace}


def as_estimator(given: str | Estimator | None, model: str = "") -> Estimator:
    """The estimator that a word, a value or None (the model's default) stands for.

    >>> as_estimator("AGQ(7)"), as_estimator("jeffreys(0.3)"), as_estimator(None, "lmm")
    (AGQ(nodes=7), Jeffreys(power=0.3), REML())
    >>> as_estimator("gee(mouseID, ar1, trial)")
    GEE(cluster='mouseID', corr='ar1', order='trial', bias='md', denominators='n')
    """
    if given is None:
        return DEFAULTS[model]()
    if isinstance(given, Estimator):
        return given
    match = re.fullmatch(_PATTERN, given) if isinstance(given, str) else None
    cls = _WORDS.get(match[1].lower()) if match else None
    if match is not None and cls is not None and match[2] is None:
        return cls()
    if match is not None and cls is AGQ and match[2].isdecimal():
        return AGQ(int(match[2]))
    if match is not None and cls is Jeffreys:
        return Jeffreys(float(match[2]))
    of_clusters = re.fullmatch(r"\s*gee\s*\((.*)\)\s*", given, re.IGNORECASE) if isinstance(given, str) else None
    if of_clusters is not None and 1 <= len(parts := [part.strip() for part in of_clusters[1].split(",")]) <= 3:
        return GEE(*parts)
    raise ValueError(
        f"estimator={given!r} is not known; there are {', '.join(_WORDS)}, AGQ(nodes), jeffreys(power) and "
        "gee(cluster, corr, order)"
    )
