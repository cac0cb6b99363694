"""The bootstrap test keeps its size where the chi-squared test does not: six groups, a difference between groups."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn

pytestmark = pytest.mark.slow

SETS = 200  # so many that at .05 a test is out of bounds that hardly ever rejects (below 2), or twice too often
REPLICATES = 39  # few are as exact: p takes the values 1/40, 2/40, ..., and all levels below are among them
COVERED = 110  # sets of the intervals, which need more replicates


@cache
def p_values(family: str) -> tuple[np.ndarray, np.ndarray]:
    """p values of a true null hypothesis by the bootstrap and by the chi-squared distribution, one a data set."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(6), 8)
    d = pd.DataFrame({"g": g, "x": (g % 2).astype(float), "y": rng.integers(0, 2, len(g))})
    how = {"family": family} if family != "gaussian" else {"estimator": "ml"}
    small, large = (fn.fit(f"y ~ {right} + (1|g)", d, **how) for right in ("1", "x"))
    found = []
    for seed in range(SETS):
        eta = 0.8 * rng.standard_normal(6)[g]
        y = eta + rng.standard_normal(len(g)) if family == "gaussian" else rng.random(len(g)) < 1 / (1 + np.exp(-eta))
        fits = [m.engine.refit(m.request.with_response(y)) for m in (small, large)]
        test = fn.bootstrap_test(*fits, n=REPLICATES, seed=seed)
        found.append((test.p_value, stats.chi2.sf(test.statistic, 1)))
    return tuple(np.array(found).T)


def bounds(share: float, sets: int = SETS) -> tuple[float, float]:
    """What a share of simulations keeps to, by the binomial distribution: 0.05 % are left out on each side."""
    low, high = stats.binom.ppf([5e-4, 1 - 5e-4], sets, share) / sets
    return float(low), float(high)


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
@pytest.mark.parametrize("level", [0.05, 0.2, 0.5])
def test_a_true_null_hypothesis_is_rejected_as_often_as_the_level_says(family, level):
    low, high = bounds(level)
    assert low <= (p_values(family)[0] <= level).mean() <= high


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_p_values_are_uniform_under_the_null_hypothesis(family):
    p = p_values(family)[0] - 0.5 / (REPLICATES + 1)  # the middles of the 40 steps that p takes
    assert stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_the_chi_squared_test_of_the_same_data_rejects_more_often(family):
    by_bootstrap, by_chi_squared = p_values(family)
    assert (by_chi_squared <= 0.2).mean() > (by_bootstrap <= 0.2).mean()


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_a_variance_that_is_not_there_is_found_as_often_as_the_level_says(level):
    low, high = bounds(level)
    assert low <= (p_values_of_a_variance() <= level).mean() <= high


@cache
def p_values_of_a_variance() -> np.ndarray:
    """p values of a random intercept that is not there, one a data set."""
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(8), 5)
    d = pd.DataFrame({"g": g, "x": rng.standard_normal(len(g)), "y": rng.standard_normal(len(g))})
    small, large = fn.fit("y ~ x", d), fn.fit("y ~ x + (1|g)", d, estimator="ml")
    p = []
    for seed in range(SETS):
        y = rng.standard_normal(len(g))
        fits = [m.engine.refit(m.request.with_response(y)) for m in (small, large)]
        p.append(fn.bootstrap_test(*fits, n=REPLICATES, seed=seed).p_value)
    return np.array(p)


@pytest.mark.parametrize("interval", ["percentile", "basic", "normal"])
def test_intervals_of_a_slope_cover_it(interval):
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(12), 6)
    x = rng.standard_normal(len(g))
    fit = fn.fit("y ~ x + (1|g)", pd.DataFrame({"g": g, "x": x, "y": x + rng.standard_normal(len(g))}))
    covered = []
    for seed in range(COVERED):
        y = 0.5 * x + 0.8 * rng.standard_normal(12)[g] + rng.standard_normal(len(g))
        how = fn.Bootstrap(n=100, interval=interval, seed=seed)
        found = fn.confint(fit.engine.refit(fit.request.with_response(y)), "x", method=how, conf_level=0.8).iloc[0]
        covered.append(found["conf_low"] < 0.5 < found["conf_high"])
    low, high = bounds(0.8, COVERED)
    assert low <= np.mean(covered) <= high
