"""The distribution of each response over new random effects: P(Y <= y) = E F(y | eta + s t), t standard normal.

Only the sum z'u of a row's random effects matters, and it is normal with variance s^2 = z'Sz, so the mean is an
integral in one dimension. It is what the ranks of the data among many simulated responses (Hartig's DHARMa) estimate.
The trapezoidal rule is exact to rounding for such integrands once its step is shorter than F is wide in eta.
"""

from __future__ import annotations

import numpy as np

from ...errors import Unable
from ...family import Array
from ...result import Fit

REACH = 8.5  # standard deviations: what lies beyond has probability 2e-17
FEWEST, MOST = 61, 2001  # nodes


def spread(fit: Fit) -> Array:
    """s (n,): the standard deviation of each row's random effects, on the link's scale."""
    total = np.zeros(len(fit.request.y))
    for term, effect in zip(fit.request.design.random, fit.random, strict=True):
        total += np.einsum("nk,kl,nl->n", term.basis, effect.covariance, term.basis)
    return np.sqrt(np.maximum(total, 0.0))


def marginal_cdf(fit: Fit, y: Array, eta: Array, s: Array, w: Array) -> tuple[Array, Array]:
    """P(Y <= y) and P(Y > y) (m,) for rows with linear predictors eta of the population and weights w."""
    family, dispersion = fit.request.family, fit.dispersion
    if family.name == "gaussian" and family.link.name == "identity":
        return family.cdf(y, eta, 1 / (s**2 + dispersion / w), 1.0)
    nodes = np.linspace(-REACH, REACH, _count(fit, eta, s, w))
    mass = np.exp(-(nodes**2) / 2)
    mass /= mass.sum()
    below, above = np.zeros(len(y)), np.zeros(len(y))
    for t, p in zip(nodes, mass, strict=True):
        mu = family.link.inverse(eta + s * t)
        low, high = family.range
        if not ((mu >= low) & (mu <= high)).all():
            raise Unable(
                f"with new random effects the means leave the range of {family}, so the responses have no "
                "distribution; residuals('quantile', random=True) takes the random effects as estimated"
            )
        one, other = family.cdf(y, mu, w, dispersion)
        below += p * one
        above += p * other
    return below, above


def _count(fit: Fit, eta: Array, s: Array, w: Array) -> int:
    """Nodes such that a step is at most half as long as F is wide: sd(Y) / |dmu/deta|, in eta."""
    family = fit.request.family
    mu = family.link.inverse(eta)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = np.sqrt(family.variance(mu) * fit.dispersion / w) / np.abs(family.link.derivative(eta))
        ratio = np.nan_to_num(s / wide, posinf=0.0).max(initial=0.0)
    return int(np.clip(np.ceil(4 * REACH * ratio), FEWEST, MOST))
