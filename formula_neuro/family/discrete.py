"""Binomial and Poisson responses."""

from __future__ import annotations

import numpy as np
from scipy import special

from ..errors import FitError
from .base import Family, refuse
from .links import Array

LARGEST_COUNT = 9e18  # of 64-bit integers


class Binomial(Family):
    """y is the share of successes, w the number of trials."""

    name = "binomial"
    links = ("logit", "probit", "cloglog", "cauchit", "log")

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def variance(self, mu: Array) -> Array:
        return mu * (1 - mu)

    def variance_slope(self, mu: Array) -> Array:
        return 1 - 2 * mu

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        return 2 * w * (special.rel_entr(y, mu) + special.rel_entr(1 - y, 1 - mu))

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        return float(self.rows(y, mu, w).sum())

    def rows(self, y: Array, mu: Array, trials: Array) -> Array:
        """Each row's log-likelihood, successes and trials rounded to whole numbers as in R."""
        trials, successes = np.round(trials), np.round(trials * y)
        choose = special.gammaln(trials + 1) - special.gammaln(successes + 1)
        choose -= special.gammaln(trials - successes + 1)
        return np.asarray(choose + special.xlogy(successes, mu) + special.xlog1py(trials - successes, -mu))

    def start(self, y: Array, w: Array) -> Array:
        return (w * y + 0.5) / (w + 1)

    def check(self, y: Array, name: str) -> None:
        takes = "0/1, TRUE/FALSE, a two-level factor, shares with weights= as the number of trials, or "
        refuse(y, (y < 0) | (y > 1), name, "lie outside [0, 1]", self.name, takes + "cbind(successes, failures)")

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        trials = np.round(w).astype(int)
        return rng.binomial(trials, mu) / np.maximum(trials, 1)

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        trials = np.round(w)
        k = np.clip(np.round(w * y), -1, trials)
        inside = (k >= 0) & (k < trials)
        a, b = np.where(inside, trials - k, 1.0), np.where(inside, k + 1, 1.0)
        below = np.where(inside, special.betainc(a, b, 1 - mu), (k >= 0).astype(float))
        return below, np.where(inside, special.betainc(b, a, mu), (k < 0).astype(float))

    def spacing(self, w: Array) -> Array:
        return 1 / w


class Poisson(Family):
    name = "poisson"
    links = ("log", "identity", "sqrt")

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, np.inf

    def variance(self, mu: Array) -> Array:
        return mu

    def variance_slope(self, mu: Array) -> Array:
        return np.ones_like(mu)

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        return 2 * w * (special.rel_entr(y, mu) - (y - mu))

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        return float((w * (special.xlogy(y, mu) - mu - special.gammaln(y + 1))).sum())

    def start(self, y: Array, w: Array) -> Array:
        return y + 0.1

    def check(self, y: Array, name: str) -> None:
        takes = "counts 0, 1, 2, ..."
        if self.name == "poisson":
            takes += " (family='quasipoisson' takes any number that is not negative)"
        refuse(y, (y < 0) | (y != np.round(y)), name, "are negative or not whole", self.name, takes)

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        return rng.poisson(drawable(mu)).astype(float)

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        k = np.maximum(y, 0.0)
        return np.where(y < 0, 0.0, special.pdtr(k, mu)), np.where(y < 0, 1.0, special.pdtrc(k, mu))

    def spacing(self, w: Array) -> Array:
        return np.ones_like(w)


def drawable(mu: Array) -> Array:
    """Means of counts that fit into an integer; raises FitError where one does not."""
    if not (mu < LARGEST_COUNT).all():
        raise FitError(
            f"the fitted model simulates means up to {float(mu.max()):.1e}, too large for counts: its coefficients "
            "or variances are not determined by the data (look at the fit's messages)"
        )
    return mu
