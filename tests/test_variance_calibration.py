"""Tests and intervals of variances keep what they promise in small samples: simulations with fixed seeds.

A share of N simulations is judged by the binomial distribution: its limits leave out 1e-4 on each side.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.inference.variances import exact_rlrt, variance_tests


def limits(level: float, n: int) -> tuple[float, float]:
    """What a share of n simulations keeps to when each succeeds with this probability."""
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], n, level) / n
    return float(low), float(high)


def grouped(groups: int, rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    g = np.repeat(np.arange(groups), rows)
    x = np.random.default_rng(1).normal(size=len(g))
    return pd.DataFrame({"g": g, "x": x, "y": np.random.default_rng(2).normal(size=len(g))}), g


def mixture(T: np.ndarray, df: int) -> np.ndarray:
    """p values (n,) of one new variance that brings df parameters."""
    step = variance_tests.Step(True, ("v",), df)
    return np.array([variance_tests.p_value(max(t, 0.0), step) for t in T])


@pytest.fixture(scope="module")
def slopes() -> np.ndarray:
    """Likelihood-ratio statistics (N,) of random slopes that are not there, beside random intercepts that are."""
    t, g = grouped(20, 8)
    small, large = (fn.fit(f"y ~ x + {random}", t) for random in ("(1|g)", "(x|g)"))
    rng, T = np.random.default_rng(3), []
    for _ in range(500):
        y = rng.normal(size=20)[g] + rng.normal(size=len(g))
        one, two = (m.engine.refit(m.request.with_response(y)).loglik for m in (small, large))
        T.append(2 * (two - one))
    return np.array(T)


def test_the_boundary_test_of_a_random_slope_has_its_size(slopes):
    low, high = limits(0.05, len(slopes))
    assert low <= (mixture(slopes, 2) < 0.05).mean() <= high


def test_a_plain_chi_squared_test_of_a_random_slope_sees_less(slopes):
    plain = stats.chi2.sf(np.maximum(slopes, 0), 2)
    assert (plain < 0.05).sum() < (mixture(slopes, 2) < 0.05).sum()


def test_the_boundary_test_of_a_binomial_model_has_its_size():
    t, g = grouped(40, 10)
    rng, N, rejected = np.random.default_rng(4), 300, 0
    t["y"] = rng.integers(0, 2, len(g))
    m = fn.fit("y ~ x + (1|g)", t, family="binomial")
    for _ in range(N):
        y = (rng.random(len(g)) < 1 / (1 + np.exp(-0.5 * t["x"].to_numpy()))).astype(float)
        rejected += fn.ranova(m.engine.refit(m.request.with_response(y)))["p_value"][1] < 0.05
    low, high = limits(0.05, N)
    assert low <= rejected / N <= high


def test_the_exact_test_has_its_size_with_five_groups():
    t, g = grouped(5, 6)
    m = fn.fit("y ~ x + (1|g)", t)
    X, Z = m.request.design.matrix, m.request.design.random[0].Z.toarray()
    null = exact_rlrt.simulated(*exact_rlrt.spectrum(X, Z), *X.shape, True, 20_000, np.random.default_rng(5))
    rng, N, rejected = np.random.default_rng(6), 600, 0
    for _ in range(N):
        request = m.request.with_response(rng.normal(size=len(g)))
        T = 2 * (m.engine.refit(request).loglik - variance_tests.loglik_without_random(request))
        rejected += (null >= T - 1e-9).mean() < 0.05
    low, high = limits(0.05, N)
    assert low <= rejected / N <= high


def test_profile_intervals_of_standard_deviations_and_a_slope_cover():
    t, g = grouped(30, 4)
    m = fn.fit("y ~ x + (1|g)", t)
    rng, N, truth = np.random.default_rng(7), 60, {"sd_(Intercept)|g": 0.8, "sigma": 1.0, "x": 0.5}
    covered = dict.fromkeys(truth, 0)
    for _ in range(N):
        y = 0.5 * t["x"].to_numpy() + 0.8 * rng.normal(size=30)[g] + rng.normal(size=len(g))
        found = fn.confint(m.engine.refit(m.request.with_response(y)), method="profile").set_index("term")
        for name, value in truth.items():
            covered[name] += bool(found.loc[name, "conf_low"] < value < found.loc[name, "conf_high"])
    low, high = limits(0.95, N)
    assert all(low <= count / N <= high for count in covered.values()), covered


def test_bootstrap_intervals_of_a_slope_cover():
    t, g = grouped(8, 6)
    m = fn.fit("y ~ x + (1|g)", t)
    rng, N, covered = np.random.default_rng(8), 120, 0
    for seed in range(N):
        y = 0.5 * t["x"].to_numpy() + 0.8 * rng.normal(size=8)[g] + rng.normal(size=len(g))
        how = fn.Bootstrap(n=199, seed=seed)
        found = fn.confint(m.engine.refit(m.request.with_response(y)), "x", method=how).iloc[0]
        covered += bool(found["conf_low"] < 0.5 < found["conf_high"])
    low, high = limits(0.95, N)
    assert low <= covered / N <= high
