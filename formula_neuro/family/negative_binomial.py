"""Counts whose variance is mu + mu^2 / theta: the negative binomial of MASS's glm.nb."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from .discrete import Poisson, drawable
from .links import Array, Link


@dataclass(frozen=True, eq=False)
class NBinom2(Poisson):
    """theta is estimated with the coefficients unless it is `fixed`; NaN before, with its standard error after.

    theta = inf is the Poisson distribution.
    """

    theta: float = float("nan")
    fixed: bool = False
    theta_se: float = float("nan")

    name = "nbinom2"
    links = ("log", "identity", "sqrt")

    def __post_init__(self) -> None:
        if self.fixed and not self.theta > 0:
            raise ValueError(f"theta is a number above 0 (inf: poisson), got {self.theta:g}")

    def __eq__(self, other: object) -> bool:
        """Of one link and one theta, if that is known: a NaN is not equal to the one that a pickle brings back."""
        return isinstance(other, NBinom2) and self._known == other._known

    def __hash__(self) -> int:
        return hash(self._known)

    @property
    def _known(self) -> tuple[Link, bool, float | None]:
        return self.link, self.fixed, None if np.isnan(self.theta) else self.theta

    def __str__(self) -> str:
        return f"{self.name}({self.link.name}, theta={self.theta:.17g})" if self.fixed else super().__str__()

    @property
    def shape(self) -> tuple[str, float, float] | None:
        return None if self.fixed else ("theta", self.theta, self.theta_se)

    def variance(self, mu: Array) -> Array:
        return mu + mu**2 / self.theta

    def variance_slope(self, mu: Array) -> Array:
        return 1 + 2 * mu / self.theta

    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        if np.isinf(self.theta):
            return super().deviance(y, mu, w)
        # log((y + theta) / (mu + theta)), with its digits where theta is large
        spread = (y + self.theta) * np.log1p((y - mu) / (mu + self.theta))
        return 2 * w * (special.rel_entr(y, mu) - spread)

    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        if np.isinf(self.theta):
            return super().loglik(y, mu, w, dispersion)
        # Gamma(y + theta) / (Gamma(theta) y!) by the beta function, whose logarithm keeps its digits for large theta
        ways = -special.betaln(self.theta, y + 1) - np.log(self.theta + y)
        terms = ways - self.theta * np.log1p(mu / self.theta) + special.xlogy(y, mu / (mu + self.theta))
        return float((w * terms).sum())

    def start(self, y: Array, w: Array) -> Array:
        return y + (y == 0) / 6

    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        if np.isinf(self.theta):
            return super().draw(mu, w, dispersion, rng)
        return rng.negative_binomial(self.theta, self.theta / (self.theta + drawable(mu))).astype(float)

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        if np.isinf(self.theta):
            return super().cdf(y, mu, w, dispersion)
        k, share = np.maximum(y, 0.0) + 1, self.theta / (self.theta + mu)
        below, above = special.betainc(self.theta, k, share), special.betaincc(self.theta, k, share)
        return np.where(y < 0, 0.0, below), np.where(y < 0, 1.0, above)
