"""Links between the mean mu and the linear predictor eta, as R names them, with two derivatives of the inverse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Link(ABC):
    """eta = link(mu), with the first and second derivative of its inverse."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, mu: Array) -> Array:
        """eta of mu."""

    @abstractmethod
    def inverse(self, eta: Array) -> Array:
        """mu of eta."""

    @abstractmethod
    def derivative(self, eta: Array) -> Array:
        """d mu / d eta."""

    @abstractmethod
    def second(self, eta: Array) -> Array:
        """d2 mu / d eta2."""

    def limits(self, low: float, high: float) -> tuple[float, float]:
        """The open interval of eta whose means lie in (low, high); here of a link that keeps them in (0, 1) itself."""
        return -np.inf, np.inf


class Identity(Link):
    name = "identity"

    def __call__(self, mu: Array) -> Array:
        return mu

    def inverse(self, eta: Array) -> Array:
        return eta

    def derivative(self, eta: Array) -> Array:
        return np.ones_like(eta)

    def second(self, eta: Array) -> Array:
        return np.zeros_like(eta)

    def limits(self, low: float, high: float) -> tuple[float, float]:
        return low, high


class Log(Link):
    name = "log"

    def __call__(self, mu: Array) -> Array:
        return np.log(mu)

    def inverse(self, eta: Array) -> Array:
        return np.maximum(np.exp(np.minimum(eta, 700.0)), EPS)

    def derivative(self, eta: Array) -> Array:
        return self.inverse(eta)

    def second(self, eta: Array) -> Array:
        return self.inverse(eta)

    def limits(self, low: float, high: float) -> tuple[float, float]:
        return -np.inf, float(np.log(high))


class Logit(Link):
    name = "logit"

    def __call__(self, mu: Array) -> Array:
        return special.logit(mu)

    def inverse(self, eta: Array) -> Array:
        return np.clip(special.expit(eta), EPS, 1 - EPS)

    def derivative(self, eta: Array) -> Array:
        # expit(eta) * expit(-eta) keeps its digits in both tails, where mu * (1 - mu) loses them
        return np.maximum(special.expit(eta) * special.expit(-eta), EPS)

    def second(self, eta: Array) -> Array:
        return self.derivative(eta) * (special.expit(-eta) - special.expit(eta))


class Probit(Link):
    name = "probit"

    def __call__(self, mu: Array) -> Array:
        return special.ndtri(mu)

    def inverse(self, eta: Array) -> Array:
        return np.clip(special.ndtr(eta), EPS, 1 - EPS)

    def derivative(self, eta: Array) -> Array:
        return np.maximum(np.exp(-0.5 * eta**2) / np.sqrt(2 * np.pi), EPS)

    def second(self, eta: Array) -> Array:
        return -eta * self.derivative(eta)


class Cloglog(Link):
    name = "cloglog"

    def __call__(self, mu: Array) -> Array:
        return np.log(-np.log1p(-mu))

    def inverse(self, eta: Array) -> Array:
        return np.clip(-np.expm1(-np.exp(np.minimum(eta, 700.0))), EPS, 1 - EPS)

    def derivative(self, eta: Array) -> Array:
        eta = np.minimum(eta, 700.0)
        return np.maximum(np.exp(eta - np.exp(eta)), EPS)

    def second(self, eta: Array) -> Array:
        eta = np.minimum(eta, 700.0)
        return np.exp(eta - np.exp(eta)) * -np.expm1(eta)  # no floor, which the second factor would blow up


class Cauchit(Link):
    name = "cauchit"

    def __call__(self, mu: Array) -> Array:
        return np.tan(np.pi * (mu - 0.5))

    def inverse(self, eta: Array) -> Array:
        return np.clip(0.5 + np.arctan(eta) / np.pi, EPS, 1 - EPS)

    def derivative(self, eta: Array) -> Array:
        return np.maximum(1 / (np.pi * (1 + eta**2)), EPS)

    def second(self, eta: Array) -> Array:
        return -2 * eta / (np.pi * (1 + eta**2) ** 2)


class Inverse(Link):
    name = "inverse"

    def __call__(self, mu: Array) -> Array:
        return 1 / mu

    def inverse(self, eta: Array) -> Array:
        return 1 / eta

    def derivative(self, eta: Array) -> Array:
        return -1 / eta**2

    def second(self, eta: Array) -> Array:
        return 2 / eta**3

    def limits(self, low: float, high: float) -> tuple[float, float]:
        return (-np.inf, np.inf) if low < 0 else (1 / high, np.inf)


class Sqrt(Link):
    name = "sqrt"

    def __call__(self, mu: Array) -> Array:
        return np.sqrt(mu)

    def inverse(self, eta: Array) -> Array:
        return eta**2

    def derivative(self, eta: Array) -> Array:
        return 2 * eta

    def second(self, eta: Array) -> Array:
        return np.full_like(eta, 2.0)

    def limits(self, low: float, high: float) -> tuple[float, float]:
        return 0.0, float(np.sqrt(high))  # R's branch


class InverseSquare(Link):
    name = "1/mu^2"

    def __call__(self, mu: Array) -> Array:
        return mu**-2

    def inverse(self, eta: Array) -> Array:
        return eta**-0.5

    def derivative(self, eta: Array) -> Array:
        return -0.5 * eta**-1.5

    def second(self, eta: Array) -> Array:
        return 0.75 * eta**-2.5

    def limits(self, low: float, high: float) -> tuple[float, float]:
        return high**-2, np.inf


LINKS: dict[str, Link] = {
    cls.name: cls() for cls in (Identity, Log, Logit, Probit, Cloglog, Cauchit, Inverse, Sqrt, InverseSquare)
}
