"""Approximations of the integral over the random effects of a generalized linear mixed model."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from .base import Approximate


@dataclass(frozen=True)
class Normal:
    """A weak normal prior of a mixed model's coefficients, for data in which maximum likelihood has no finite answer.

    sd: of every coefficient but the intercept, on the scale of the link; intercept: of the intercept. The defaults are
    those of blme (Chung et al. 2013), made for covariates whose standard deviation is about 1.

    >>> Laplace(prior=Normal(sd=5)).prior
    Normal(sd=5, intercept=10.0)
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
class Laplace(Approximate):
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

    word = "laplace"

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
        from ..inflation import inflation_formula

        inflation_formula(self.zero_inflation)

    @property
    def columns(self) -> tuple[str, ...]:
        if self.zero_inflation is None:
            return ()
        from ..inflation import inflation_columns

        return inflation_columns(self.zero_inflation)


@dataclass(frozen=True, repr=False)
class AGQ(Approximate):
    """Adaptive Gauss-Hermite quadrature with a number of nodes, for one scalar random effect.

    Its log-likelihood is reported on the scale of Laplace's, so that the two can be compared
    (lme4 puts it on another constant). `AGQ(1)` is Laplace's approximation.

    >>> import formula_neuro as fn
    >>> m = fn.fit("lick ~ dff + (1|mouseID)", fn.datasets.waterlick(), family="binomial", estimator=fn.AGQ(9))
    >>> float(m.coef["dff"].round(3))
    0.062
    """

    word = "agq"

    nodes: int = 10
    prior: Normal | None = None

    def __post_init__(self) -> None:
        _check_prior(self.prior)
        nodes: Any = self.nodes
        if not isinstance(nodes, Integral) or nodes is True or not 1 <= int(nodes) <= 100:
            raise ValueError(f"AGQ takes 1 to 100 nodes, a whole number, got {self.nodes!r}; 10 is usually plenty")
