"""Families as R names them: `binomial(probit)`, `poisson`, `Gamma(log)`.

A Family adds to its link the variance function, the deviance, the likelihood and the rules of its response.
All functions take and return float64 arrays.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import special

from .errors import DataError, FitError
from .links import LINKS, Link
from .links import Array as Array  # the rest of the package takes its array type from here

LARGEST_COUNT = 9e18  # of 64-bit integers


@dataclass(frozen=True)
class Family(ABC):
    """A distribution of the response with its link; w are prior weights (trials, for binomial)."""

    link: Link

    name: ClassVar[str]
    links: ClassVar[tuple[str, ...]]  # allowed, the default first
    dispersed: ClassVar[bool] = False  # has a dispersion parameter to estimate

    def __str__(self) -> str:
        return f"{self.name}({self.link.name})"

    @abstractmethod
    def variance(self, mu: Array) -> Array:
        """V(mu)."""

    @abstractmethod
    def variance_slope(self, mu: Array) -> Array:
        """dV / d mu."""

    @abstractmethod
    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        """Each row's share of the deviance: 2 w (log f(y; y) - log f(y; mu)) at dispersion 1."""

    @abstractmethod
    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        """The log-likelihood of all rows, with R's constants."""

    @abstractmethod
    def start(self, y: Array, w: Array) -> Array:
        """Means to start from, inside the range of the link (R's mustart)."""

    @abstractmethod
    def check(self, y: Array, name: str) -> None:
        """Raise DataError when a response lies outside the family's range."""

    @abstractmethod
    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        """One simulated response per row."""


class Gaussian(Family):
    name = "gaussian"
    links = ("identity", "log", "inverse")
    dispersed = True

    def variance(self, mu: Array) -> Array:
        return np.ones_like(mu)

    def variance_slope(self, mu: Array) -> Array:
        return np.zeros_like(mu)

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        return w * (y - mu) ** 2

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        kept = w > 0  # rows of zero weight take no part, as in R
        terms = np.log(w[kept]) - np.log(2 * np.pi * dispersion) - w[kept] * (y - mu)[kept] ** 2 / dispersion
        return float(terms.sum() / 2)

    def start(self, y: Array, w: Array) -> Array:
        return y

    def check(self, y: Array, name: str) -> None:
        """Any number will do."""

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        with np.errstate(divide="ignore"):
            return mu + rng.standard_normal(mu.shape) * np.sqrt(dispersion / w)


class Binomial(Family):
    """y is the share of successes, w the number of trials."""

    name = "binomial"
    links = ("logit", "probit", "cloglog", "cauchit", "log")

    def variance(self, mu: Array) -> Array:
        return mu * (1 - mu)

    def variance_slope(self, mu: Array) -> Array:
        return 1 - 2 * mu

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        return 2 * w * (special.xlogy(y, y / mu) + special.xlogy(1 - y, (1 - y) / (1 - mu)))

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        trials, successes = np.round(w), np.round(w * y)
        choose = special.gammaln(trials + 1) - special.gammaln(successes + 1)
        choose -= special.gammaln(trials - successes + 1)
        terms = choose + special.xlogy(successes, mu) + special.xlog1py(trials - successes, -mu)
        return float(terms.sum())

    def start(self, y: Array, w: Array) -> Array:
        return (w * y + 0.5) / (w + 1)

    def check(self, y: Array, name: str) -> None:
        bad = (y < 0) | (y > 1)
        if bad.any():
            raise DataError(
                f"{name}: {int(bad.sum())} of {len(y)} values lie outside [0, 1] (first: {float(y[bad][0]):g}), "
                "but family='binomial' takes 0/1, TRUE/FALSE, a two-level factor, shares with weights= as the "
                "number of trials, or cbind(successes, failures)"
            )

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        trials = np.round(w).astype(int)
        return rng.binomial(trials, mu) / np.maximum(trials, 1)


class Poisson(Family):
    name = "poisson"
    links = ("log", "identity", "sqrt")

    def variance(self, mu: Array) -> Array:
        return mu

    def variance_slope(self, mu: Array) -> Array:
        return np.ones_like(mu)

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        return 2 * w * (special.xlogy(y, y / mu) - (y - mu))

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        return float((w * (special.xlogy(y, mu) - mu - special.gammaln(y + 1))).sum())

    def start(self, y: Array, w: Array) -> Array:
        return y + 0.1

    def check(self, y: Array, name: str) -> None:
        bad = (y < 0) | (y != np.round(y))
        if bad.any():
            raise DataError(
                f"{name}: {int(bad.sum())} of {len(y)} values are negative or not whole "
                f"(first: {float(y[bad][0]):g}), but family='poisson' takes counts 0, 1, 2, ..."
            )

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        if not (mu < LARGEST_COUNT).all():
            raise FitError(
                f"the fitted model simulates means up to {float(mu.max()):.1e}, too large for counts: its coefficients "
                "or variances are not determined by the data (look at the fit's messages)"
            )
        return rng.poisson(mu).astype(float)


class _Positive(Family):
    """Responses above zero."""

    dispersed = True

    def start(self, y: Array, w: Array) -> Array:
        return y

    def check(self, y: Array, name: str) -> None:
        bad = y <= 0
        if bad.any():
            raise DataError(
                f"{name}: {int(bad.sum())} of {len(y)} values are not above 0 (first: {float(y[bad][0]):g}), "
                f"but family={self.name!r} takes positive numbers only"
            )


class Gamma(_Positive):
    name = "Gamma"
    links = ("inverse", "identity", "log")

    def variance(self, mu: Array) -> Array:
        return mu**2

    def variance_slope(self, mu: Array) -> Array:
        return 2 * mu

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        return -2 * w * (np.log(y / mu) - (y - mu) / mu)

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        shape = 1 / dispersion
        terms = special.xlogy(shape, shape * y / mu) - shape * y / mu - special.gammaln(shape) - np.log(y)
        return float((w * terms).sum())

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        return rng.gamma(w / dispersion, mu * dispersion / w)


class InverseGaussian(_Positive):
    name = "inverse.gaussian"
    links = ("1/mu^2", "inverse", "identity", "log")

    def variance(self, mu: Array) -> Array:
        return mu**3

    def variance_slope(self, mu: Array) -> Array:
        return 3 * mu**2

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        return w * (y - mu) ** 2 / (y * mu**2)

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        terms = np.log(2 * np.pi * dispersion * y**3) + (y - mu) ** 2 / (dispersion * y * mu**2)
        return float(-(w * terms).sum() / 2)

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        return rng.wald(mu, w / dispersion)


FAMILIES: dict[str, type[Family]] = {cls.name: cls for cls in (Gaussian, Binomial, Poisson, Gamma, InverseGaussian)}


def as_family(given: str | Family) -> Family:
    """The family that a text such as `"binomial(probit)"` names; a Family passes through.

    >>> str(as_family("binomial")), str(as_family("Gamma(link='log')"))
    ('binomial(logit)', 'Gamma(log)')
    """
    if isinstance(given, Family):
        return given
    match = re.fullmatch(r"\s*([\w.]+)\s*(?:\(\s*(?:link\s*=\s*)?[\"']?([\w./^]*)[\"']?\s*\))?\s*", str(given))
    cls = FAMILIES.get(match[1]) if match else None
    if match is None or cls is None:
        raise ValueError(f"family={given!r} is not known; there are {', '.join(FAMILIES)}, the link in brackets")
    link = match[2] or cls.links[0]
    if link not in cls.links:
        raise ValueError(f"family={given!r}: {cls.name} takes the links {', '.join(cls.links)}, not {link!r}")
    return cls(LINKS[link])
