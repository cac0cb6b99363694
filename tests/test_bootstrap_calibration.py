"""The bootstrap test keeps its size where the chi-squared test does not: six groups, a difference between groups."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn

pytestmark = pytest.mark.slow

SETS = 110


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
        test = fn.bootstrap_test(*fits, n=99, seed=seed)
        found.append((test.p_value, stats.chi2.sf(test.statistic, 1)))
    return tuple(np.array(found).T)


def bounds(share: float) -> tuple[float, float]:
    """3.3 standard errors of a simulated share on either side (two-sided 0.1 %)."""
    error = 3.3 * np.sqrt(share * (1 - share) / SETS)
    return share - error, share + error


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
@pytest.mark.parametrize("level", [0.05, 0.2, 0.5])
def test_a_true_null_hypothesis_is_rejected_as_often_as_the_level_says(family, level):
    low, high = bounds(level)
    assert low <= (p_values(family)[0] <= level).mean() <= high


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_p_values_are_uniform_under_the_null_hypothesis(family):
    # of 100 possible values, so that the continuous test is a little conservative
    assert stats.kstest(p_values(family)[0], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_the_chi_squared_test_of_the_same_data_rejects_more_often(family):
    by_bootstrap, by_chi_squared = p_values(family)
    assert (by_chi_squared <= 0.2).mean() > (by_bootstrap <= 0.2).mean()
