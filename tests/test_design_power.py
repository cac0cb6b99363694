"""What an optimal design detects: the law of T, power, ROC curves and simulated runs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro_design.t_statistic import expected_t, scale_law, tail

SCANS = np.arange(80)
FRAME = {"x": np.clip((SCANS - 10) / 15, 0, 1), "t": SCANS / 80}
RUNS = 4000


@functools.cache
def optimal(fix: tuple[str, ...] = ("x", "t")) -> Any:
    """Nine shifts at two signs, and a null design with drift alone."""
    snr = [{"x": 0.6, "t": 0.3}, {"x": -0.6, "t": 0.3}, {"x": 0, "t": 1}]
    return fn.optimize_design("~ center(shift(x, 0, 8)) + center(t)", FRAME, contrast="x", columns=3, fix=fix, snr=snr)


@functools.cache
def runs() -> Any:
    return optimal().simulate(RUNS, seed=1)


# ---- the law of T --------------------------------------------------------------------------------
def mixture(t: float, eta: float, D: float, nu: int) -> float:
    """The Poisson mixture of non-central t tails, by scipy's."""
    j = np.arange(max(0, int(D / 2 - 12 * D**0.5) - 5), int(D / 2 + 12 * D**0.5) + 60)
    share = stats.poisson.pmf(j, D / 2)
    return float(share @ stats.nct.sf(t * np.sqrt((nu + 2 * j) / nu), nu + 2 * j, eta))


@pytest.mark.parametrize("nu", [1, 3, 20, 594])
@pytest.mark.parametrize("share", [0.0, 1e-8, 0.75, 17.0])
def test_the_tail_is_the_poisson_mixture_of_non_central_ts(nu: int, share: float):
    eta, t = np.array([0.0, 1.5, 6.0, -2.0]), np.array([-2.0, 0.0, 1.0, 3.1, 9.0])
    found = tail(t, eta, np.full(4, share * nu), nu)
    beside = [[mixture(x, e, share * nu, nu) for x in t] for e in eta]
    np.testing.assert_allclose(found, beside, atol=1e-10)  # scipy's tails are good to about 1e-11


def test_a_very_large_misfit_is_no_trouble():
    s, weights = scale_law(50, 1e6)
    assert weights.sum() == pytest.approx(1, abs=1e-9)  # exponents of 5e5 keep ten digits
    assert weights @ s**2 == pytest.approx(1 + 1e6 / 50, rel=1e-9)  # E s^2 = 1 + D / nu
    assert tail(np.array([0.1]), np.array([20.0]), np.array([1e6]), 50)[0, 0] == pytest.approx(
        stats.norm.sf(0.1 * np.sqrt(1 + 1e6 / 50) - 20), abs=0.01  # s hardly spreads
    )  # fmt: skip


def test_the_expected_t_is_scipys_without_misfit_and_above_the_bound_with_it():
    eta, nu = np.array([0.5, 2.0, 5.0]), 12
    np.testing.assert_allclose(expected_t(eta, np.zeros(3), nu), stats.nct.mean(nu, eta), rtol=1e-11)
    D = np.array([3.0, 9.0, 40.0])
    assert (expected_t(eta, D, nu) >= eta / np.sqrt(1 + D / nu)).all()


# ---- simulated runs ------------------------------------------------------------------------------
def test_simulated_runs_are_those_of_scans_drawn_and_fitted_one_by_one():
    d = optimal()
    e = np.random.default_rng(5).standard_normal((80, 3))
    found = d.simulate(3, seed=5)
    Z = d.design.to_numpy()
    for i, j in ((0, 0), (7, 2), (18, 1)):
        y = d.family.v[:, i] + e[:, j]
        fitted, rest = np.linalg.lstsq(Z, y, rcond=None)[:2]
        assert found.estimate[i, j] == pytest.approx(d.contrast @ fitted, abs=1e-10)
        s2 = rest[0] / 77
        assert found.residual_sd[i, j] ** 2 == pytest.approx(s2, rel=1e-9)
        error = np.sqrt(s2 * (d.contrast @ np.linalg.inv(Z.T @ Z) @ d.contrast))
        assert found.t[i, j] == pytest.approx(d.contrast @ fitted / error, rel=1e-8)


def within(found: np.ndarray, expected: np.ndarray, draws: np.ndarray) -> bool:
    """Means of draws (m, n) within five standard errors of what is expected, for each design."""
    return bool((np.abs(found - expected) < 5 * draws.std(axis=1) / np.sqrt(draws.shape[1])).all())


def test_simulated_estimates_have_the_bias_that_is_told():
    d, seen = optimal(), runs()
    expected = np.where(d.family.l == 0, d.bias, d.family.l * (1 + d.bias))
    assert within(seen.estimate.mean(axis=1), expected, seen.estimate)


def test_simulated_residual_variances_are_raised_by_the_misfit():
    d, seen = optimal(), runs()
    assert within((seen.residual_sd**2).mean(axis=1), 1 + d.variance_bias, seen.residual_sd**2)


def test_the_mean_of_simulated_ts_is_expected_t():
    told = optimal().power(scale=1)["expected_t"].to_numpy()
    assert within(runs().t.mean(axis=1), told, runs().t)


@pytest.mark.parametrize("alternative", [None, "two-sided", "greater", "less"])
def test_simulated_power_is_the_exact_one(alternative: str | None):
    told = optimal().power(alpha=0.05, alternative=alternative)
    seen = runs().share_beyond(told["threshold"][0], alternative=alternative)
    margin = 5 * np.sqrt(told["power"] * (1 - told["power"]) / RUNS) + 1 / RUNS
    assert (np.abs(seen - told["power"]) < margin).all()


def test_without_effect_t_is_students_when_the_nuisance_is_in_the_design():
    d = optimal()
    null = d.to_frame().index[d.family.l == 0][0]
    assert d.power(alpha=0.01)["power"][null] == pytest.approx(0.01, abs=1e-10)
    assert stats.kstest(runs().t[null], stats.t(77).cdf).pvalue > 1e-3  # one fixed seed


def test_without_effect_t_is_not_students_when_all_columns_are_free():
    d = optimal(())
    assert d.power(alpha=0.01)["power"][18] != pytest.approx(0.01, abs=1e-6)


# ---- power and ROC -------------------------------------------------------------------------------
def test_both_signs_of_an_effect_have_the_same_power_and_more_signal_has_more():
    d = optimal()
    told = d.power()
    # the drift beside the effect is fitted, so the sign of the effect is all that differs
    np.testing.assert_allclose(told["power"][:9], told["power"][9:18], atol=1e-6)
    assert (d.power(scale=2)["power"][:18] > told["power"][:18]).all()
    # phi = .5 shrinks, so a biased design may pass more often than the unbiased one; never by much here
    assert (told["power"] <= told["best_power"] + 0.05).all()


def test_unless_asked_power_is_that_of_the_side_of_the_true_contrast():
    d = optimal()
    told, greater, less = (d.power(alternative=side)["power"] for side in (None, "greater", "less"))
    np.testing.assert_array_equal(told, greater.where(d.family.l >= 0, less))


def test_a_side_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="alternative='one-sided' is not known"):
        optimal().power(alternative="one-sided")


@pytest.mark.parametrize("seed", ["a", -1, 1.5, True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(DataError, match=r"seed is .*; a whole number from 0 or a numpy Generator"):
        optimal().simulate(10, seed=seed)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": "0.05"}, "alpha is '0.05'; a probability"),
        ({"alpha": 5}, "alpha is 5; a probability"),
        ({"threshold": "2"}, "threshold is '2'; a t value"),
        ({"scale": "2"}, "scale is '2'; a number above 0"),
    ],
)
def test_what_is_no_number_is_refused(options: Any, said: str):
    with pytest.raises(DataError, match=said):
        optimal().power(**options)


@pytest.mark.parametrize("given", ["x", 3, ["a"], [0]])
def test_lists_of_numbers_are_asked_for(given: Any):
    with pytest.raises(DataError, match=r"factors is .*; numbers above 0"):
        optimal().pareto(given)
    with pytest.raises(DataError, match=r"columns is .*; a list of whole numbers"):
        optimal().columns(given)


def test_a_threshold_is_the_quantile_of_alpha():
    d = optimal()
    at = stats.t.isf(0.001, 77)
    assert d.power()["threshold"][0] == pytest.approx(at, rel=1e-12)
    np.testing.assert_allclose(d.power(threshold=at)["power"], d.power(0.001)["power"], atol=1e-12)


def test_the_roc_curve_falls_from_everything_to_nothing():
    curve = optimal().roc()
    assert list(curve.columns) == ["threshold", "false_positives", "sensitivity", "lowest_sensitivity"]
    for name in curve.columns[1:]:
        assert (np.diff(curve[name]) <= 1e-12).all()
    assert curve["false_positives"].iloc[0] > 0.99 and curve["sensitivity"].iloc[-1] < 0.01
    assert (curve["lowest_sensitivity"] <= curve["sensitivity"]).all()


def test_points_of_the_roc_curve_are_shares_of_simulated_runs():
    curve = optimal().roc(active=[8], null=[18])
    point = curve.iloc[int(np.abs(curve["threshold"] - 1.5).argmin())]
    seen = runs().share_beyond(point["threshold"])
    assert seen[8] == pytest.approx(point["sensitivity"], abs=0.04)  # five standard errors of 4000 runs
    assert seen[18] == pytest.approx(point["false_positives"], abs=0.04)


def test_a_family_without_null_designs_is_set_against_noise():
    d = fn.optimize_design("~ shift(x, 0, 3)", FRAME, contrast="x", columns=2)
    curve = d.roc()
    np.testing.assert_allclose(curve["false_positives"], stats.t.sf(curve["threshold"], 78), atol=1e-10)


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("power", {"alpha": 1.5}, "alpha is 1.5; a probability"),
        ("power", {"alpha": 0.1, "threshold": 2}, "alpha and threshold are both given"),
        ("power", {"threshold": np.inf}, "threshold is inf"),
        ("power", {"scale": 0}, "scale is 0; a number above 0"),
        ("roc", {"active": [19]}, "active is .*; row numbers"),
        ("roc", {"null": []}, "null is .*; row numbers"),
        ("simulate", {"n": 1}, "n is 1; a number of simulated runs"),
        ("simulate", {"scale": -1}, "scale is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(verb: str, arguments: Any, said: str):
    with pytest.raises(DataError, match=said):
        getattr(optimal(), verb)(**arguments)
