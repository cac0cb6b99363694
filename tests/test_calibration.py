"""Do tests keep their size and intervals their coverage? Simulations with fixed seeds and honest Monte-Carlo bounds.

The bound of a simulated share is the nominal one with 3.3 standard errors on either side (two-sided 0.1 %).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.inference.intervals.likelihood_tests import hypothesis

N, LEVEL = 40, 3.841458820694124  # rows; the 95 % quantile of chi-squared on 1 degree of freedom
ROW = np.array([[0.0, 1.0, 0.0]])


@cache
def simulated(intercept: float, slope: float, count: int) -> dict[str, np.ndarray]:
    """Chi-squared statistics (count,) of the true slope by each test, NaN where all responses are alike."""
    rng = np.random.default_rng(20)
    x, z = rng.normal(size=(2, N))
    chance = 1 / (1 + np.exp(-(intercept + slope * x + 0.5 * z)))
    found = {name: np.full(count, np.nan) for name in ("wald", "lr", "score", "penalised")}
    for i in range(count):
        data = {"b": (rng.random(N) < chance).astype(int), "x": x, "z": z}
        if len(set(data["b"])) < 2:
            continue
        ml, firth = (fn.fit("b ~ x + z", data, family="binomial", estimator=how) for how in ("ml", "mean_br"))
        found["wald"][i] = (ml.beta[1] - slope) ** 2 / ml.covariance[1, 1]
        found["lr"][i] = hypothesis(ml, ROW, "lr").statistic(np.array([slope]))
        found["score"][i] = hypothesis(ml, ROW, "score").statistic(np.array([slope]))
        found["penalised"][i] = hypothesis(firth, ROW, "lr").statistic(np.array([slope]))
    return found


def rejected(found: np.ndarray) -> tuple[float, float]:
    """The share of rejections at 5 %, and 3.3 standard errors of a share that is 5 %."""
    used = found[~np.isnan(found)]
    return float((used > LEVEL).mean()), 3.3 * float(np.sqrt(0.05 * 0.95 / len(used)))


@pytest.mark.parametrize("test", ["lr", "score", "penalised"])
def test_tests_of_a_true_slope_keep_their_size(test):
    share, error = rejected(simulated(-0.5, 0.0, 120)[test])
    assert abs(share - 0.05) < error


@pytest.mark.parametrize("test", ["score", "penalised"])
def test_with_rare_events_score_and_penalised_tests_keep_their_size(test):
    share, error = rejected(simulated(-2.2, 1.5, 120)[test])
    assert abs(share - 0.05) < error


def test_with_rare_events_walds_test_sees_less_than_the_others():
    found = simulated(-2.2, 1.5, 120)
    # both of the same data, so the difference has no Monte-Carlo error of its own to speak of
    assert rejected(found["wald"])[0] < rejected(found["lr"])[0]


# ---- exactly, by listing every outcome -------------------------------------------------------------
TRIALS = (6, 8)


@cache
def enumerated(estimator: str, test: str, truth: float) -> np.ndarray:
    """The statistic of every 2 x 2 table of two groups for a difference of logits of `truth`; NaN for constant ones."""
    found = np.full((TRIALS[0] + 1, TRIALS[1] + 1), np.nan)
    for s in range(TRIALS[0] + 1):
        for t in range(TRIALS[1] + 1):
            if estimator == "ml" and s + t in (0, sum(TRIALS)):
                continue
            data = {"g": ["a", "b"], "s": [s, t], "f": [TRIALS[0] - s, TRIALS[1] - t]}
            fit = fn.fit("cbind(s, f) ~ g", data, family="binomial", estimator=estimator)
            if test == "wald":
                found[s, t] = (fit.beta[1] - truth) ** 2 / fit.covariance[1, 1]
            else:
                found[s, t] = hypothesis(fit, np.array([[0.0, 1.0]]), test).statistic(np.array([truth]))
    return found


def coverage(statistics: np.ndarray, first: float, truth: float) -> float:
    """The exact probability that a 95 % interval, all values with a statistic below the quantile, holds the truth."""
    second = 1 / (1 + (1 - first) / first * np.exp(-truth))
    chances = np.outer(*(stats.binom.pmf(np.arange(m + 1), m, p) for m, p in zip(TRIALS, (first, second), strict=True)))
    return float(chances[~(statistics > LEVEL)].sum())  # constant tables have the whole line


@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_of_few_responses_score_and_penalised_intervals_cover_nearest_to_what_they_say(truth):
    cases = {
        "wald": ("ml", "wald"),
        "profile": ("ml", "lr"),
        "score": ("ml", "score"),
        "penalised": ("mean_br", "lr"),
    }
    chances = np.linspace(0.1, 0.6, 26)
    mean = {
        name: np.mean([coverage(enumerated(*case, truth), p, truth) for p in chances]) for name, case in cases.items()
    }
    # exact probabilities; 14 responses have so few outcomes that a percent or two is all that can be asked
    assert abs(mean["score"] - 0.95) < 0.01
    assert abs(mean["penalised"] - 0.95) < 0.02
    assert 0.90 < mean["profile"] < 0.94  # as the likelihood ratio of so few responses
    assert mean["wald"] > 0.98  # infinite standard errors cover everything
