"""The negative binomial's theta, in turns with the coefficients, as MASS's glm.nb (Venables & Ripley 2002, 7.4)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from formula_neuro.family import Array, NBinom2
from formula_neuro.kernels.irls import Scoring, irls

ENOUGH = 1e-7  # of theta, far below its standard error: where turns at the edge of a range may end
LARGEST = 1e6  # of theta over the mean: beyond, the score of theta is rounding and the distribution Poisson's


def fit_with_theta(
    X: Array, y: Array, w: Array, offset: Array, family: NBinom2, *, turns: int = 100, tolerance: float = 1e-10
) -> tuple[NBinom2, Scoring, tuple[str, ...]]:
    """The family with its estimated theta, the coefficients there, and what is to be said; X (n, r), w > 0.

    Each turn raises the likelihood, first over the coefficients, then over theta; the two are nearly orthogonal, so
    that a few turns are enough. `tolerance` is of log theta.
    """
    found = irls(X, y, w, offset, replace(family, theta=np.inf))
    theta, change, steps = theta_given(y, found.mu, w), np.inf, found.iterations
    for _ in range(turns):
        found = irls(X, y, w, offset, replace(family, theta=theta), start=found.b)
        steps += found.iterations
        new = theta_given(y, found.mu, w)
        change = 0.0 if new == theta else abs(np.log(new / theta))
        theta = new
        if change <= tolerance:
            break
    settled = change <= ENOUGH
    estimated = replace(family, theta=theta, theta_se=standard_error(theta, y, found.mu, w))
    found = replace(found, converged=found.converged and settled, iterations=steps)
    return estimated, found, _words(theta, change, settled)


def score(theta: float, counts: Array, total: Array, y: Array, mu: Array, w: Array) -> float:
    """d loglik / d theta = sum w (psi(y + theta) - psi(theta) - log(1 + mu/theta) + (mu - y) / (mu + theta)).

    counts are the different values of y, and total the weights of each of them.
    """
    rise = float(total @ (digamma(counts + theta) - digamma(theta)))
    return rise - float(w @ (np.log1p(mu / theta) - (mu - y) / (mu + theta)))


def theta_given(y: Array, mu: Array, w: Array) -> float:
    """The root of theta's score next to the moments' estimate; inf where the counts vary no more than Poisson's."""
    largest = float(np.log(LARGEST * max(1.0, np.average(mu, weights=w))))
    excess = float((w * ((y - mu) ** 2 - mu)).sum())
    moments = float((w * mu**2).sum()) / excess if excess > 0 else np.inf

    counts, place = np.unique(y, return_inverse=True)
    total = np.bincount(place, weights=w).astype(np.float64)

    def slope(t: float) -> float:
        return score(float(np.exp(t)), counts, total, y, mu, w)

    low = high = min(float(np.log(moments)), largest)
    stride = 0.5
    if slope(low) > 0:
        while slope(high) > 0:
            if high == largest:
                return np.inf
            low, high, stride = high, min(high + stride, largest), 2 * stride
    else:
        while slope(low) <= 0:
            if low < -700 or not y.any():
                return np.inf  # counts that are all 0 say nothing of theta
            low, high, stride = low - stride, low, 2 * stride
    return float(np.exp(brentq(slope, low, high, xtol=1e-13)))


def standard_error(theta: float, y: Array, mu: Array, w: Array) -> float:
    """From the observed information of theta at these means, as glm.nb's; NaN at theta = inf."""
    if np.isinf(theta):
        return float("nan")
    counts, place = np.unique(y, return_inverse=True)
    rise = (polygamma(1, theta) - polygamma(1, counts + theta))[place]
    terms = rise - 1 / theta + 2 / (mu + theta) - (y + theta) / (mu + theta) ** 2
    information = float((w * terms).sum())
    return float(information**-0.5) if information > 0 else float("nan")


def _words(theta: float, change: float, settled: bool) -> tuple[str, ...]:
    if np.isinf(theta):
        return (
            "theta went to infinity: the counts vary no more than Poisson's, so that this is the fit of "
            "family='poisson' with one parameter more",
        )
    if not settled:
        return (f"theta ({theta:.6g}) still changed by {change:.1e} of itself in the last turn: not the maximum",)
    return ()
