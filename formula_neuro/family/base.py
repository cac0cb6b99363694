"""What every family must know: its variance function, deviance, likelihood and the rules of its response."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Unable
from .links import Array, Link


@dataclass(frozen=True)
class Family(ABC):
    """A distribution of the response with its link; w are prior weights (trials, for binomial)."""

    link: Link

    name: ClassVar[str]
    links: ClassVar[tuple[str, ...]]  # allowed, the default first
    dispersed: ClassVar[bool] = False  # has a dispersion parameter to estimate
    likelihood: ClassVar[bool] = True  # quasi families have none

    def __str__(self) -> str:
        return f"{self.name}({self.link.name})"

    @property
    def range(self) -> tuple[float, float]:
        """The open interval of the means."""
        return -np.inf, np.inf

    @property
    def limits(self) -> tuple[float, float]:
        """The open interval of the linear predictor whose means lie in `range`."""
        return self.link.limits(*self.range)

    def inside(self, eta: Array) -> NDArray[np.bool_]:
        """Which rows' linear predictors, and their means, lie inside these intervals, (n,)."""
        low, high = self.range
        least, most = self.limits
        with np.errstate(all="ignore"):
            mu = self.link.inverse(eta)
            fine = np.isfinite(mu) & (mu > low) & (mu < high)
            return np.asarray(fine & np.isfinite(eta) & (eta > least) & (eta < most))

    @property
    def shape(self) -> tuple[str, float, float] | None:
        """Name, estimate and standard error of a shape that is estimated beside the mean; None without one."""
        return None

    @abstractmethod
    def variance(self, mu: Array) -> Array:
        """V(mu)."""

    @abstractmethod
    def variance_slope(self, mu: Array) -> Array:
        """dV / d mu."""

    @abstractmethod
    def deviance(self, y: Array, mu: Array, w: Array) -> Array:
        """Each row's share of the deviance: 2 w (log f(y; y) - log f(y; mu)) at dispersion 1."""

    def objective(self, y: Array, mu: Array, w: Array) -> float:
        """What scoring makes small: the deviance, to a constant."""
        return float(self.deviance(y, mu, w).sum())

    @abstractmethod
    def loglik(self, y: Array, mu: Array, w: Array, dispersion: float) -> float:
        """The log-likelihood of all rows, with R's constants; NaN for a quasi family."""

    def ml_dispersion(self, y: Array, mu: Array, w: Array) -> float:
        """The dispersion at which R takes the log-likelihood of a GLM: an estimate from the deviance, or 1."""
        return 1.0

    @abstractmethod
    def start(self, y: Array, w: Array) -> Array:
        """Means to start from, inside the range of the link (R's mustart)."""

    @abstractmethod
    def check(self, y: Array, name: str) -> None:
        """Raise DataError when a response lies outside the family's range."""

    @abstractmethod
    def draw(self, mu: Array, w: Array, dispersion: float, rng: np.random.Generator) -> Array:
        """One simulated response per row."""

    def cdf(self, y: Array, mu: Array, w: Array, dispersion: float) -> tuple[Array, Array]:
        """P(Y <= y) and P(Y > y), each with its own digits; raises Unable where there is no distribution function."""
        raise Unable(f"{self.name} has no distribution function here")

    def spacing(self, w: Array) -> Array:
        """From a response to the next one below it; 0 where responses are continuous."""
        return np.zeros_like(w)


def refuse(y: Array, bad: NDArray[np.bool_], name: str, what: str, family: str, takes: str) -> None:
    """Raise DataError where some rows are bad, with their number and the first of them."""
    if bad.any():
        raise DataError(
            f"{name}: {int(bad.sum())} of {len(y)} values {what} (first: {float(y[bad][0]):g}), "
            f"but family={family!r} takes {takes}"
        )
