"""Families that state a variance function and no distribution (Wedderburn 1974), as R's quasi()."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NoReturn

import numpy as np
from scipy import special

from ..errors import Unable
from .base import Family, refuse
from .discrete import Binomial, Poisson
from .links import Array


def _no_distribution(name: str) -> NoReturn:
    raise Unable(f"{name} states a variance, not a distribution, so that nothing can be simulated from it")


class QuasiBinomial(Binomial):
    """Binomial means and variances times a dispersion that is estimated."""

    name = "quasibinomial"
    dispersed = True
    likelihood = False

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        return float("nan")

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        _no_distribution(self.name)


class QuasiPoisson(Poisson):
    """Poisson means and variances times a dispersion that is estimated; responses need not be whole."""

    name = "quasipoisson"
    dispersed = True
    likelihood = False

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        return float("nan")

    def check(self, y: Array, name: str) -> None:
        refuse(y, y < 0, name, "are negative", self.name, "numbers that are not")

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        _no_distribution(self.name)


@dataclass(frozen=True)
class Quasi(Family):
    """Any link with one of R's variances: "constant", "mu", "mu^2", "mu^3", "mu(1-mu)"."""

    variance_of: str = "constant"

    name = "quasi"
    links = ("identity", "log", "inverse", "sqrt", "1/mu^2", "logit", "probit", "cloglog", "cauchit")
    dispersed = True
    likelihood = False
    variances: ClassVar[tuple[str, ...]] = ("constant", "mu", "mu^2", "mu^3", "mu(1-mu)")

    def __post_init__(self) -> None:
        if self.variance_of not in self.variances:
            raise ValueError(f"quasi takes the variances {', '.join(self.variances)}, not {self.variance_of!r}")

    def __str__(self) -> str:
        return f"{self.name}({self.link.name}, variance={self.variance_of})"

    @property
    def range(self) -> tuple[float, float]:
        ends = {"constant": (-np.inf, np.inf), "mu(1-mu)": (0.0, 1.0)}
        return ends.get(self.variance_of, (0.0, np.inf))

    def variance(self, mu: Array) -> Array:
        if self.variance_of == "mu(1-mu)":
            return mu * (1 - mu)
        return np.asarray(mu**self._power)

    def variance_slope(self, mu: Array) -> Array:
        if self.variance_of == "mu(1-mu)":
            return 1 - 2 * mu
        return np.asarray(self._power * mu ** max(self._power - 1, 0))

    @property
    def _power(self) -> int:
        return {"constant": 0, "mu": 1, "mu^2": 2, "mu^3": 3}[self.variance_of]

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        """R's: under "mu^2" a response of 0 counts as 1 in the logarithm, and no row is below 0."""
        return np.maximum(self._rows(y, mu, w), 0.0) if self.variance_of == "mu^2" else self._rows(y, mu, w)

    def objective(self, y: Array, mu: Array, w: Array) -> float:
        """-2 quasi-likelihood to a constant: cut off at 0 it would no longer have the score as its slope."""
        return float(self._rows(y, mu, w).sum())

    def _rows(self, y: Array, mu: Array, w: Array) -> Array:
        if self.variance_of == "constant":
            return w * (y - mu) ** 2
        if self.variance_of == "mu(1-mu)":
            return 2 * w * (special.rel_entr(y, mu) + special.rel_entr(1 - y, 1 - mu))
        if self.variance_of == "mu":
            return 2 * w * (special.rel_entr(y, mu) - (y - mu))
        if self.variance_of == "mu^2":
            return -2 * w * (np.log(np.where(y == 0, 1.0, y) / mu) - (y - mu) / mu)
        return w * (y - mu) ** 2 / (y * mu**2)

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        return float("nan")

    def start(self, y: Array, w: Array) -> Array:
        if self.variance_of == "constant":
            return y
        return np.clip(y, 0.001, 0.999) if self.variance_of == "mu(1-mu)" else y + 0.1 * (y == 0)

    def check(self, y: Array, name: str) -> None:
        if self.variance_of == "mu(1-mu)":
            refuse(y, (y < 0) | (y > 1), name, "lie outside [0, 1]", str(self), "shares")
        elif self.variance_of == "mu^3":
            refuse(y, y <= 0, name, "are not above 0", str(self), "positive numbers only")
        elif self.variance_of != "constant":
            refuse(y, y < 0, name, "are negative", str(self), "numbers that are not")

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        _no_distribution(self.name)
