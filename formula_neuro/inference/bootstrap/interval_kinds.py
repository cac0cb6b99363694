"""Intervals from the replicates of one parameter (Efron & Tibshirani 1993, chapters 13 and 14)."""

from __future__ import annotations

import numpy as np
from scipy import stats

from ...family import Array

INTERVALS = ("percentile", "basic", "normal", "bca")


def limits(interval: str, draws: Array, estimate: float, acceleration: float, conf_level: float) -> tuple[float, float]:
    """Both ends from draws (n,); NaN ones (a correlation with no variance) are left out, and NaN where none is left.

    >>> draws = np.arange(1.0, 100.0)
    >>> limits("percentile", draws, 50.0, 0.0, 0.9), limits("basic", draws, 40.0, 0.0, 0.9)
    ((5.0, 95.0), (-15.0, 75.0))
    """
    draws = draws[~np.isnan(draws)]
    if not len(draws) or np.isnan(estimate):
        return float("nan"), float("nan")
    tails = np.array([(1 - conf_level) / 2, (1 + conf_level) / 2])
    if interval == "normal":
        bias, spread = draws.mean() - estimate, draws.std(ddof=1)
        low, high = estimate - bias + spread * stats.norm.ppf(tails)
    elif interval == "basic":
        high, low = 2 * estimate - quantiles(draws, tails)
    else:
        low, high = quantiles(draws, corrected(draws, estimate, acceleration, tails) if interval == "bca" else tails)
    return float(low), float(high)


def corrected(draws: Array, estimate: float, a: float, tails: Array) -> Array:
    """BCa's levels of the percentiles: Phi(z0 + (z0 + z) / (1 - a (z0 + z))), z0 from the share of draws below."""
    share = ((draws < estimate).sum() + (draws == estimate).sum() / 2) / len(draws)
    edge = 1 / (2 * len(draws))  # all on one side: as far as so many draws can tell
    z = stats.norm.ppf(np.clip(share, edge, 1 - edge)) + stats.norm.ppf(tails)
    z0 = stats.norm.ppf(np.clip(share, edge, 1 - edge))
    return np.asarray(stats.norm.cdf(z0 + z / (1 - a * z)))


def quantiles(draws: Array, levels: Array) -> Array:
    """Order statistics at (n + 1) x level, as R's boot.ci, between two of them by a straight line; inf stays inf."""
    ordered, n = np.sort(draws), len(draws)
    place = np.clip(np.round((n + 1) * levels, 9), 1, n)  # 0.025 x 1000 is the 25th, whatever its rounding
    below, above = ordered[np.floor(place).astype(int) - 1], ordered[np.ceil(place).astype(int) - 1]
    with np.errstate(invalid="ignore"):
        between = below + (place - np.floor(place)) * (above - below)
    return np.asarray(np.where(below == above, below, between))
