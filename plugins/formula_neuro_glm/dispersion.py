"""The dispersion of gaussian, Gamma and inverse gaussian responses by adjusted scores.

Density exp(-q / (2 phi) - a(-m / phi) / 2) up to a factor free of parameters, m the prior weights (Jorgensen 1987):

    score      (sum q - sum m a') / (2 phi^2)
    mean       (p - 2) / (2 phi) + sum m^3 a''' / (2 phi^2 sum m^2 a'')
    median      p / (2 phi)      + sum m^3 a''' / (6 phi^2 sum m^2 a'')
    Jeffreys   power (-(p + 4) / phi + sum m^3 a''' / (phi^2 sum m^2 a''))

(Kosmidis, Kenne Pagui & Sartori 2020, section 3). For gaussian and inverse gaussian responses a(z) = -log(-z) and
sum q is the deviance D; the root is D / (n - p), D / (n - p - 2/3) and D / (n + 2 power (p + 2)).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from formula_neuro.estimator import Estimator, Jeffreys, MedianBR
from formula_neuro.family import Array, Family

Parts = tuple[Array, Array, Array]


def dispersion(how: Estimator, family: Family, deviance: float, w: Array, rank: int) -> float:
    """The root of the adjusted score of the dispersion at coefficients with this deviance; w (n,) above 0.

    0 for a perfect fit.
    """
    n = len(w)
    if isinstance(how, Jeffreys):
        simple = deviance / (n + 2 * how.power * (rank + 2))
    else:
        simple = deviance / (n - rank - (2 / 3 if isinstance(how, MedianBR) else 0))
    if family.name != "Gamma" or not simple > 1e-14:  # below, Gamma's equation is the normal one to rounding
        return simple

    m, count = np.unique(w, return_counts=True)

    def equation(log_phi: float) -> float:
        phi = float(np.exp(log_phi))
        parts = gamma_parts(m / phi)
        return phi * (_gamma_score(phi, deviance, m, count, parts) + _gamma_adjustment(how, phi, m, count, rank, parts))

    low = high = float(np.log(simple))
    while equation(low) < 0:
        low -= 1
    while equation(high) > 0:
        high += 1
    return float(np.exp(optimize.brentq(equation, low, high, xtol=1e-15, rtol=1e-15))) if low < high else simple


def _gamma_score(phi: float, deviance: float, m: Array, count: NDArray[np.intp], parts: Parts) -> float:
    """Of the dispersion of Gamma responses, where a(z) = 2 log Gamma(-z) + 2 z log(-z) and q = d + 2 m.

    m (k,) are the different prior weights, count (k,) how many rows have each, parts those of m / phi.
    """
    return (deviance - 2 * float(count @ (m * parts[0]))) / (2 * phi**2)


def _gamma_adjustment(how: Estimator, phi: float, m: Array, count: NDArray[np.intp], rank: int, parts: Parts) -> float:
    """Of the dispersion of Gamma responses."""
    _, second, third = parts
    ratio = float(count @ (m**3 * third)) / float(count @ (m**2 * second))
    if isinstance(how, Jeffreys):
        return how.power * (-(rank + 4) / phi + ratio / phi**2)
    if isinstance(how, MedianBR):
        return rank / (2 * phi) + ratio / (6 * phi**2)
    return (rank - 2) / (2 * phi) + ratio / (2 * phi**2)


def gamma_parts(x: Array) -> Parts:
    """log x - digamma(x), and a''(-x), a'''(-x): 2 trigamma(x) - 2/x, -2 tetragamma(x) - 2/x^2; series for large x."""
    exact = np.log(x) - special.digamma(x), 2 * special.polygamma(1, x) - 2 / x, -2 * special.polygamma(2, x) - 2 / x**2
    u = 1 / x
    series = (  # of the digamma function, Abramowitz & Stegun 6.3.18, and its derivatives
        u * (1 / 2 + u * (1 / 12 - u**2 * (1 / 120 - u**2 / 252))),
        u**2 * (1 + u * (1 / 3 - u**2 * (1 / 15 - u**2 / 21))),
        u**3 * (2 + u * (1 - u**2 * (1 / 3 - u**2 / 3))),
    )
    first, second, third = (np.where(x > 100, s, e) for e, s in zip(exact, series, strict=True))
    return first, second, third


def log_density(family: Family, y: Array, mu: Array, w: Array, phi: float) -> float:
    """The log-likelihood at dispersion phi, which the weights w > 0 divide: what Jeffreys' penalty is added to."""
    if not family.dispersed:
        return family.loglik(y, mu, w, 1.0)
    if family.name == "Gamma":
        x = w / phi
        return float((x * np.log(x * y / mu) - x * y / mu - special.gammaln(x) - np.log(y)).sum())
    spread = 2 * np.pi * phi / w * family.variance(y)
    return float(-(np.log(spread) + family.deviance(y, mu, w) / phi).sum() / 2)


def information(family: Family, w: Array, phi: float) -> float:
    """Expected information on the dispersion: sum m^2 a'' / (2 phi^4)."""
    second = gamma_parts(w / phi)[1] if family.name == "Gamma" else (phi / w) ** 2
    return float((w**2 * second).sum() / (2 * phi**4))
