"""Families with a shape phi beside the mean, by glmmTMB's names and meaning: nbinom1, beta, betabinomial.

phi is estimated with the coefficients: NaN before, with its standard error after (Brooks et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from .base import Family, refuse
from .discrete import Binomial, Poisson, drawable
from .links import Array

GOLDEN = (np.sqrt(5) - 1) / 2
HALVINGS = 45  # of a golden section: 0.618^45 is 4e-10, and the peak is flat


@dataclass(frozen=True)
class NBinom1(Poisson):
    """Counts whose variance is mu (1 + phi); phi = 0 is the Poisson distribution."""

    phi: float = field(default=float("nan"), compare=False)
    phi_se: float = field(default=float("nan"), compare=False)

    name = "nbinom1"
    links = ("log", "identity", "sqrt")

    @property
    def shape(self) -> tuple[str, float, float] | None:
        return "phi", self.phi, self.phi_se

    def variance(self, mu: Array) -> Array:
        return mu * (1 + self.phi)

    def variance_slope(self, mu: Array) -> Array:
        return np.full_like(mu, 1 + self.phi)

    def rows(self, y: Array, mu: Array) -> Array:
        """Each row's log-likelihood, a negative binomial of size mu / phi."""
        if self.phi == 0:
            return np.asarray(special.xlogy(y, mu) - mu - special.gammaln(y + 1))
        size = mu / self.phi
        ways = -special.betaln(size, y + 1) - np.log(size + y)
        return np.asarray(ways - size * np.log1p(self.phi) - special.xlogy(y, 1 + 1 / self.phi))

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        return float((w * self.rows(y, mu)).sum())

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        if self.phi == 0:
            return super().deviance(y, mu, w)
        some = y > 0  # a count of 0 is likeliest at mean 0, with probability 1
        best = _highest(lambda m: self.rows(y, m), np.full_like(mu, 1e-12), np.maximum(2 * y, 1.0))
        return 2 * w * np.where(some, np.maximum(best - self.rows(y, mu), 0.0), -self.rows(y, mu))

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        if self.phi == 0:
            return super().draw(mu, w, dispersion, rng)
        return rng.negative_binomial(drawable(mu) / self.phi, 1 / (1 + self.phi)).astype(float)

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        if self.phi == 0:
            return super().cdf(y, mu, w, dispersion)
        k, size, share = np.maximum(y, 0.0) + 1, mu / self.phi, 1 / (1 + self.phi)
        below, above = special.betainc(size, k, share), special.betaincc(size, k, share)
        return np.where(y < 0, 0.0, below), np.where(y < 0, 1.0, above)


@dataclass(frozen=True)
class Beta(Family):
    """Shares strictly between 0 and 1 whose variance is mu (1 - mu) / (1 + phi)."""

    phi: float = field(default=float("nan"), compare=False)
    phi_se: float = field(default=float("nan"), compare=False)

    name = "beta"
    links = ("logit", "probit", "cloglog", "cauchit")

    @property
    def shape(self) -> tuple[str, float, float] | None:
        return "phi", self.phi, self.phi_se

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def variance(self, mu: Array) -> Array:
        return mu * (1 - mu) / (1 + self.phi)

    def variance_slope(self, mu: Array) -> Array:
        return (1 - 2 * mu) / (1 + self.phi)

    def rows(self, y: Array, mu: Array) -> Array:
        """Each row's log density."""
        a, b = mu * self.phi, (1 - mu) * self.phi
        return np.asarray((a - 1) * np.log(y) + (b - 1) * np.log1p(-y) - special.betaln(a, b))

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        return float((w * self.rows(y, mu)).sum())

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        best = _highest(lambda m: self.rows(y, m), np.full_like(mu, 1e-12), np.full_like(mu, 1 - 1e-12))
        return 2 * w * np.maximum(best - self.rows(y, mu), 0.0)

    def start(self, y: Array, w: Array) -> Array:
        return y

    def check(self, y: Array, name: str) -> None:
        takes = "shares strictly between 0 and 1"
        refuse(y, (y <= 0) | (y >= 1), name, "do not lie between 0 and 1", self.name, takes)

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        return rng.beta(mu * self.phi, (1 - mu) * self.phi)

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        a, b = mu * self.phi, (1 - mu) * self.phi
        return np.asarray(special.betainc(a, b, y)), np.asarray(special.betaincc(a, b, y))


@dataclass(frozen=True)
class BetaBinomial(Binomial):
    """Successes of w trials whose probability is beta with mean mu and phi as in `beta`; y is the share.

    The variance of a share is mu (1 - mu) / w (1 + (w - 1) / (1 + phi)); `variance` is the binomial's, to w.
    """

    phi: float = field(default=float("nan"), compare=False)
    phi_se: float = field(default=float("nan"), compare=False)

    name = "betabinomial"
    links = ("logit", "probit", "cloglog", "cauchit", "log")

    @property
    def shape(self) -> tuple[str, float, float] | None:
        return "phi", self.phi, self.phi_se

    def rows(self, y: Array, mu: Array, trials: Array) -> Array:
        """Each row's log-likelihood."""
        if np.isinf(self.phi):
            return super().rows(y, mu, trials)
        a, b = mu * self.phi, (1 - mu) * self.phi
        successes, failures = trials * y, trials * (1 - y)
        choose = special.gammaln(trials + 1) - special.gammaln(successes + 1) - special.gammaln(failures + 1)
        return np.asarray(choose + special.betaln(successes + a, failures + b) - special.betaln(a, b))

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        if np.isinf(self.phi):
            return super().deviance(y, mu, w)
        edge = (y <= 0) | (y >= 1)  # likeliest at mean 0 or 1, with probability 1
        best = _highest(lambda m: self.rows(y, m, w), np.full_like(mu, 1e-12), np.full_like(mu, 1 - 1e-12))
        return 2 * np.maximum(np.where(edge, 0.0, best) - self.rows(y, mu, w), 0.0)

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        if np.isinf(self.phi):
            return super().draw(mu, w, dispersion, rng)
        trials = np.round(w).astype(int)
        return rng.binomial(trials, rng.beta(mu * self.phi, (1 - mu) * self.phi)) / np.maximum(trials, 1)

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        if np.isinf(self.phi):
            return super().cdf(y, mu, w, dispersion)
        from scipy.stats import betabinom

        law = betabinom(np.round(w), mu * self.phi, (1 - mu) * self.phi)
        k = np.round(w * y)
        return np.asarray(law.cdf(k)), np.asarray(law.sf(k))


def _highest(f: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """The largest value of a function with one peak between low and high, row by row (golden section)."""
    for _ in range(HALVINGS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        rising = f(left) < f(right)
        low, high = np.where(rising, left, low), np.where(rising, high, right)
    return f((low + high) / 2)
