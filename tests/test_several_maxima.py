"""Likelihoods of mixed models with several maxima, and poles beside a maximum: what the usual search must not miss."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro_mixed.lmm.profiled import criterion

STARTS = ("identity", "zero", "large")


def days(seed):
    """80 responses of 8 mice on 4 days: counts that vary by nothing, and measures with a little of each day's."""
    rng = np.random.default_rng(seed)
    mouse, day = rng.integers(0, 8, 80), rng.integers(0, 4, 80)
    count = rng.poisson(1.5, 80)
    y = rng.normal(size=80) + 0.4 * rng.normal(size=(8, 4))[mouse, day]
    return pd.DataFrame({"count": count, "y": y, "day": [f"d{k}" for k in day], "mouse": mouse})


def least(fit):
    """The least criterion of searches from elsewhere that converged."""
    others = [fn.refit(fit, start=start) for start in STARTS]
    return min(other.criterion for other in others if other.converged)


@pytest.mark.parametrize("seed", [6, 64, 73])
def test_compound_symmetry_at_a_limit_is_searched_from_elsewhere(seed):
    fit = fn.fit("y ~ 1 + cs(0 + day | mouse)", days(seed))
    assert fit.converged
    assert fit.criterion <= least(fit) + 1e-6  # what searches leave open


@pytest.mark.parametrize("seed", [6, 32, 46])
def test_a_variance_of_0_is_left_at_whatever_correlation_the_likelihood_rises(seed):
    fit = fn.fit("count ~ 1 + ar1(0 + day | mouse)", days(seed), family="poisson")
    assert fit.converged
    assert fit.theta[0] > 0
    assert fit.criterion <= least(fit) + 1e-6


def test_a_higher_maximum_at_large_effects_is_found_where_0_is_one_too():
    y = [-6.9, -1.5, -4.6, 0.6, -11.2, -9.7, 0.3, -0.1, -0.2, -6.9, 0.4, 0.4, 0.8, -3.4, -1.8]
    y += [0.0, 7.6, -5.2, 6.0, 7.6, -11.9, 0.5, 0.5, 1.4, 3.6, -1.2, -0.8, -1.3, 0.9, 1.0]
    x = [3.52, 5.7, 3.69, 4.79, 3.02, 1.94, 6.0, 5.82, 5.19, 2.88, 5.54, 3.73, 4.34, 6.3, 4.25]
    x += [5.25, 7.01, 3.98, 6.25, 6.19, 3.01, 4.65, 5.11, 5.31, 6.31, 4.76, 5.18, 4.23, 5.44, 4.21]
    g = [2, 3, 4, 1, 2, 0, 3, 3, 0, 0, 3, 5, 3, 3, 1, 3, 4, 2, 2, 2, 2, 1, 2, 0, 0, 4, 5, 4, 4, 3]
    fit = fn.fit("y ~ 1 + (0 + x | g)", {"y": y, "x": x, "g": g})
    at_zero = criterion(fit.engine.products, np.zeros(1))
    assert criterion(fit.engine.products, np.array([0.1])) > at_zero  # a maximum of the likelihood
    assert fit.theta[0] > 1
    assert fit.criterion < at_zero - 1


def test_a_start_beside_a_pole_ends_at_the_maximum():
    rng = np.random.default_rng(15)
    g, x = rng.integers(0, 6, 80), rng.normal(size=80)
    y = np.where(rng.random(80) < 0.8, 0, rng.poisson(np.exp(1.2 + rng.normal(size=6)[g] * x)))
    zeros = fn.Laplace(zero_inflation="~ 1")
    fit = fn.fit("y ~ 1 + (0 + x | g)", {"y": y, "x": x, "g": g}, family="poisson", estimator=zeros)
    assert fit.converged
    assert fit.engine.flatness(fit)[1] < 1e-6


@pytest.mark.parametrize("given", [2.5, "9", None, [3], True])
def test_a_number_of_nodes_that_is_none_is_refused(given):
    with pytest.raises(ValueError, match="1 to 100 nodes, a whole number, got"):
        fn.AGQ(given)


def test_a_prior_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"prior= is fn.Normal\(sd=2.5\) or None, got 3"):
        fn.Laplace(prior=3)
    with pytest.raises(ValueError, match="sd= is a standard deviation above 0, got 'wide'"):
        fn.Normal(sd="wide")


@pytest.fixture(scope="module")
def small():
    return fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick())


@pytest.mark.parametrize("start", [[float("nan")], [float("inf")], [1e300]])
def test_numbers_that_are_no_theta_are_refused(small, start):
    with pytest.raises(ValueError, match="start= has numbers that are no ratios of standard deviations"):
        fn.refit(small, start=start)


@pytest.mark.parametrize("start", [["a"], np.ones((1, 1)), {"theta": 1}, 1.0])
def test_a_start_that_is_no_numbers_is_refused(small, start):
    with pytest.raises(ValueError, match="start= is one of moments, identity, zero, large, another fit, or numbers"):
        fn.refit(small, start=start)


def test_numbers_of_numpy_and_pandas_are_taken(small):
    again = fn.refit(small, iterations=np.int64(50), start=pd.Series(small.theta))
    assert again.criterion == pytest.approx(small.criterion)
    with pytest.raises(ValueError, match="iterations= is a whole number above 0, got True"):
        fn.refit(small, iterations=True)


def test_optimizers_are_at_least_one_word(small):
    assert fn.all_fit(small, "lbfgs").agree
    for given in ([], None, 5):
        with pytest.raises(ValueError, match="optimizers= are words of newton"):
            fn.all_fit(small, given)
