"""What the likelihood ratios of replicates say: which are extreme, what their moments correct, when they are enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...family import Array

TIES = 1e-8  # of a statistic: two fits of one response agree to this, so that closer statistics count as equal
BELOW = 1e-4  # of -2 log-likelihood: a larger model that ends lower than this has missed its maximum
SURE = 0.999  # of the interval that must be clear of a level: wide, because it is looked at again and again


def ratio(small: float, large: float) -> float:
    """2 (log L_large - log L_small), 0 where rounding makes it negative; NaN where it is far below 0."""
    difference = 2 * (large - small)
    return float(max(difference, 0.0)) if difference > -BELOW * max(1.0, 1e-3 * abs(small)) else float("nan")


def extreme(draws: Array, statistic: float) -> NDArray[np.bool_]:
    """Which draws are at least the observed statistic; ties of discrete responses count, whatever their rounding."""
    return np.asarray(draws >= statistic - TIES * max(1.0, statistic))


def corrected(T: float, df: float, draws: Array) -> list[tuple[str, float, float, float, float]]:
    """The rows of the table that follow from the moments of the draws."""
    mean, variance = float(draws.mean()), float(draws.var(ddof=1)) if len(draws) > 1 else np.nan
    nan = float("nan")
    rows = [("LRT", T, float(df), nan, float(stats.chi2.sf(T, df)))]
    if not mean > 0:
        return rows
    E = mean / df
    rows.append(("Bartlett", T / E, float(df), nan, float(stats.chi2.sf(T / E, df))))
    rows.append(("gamma", T, nan, nan, float(stats.gamma.sf(T, mean**2 / variance, scale=variance / mean))))
    ddf = 2 * E / (E - 1) if E > 1 else nan
    rows.append(("F", T / df, float(df), ddf, float(stats.f.sf(T / df, df, ddf))))
    return rows


def clear_of(alpha: float, statistic: float, before: Array, rows: Array) -> str:
    """Why the replicates so far are enough: the interval of the p value that excludes alpha; "" while it does not."""
    draws = np.concatenate([before, rows[:, 0]])
    draws = draws[~np.isnan(draws)]
    k, N = int(extreme(draws, statistic).sum()), len(draws)
    low = float(stats.beta.ppf((1 - SURE) / 2, k, N - k + 1)) if k else 0.0
    high = float(stats.beta.ppf((1 + SURE) / 2, k + 1, N - k)) if k < N else 1.0
    if low <= alpha <= high:
        return ""
    return f"the {SURE:.1%} interval of the p value, {low:.4f} to {high:.4f}, is clear of {alpha:g}"
