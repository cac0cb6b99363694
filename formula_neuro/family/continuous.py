"""Gaussian, Gamma and inverse Gaussian responses."""

from __future__ import annotations

import numpy as np
from scipy import special

from .base import Family, refuse
from .links import Array


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
        kept = w > 0  # rows of zero weight take no part
        terms = np.log(w[kept]) - np.log(2 * np.pi * dispersion) - w[kept] * (y - mu)[kept] ** 2 / dispersion
        return float(terms.sum() / 2)

    def ml_dispersion(self, y: Array, mu: Array, w: Array) -> float:
        return float(self.deviance(y, mu, w).sum() / (w > 0).sum())

    def start(self, y: Array, w: Array) -> Array:
        return y

    def check(self, y: Array, name: str) -> None:
        """Any number will do."""

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        with np.errstate(divide="ignore"):
            return mu + rng.standard_normal(mu.shape) * np.sqrt(dispersion / w)

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        z = (y - mu) * np.sqrt(w / dispersion)
        return special.ndtr(z), special.ndtr(-z)


class _Positive(Family):
    """Responses above zero."""

    dispersed = True

    @property
    def range(self) -> tuple[float, float]:
        return 0.0, np.inf

    def ml_dispersion(self, y: Array, mu: Array, w: Array) -> float:
        return float(self.deviance(y, mu, w).sum() / w.sum())

    def start(self, y: Array, w: Array) -> Array:
        return y

    def check(self, y: Array, name: str) -> None:
        refuse(y, y <= 0, name, "are not above 0", self.name, "positive numbers only")


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
        w = np.where(w > 0, w, np.nan)  # a row of weight 0 has no distribution
        return rng.gamma(w / dispersion, mu * dispersion / w)

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        shape = w / dispersion
        return special.gammainc(shape, shape * y / mu), special.gammaincc(shape, shape * y / mu)


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
        return rng.wald(mu, np.where(w > 0, w, np.nan) / dispersion)  # of weight 0: no distribution

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        """Phi(a) + exp(2 v / mu) Phi(-b) with v = w / dispersion, a and b = sqrt(v / y) (y / mu -+ 1)."""
        root = np.sqrt(w / (dispersion * y))
        a, b = root * (y / mu - 1), root * (y / mu + 1)
        reflected = np.exp(2 * w / (dispersion * mu) + special.log_ndtr(-b))
        return np.minimum(special.ndtr(a) + reflected, 1.0), np.maximum(special.ndtr(-a) - reflected, 0.0)
