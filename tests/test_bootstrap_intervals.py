"""fn.confint(method="bootstrap"): its four intervals, three ways of resampling, and what it says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import FitError, Unable
from formula_neuro.inference.bootstrap.distributions import _acceleration, bootstrap
from formula_neuro.inference.bootstrap.interval_kinds import limits, quantiles
from formula_neuro.inference.bootstrap.resampling import clusters_to_draw, of_clusters, pool, redrawn, reflated


def table(seed: int = 5) -> pd.DataFrame:
    """96 rows in 12 groups of 3 sites."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(12), 8)
    x = rng.standard_normal(len(g))
    y = 2 + 0.5 * x + 0.8 * rng.standard_normal(12)[g] + rng.standard_normal(len(g))
    return pd.DataFrame({"y": y, "x": x, "g": g, "site": g // 4, "h": np.tile(np.arange(8), 12), "b": (y > 2) * 1})


DATA = table()


@pytest.fixture(scope="module")
def lm():
    return fn.fit("y ~ x", DATA)


@pytest.fixture(scope="module")
def lmm():
    return fn.fit("y ~ x + (1|g)", DATA)


def interval(fit, term: str, **options) -> tuple[float, float]:
    found = fn.confint(fit, term, method=fn.Bootstrap(seed=1, **options)).iloc[0]
    return found["conf_low"], found["conf_high"]


# ---- the four intervals --------------------------------------------------------------------------
DRAWS = np.random.default_rng(0).gamma(3, size=999)


def test_percentiles_are_order_statistics():
    assert limits("percentile", DRAWS, 3.0, 0.0, 0.95) == (np.sort(DRAWS)[24], np.sort(DRAWS)[974])


def test_the_basic_interval_reflects_percentiles_at_the_estimate():
    low, high = limits("percentile", DRAWS, 3.0, 0.0, 0.9)
    assert limits("basic", DRAWS, 3.0, 0.0, 0.9) == pytest.approx((6 - high, 6 - low), rel=1e-14)


def test_the_normal_interval_takes_the_bias_off():
    low, high = limits("normal", DRAWS, 3.0, 0.0, 0.95)
    assert (low + high) / 2 == pytest.approx(3.0 - (DRAWS.mean() - 3.0), rel=1e-12)
    assert (high - low) / 2 == pytest.approx(stats.norm.ppf(0.975) * DRAWS.std(ddof=1), rel=1e-12)


def test_bca_without_bias_and_skewness_is_the_percentile_interval():
    middle = float(np.median(DRAWS))  # half of the draws below: no bias
    assert limits("bca", DRAWS, middle, 0.0, 0.95) == pytest.approx(
        limits("percentile", DRAWS, middle, 0.0, 0.95), rel=1e-12
    )


def test_acceleration_moves_both_ends_of_bca_upwards():
    plain, fast = (limits("bca", DRAWS, 3.0, a, 0.95) for a in (0.0, 0.05))
    assert fast[0] > plain[0] and fast[1] > plain[1]


def test_infinite_replicates_make_an_infinite_end_and_no_other_harm():
    draws = np.concatenate([np.arange(95.0), np.full(4, np.inf)])
    assert limits("percentile", draws, 50.0, 0.0, 0.95)[1] == np.inf
    assert limits("percentile", draws, 50.0, 0.0, 0.9) == (4.0, 94.0)


def test_levels_between_two_order_statistics_are_on_a_straight_line():
    assert quantiles(np.array([1.0, 3.0, 5.0]), np.array([0.25, 0.375])).tolist() == [1.0, 2.0]


def test_the_acceleration_of_a_mean_is_its_skewness(lm):
    y = DATA["y"].to_numpy()
    e = y - y.mean()
    fit = fn.fit("y ~ 1", DATA)
    a = _acceleration(fit, fn.Bootstrap(resample="cases"))[0]
    # the mean without row i differs from the mean of these means by e_i / (n - 1), exactly
    assert a == pytest.approx((e**3).sum() / (6 * (e**2).sum() ** 1.5), rel=1e-9)


# ---- distributions -------------------------------------------------------------------------------
def test_the_parametric_spread_of_a_coefficient_is_its_standard_error(lm):
    draws = bootstrap(lm, fn.Bootstrap(n=1000, seed=1)).to_frame()
    # the error of a standard deviation of 1000 draws is 2.2 %; four of them
    np.testing.assert_allclose(draws[["(Intercept)", "x"]].std(), lm.se, rtol=0.09)


def test_the_residual_spread_of_a_coefficient_is_its_standard_error(lm):
    draws = bootstrap(lm, fn.Bootstrap(n=1000, seed=1, resample="residuals")).to_frame()
    np.testing.assert_allclose(draws[["(Intercept)", "x"]].std(), lm.se, rtol=0.09)


def test_the_spread_over_cases_is_the_sandwich(lm):
    draws = bootstrap(lm, fn.Bootstrap(n=300, seed=1, resample="cases")).to_frame()
    robust = lm.tidy(vcov="HC3")["std_error"]
    # 4.1 % of Monte-Carlo error, times four, and the small-sample difference of the two
    np.testing.assert_allclose(draws[["(Intercept)", "x"]].std(), robust, rtol=0.2)


@pytest.mark.parametrize("resample", ["parametric", "residuals"])
def test_the_spread_of_a_mixed_models_coefficient_is_its_standard_error(lmm, resample):
    draws = bootstrap(lmm, fn.Bootstrap(n=400, seed=1, resample=resample)).to_frame()
    # 3.5 % of Monte-Carlo error, times four
    np.testing.assert_allclose(draws[["(Intercept)", "x"]].std(), lmm.se, rtol=0.15)


def test_fitted_effects_leave_the_groups_where_they_are(lmm):
    new, fitted = (
        bootstrap(lmm, fn.Bootstrap(n=200, seed=1, effects=effects)).to_frame()["(Intercept)"].std()
        for effects in ("new", "fitted")
    )
    assert fitted < 0.7 * new  # of the two parts of the variance one is left out: about .1 of .3


def test_all_four_intervals_hold_the_estimate(lmm):
    for kind in ("percentile", "basic", "normal", "bca"):
        low, high = interval(lmm, "x", n=200, interval=kind)
        assert low < lmm.coef["x"] < high


def test_variances_have_intervals_too(lmm):
    found = fn.confint(lmm, method=fn.Bootstrap(n=60, seed=1))
    assert found["term"].tolist() == ["sd_(Intercept)|g", "sigma", "(Intercept)", "x"]
    assert found["estimate"].tolist()[:2] == pytest.approx(lmm.varcorr()["sd_or_correlation"].tolist(), rel=1e-12)


def test_parameters_can_be_asked_for_by_kind(lmm):
    how = fn.Bootstrap(n=10, seed=1)
    assert fn.confint(lmm, "beta_", method=how)["term"].tolist() == ["(Intercept)", "x"]
    assert fn.confint(lmm, "theta_", method=how)["term"].tolist() == ["sd_(Intercept)|g", "sigma"]


def test_names_and_order_are_those_of_profiles(lmm):
    profiled = fn.confint(lmm, method="profile")["term"].tolist()
    assert fn.confint(lmm, method=fn.Bootstrap(n=10, seed=1))["term"].tolist() == profiled


def test_correlations_have_intervals_too():
    fit = fn.fit("y ~ x + (x|g)", DATA)
    found = fn.confint(fit, "cor_x.(Intercept)|g", method=fn.Bootstrap(n=40, seed=1)).iloc[0]
    assert -1 <= found["conf_low"] < found["conf_high"] <= 1


@pytest.mark.parametrize("formula", ["b ~ x", "b ~ x + (1|g)"])
def test_generalized_models_have_intervals_without_sigma(formula):
    fit = fn.fit(formula, DATA, family="binomial")
    terms = fn.confint(fit, method=fn.Bootstrap(n=20, seed=1))["term"].tolist()
    assert "sigma" not in terms and terms[-2:] == ["(Intercept)", "x"]


def test_aliased_coefficients_have_no_interval():
    fit = fn.fit("y ~ x + I(2 * x)", DATA)
    found = fn.confint(fit, method=fn.Bootstrap(n=20, seed=1)).set_index("term")
    assert found.loc["I(2 * x)", ["conf_low", "conf_high"]].isna().all()
    assert found.loc["x", ["conf_low", "conf_high"]].notna().all()


# ---- resampling ----------------------------------------------------------------------------------
def test_a_cluster_drawn_twice_counts_as_two(lmm):
    clusters = clusters_to_draw(lmm, None)
    request = of_clusters(lmm.request, clusters, np.array([3, 3, 0]))
    (term,) = request.design.random
    assert len(term.levels) == 3 and np.bincount(term.codes).tolist() == [8, 8, 8]


def test_drawn_clusters_bring_their_rows_along(lmm):
    clusters = clusters_to_draw(lmm, None)
    request = of_clusters(lmm.request, clusters, np.array([5, 5]))
    own = lmm.request.y[DATA["g"] == 5]
    assert np.array_equal(request.y, np.concatenate([own, own]))


def test_all_clusters_in_their_order_give_the_fit_again(lmm):
    clusters = clusters_to_draw(lmm, None)
    again = lmm.engine.refit(of_clusters(lmm.request, clusters, np.arange(12)))
    assert again.criterion == pytest.approx(lmm.criterion, rel=1e-10)


def test_nested_groups_are_drawn_by_the_outermost():
    fit = fn.fit("y ~ x + (1|site/g)", DATA)
    clusters = clusters_to_draw(fit, None)
    assert (clusters.name, len(clusters.members)) == ("site", 3)


def test_rows_are_the_clusters_of_a_model_without_groups(lm):
    assert len(clusters_to_draw(lm, None).members) == 96


def test_clusters_can_be_named(lm):
    assert len(clusters_to_draw(lm, "site").members) == 3


def test_crossed_groups_cannot_be_drawn_as_a_whole():
    fit = fn.fit("y ~ x + (1|g) + (1|h)", DATA)
    with pytest.raises(Unable, match="levels of g lie in several of them"):
        clusters_to_draw(fit, None)


def test_reflated_modes_have_the_estimated_covariance(lmm):
    effect = fn.fit("y ~ x + (x|g)", DATA).random[0]
    modes = reflated(effect.modes, effect.covariance)
    np.testing.assert_allclose(modes.T @ modes / len(modes), effect.covariance, rtol=1e-8, atol=1e-10)


def test_reflated_residuals_have_the_estimated_variance(lmm):
    residuals = pool(lmm).residuals
    assert (residuals**2).mean() == pytest.approx(lmm.sigma**2, rel=1e-10)


def test_a_redrawn_response_is_made_of_its_parts(lmm):
    source = replace(pool(lmm), residuals=np.zeros(96))
    y = redrawn(lmm, source, np.random.default_rng(0)) - source.fixed
    assert set(np.round(y, 10)) <= set(np.round(source.modes[0][:, 0], 10))


# ---- the same numbers, and what went wrong -------------------------------------------------------
@pytest.mark.parametrize("resample", ["parametric", "residuals", "cases"])
def test_the_same_seed_gives_the_same_numbers_whoever_works(lm, resample):
    how = fn.Bootstrap(n=25, seed=1, resample=resample)
    with ThreadPoolExecutor(2) as pool:
        shared = bootstrap(lm, replace(how, workers=pool))
    assert np.array_equal(shared.draws, bootstrap(lm, how).draws)


def test_the_first_replicates_do_not_depend_on_how_many_follow(lmm):
    few, many = (bootstrap(lmm, fn.Bootstrap(n=n, seed=1)).draws for n in (7, 30))
    assert np.array_equal(few, many[:7])


def test_failing_replicates_are_counted_and_said(lm):
    class Failing:
        def __init__(self, inner):
            self.inner, self.calls = inner, 0

        def refit(self, request):
            self.calls += 1
            if self.calls % 4 == 0:
                raise FitError("it broke")
            return self.inner.refit(request)

    found = fn.confint(replace(lm, engine=Failing(lm.engine)), method=fn.Bootstrap(n=20, seed=1))
    assert found.attrs["messages"][:2] == (
        "15 of 20 replicates used (parametric, seed 1)",
        "failed: 5 x FitError: it broke",
    )


def test_a_replicate_without_one_of_the_coefficients_has_failed():
    d = DATA.assign(rare=(DATA["g"] == 0) * 1.0)
    found = bootstrap(fn.fit("y ~ rare", d), fn.Bootstrap(n=40, seed=1, resample="cases", cluster="g"))
    assert any("could not be estimated" in reason for reason in found.reasons)


def test_a_word_is_enough(lm):
    found = fn.confint(lm, "x", method="bootstrap")
    assert found.loc[0, "method"] == "bootstrap percentile"
    assert "1000 of 1000 replicates used" in found.attrs["messages"][0]


@pytest.mark.parametrize(
    "options, said",
    [
        ({"n": 1}, "2 or more"),
        ({"interval": "student"}, "interval='student' is not known"),
        ({"resample": "wild"}, "resample='wild' is not known"),
        ({"effects": "fitted", "resample": "cases"}, "belongs to resample='parametric'"),
        ({"cluster": "g"}, "belongs to resample='cases'"),
    ],
)
def test_choices_check_themselves(options, said):
    with pytest.raises(ValueError, match=said):
        fn.Bootstrap(**options)


def test_an_unknown_parameter_is_named_beside_those_known(lmm):
    with pytest.raises(ValueError, match=r"z is not a parameter; there are sd_\(Intercept\)\|g; sigma; "):
        fn.confint(lmm, "z", method=fn.Bootstrap(n=5))


def test_residuals_of_a_generalized_model_are_not_drawn():
    fit = fn.fit("b ~ x", DATA, family="binomial")
    with pytest.raises(Unable, match="linear models only"):
        fn.confint(fit, method=fn.Bootstrap(n=5, resample="residuals"))


def test_a_quasi_family_cannot_be_simulated_but_its_cases_can_be_drawn():
    fit = fn.fit("b ~ x", DATA, family="quasibinomial")
    with pytest.raises(Unable, match="take Bootstrap"):
        fn.confint(fit, method=fn.Bootstrap(n=5))
    assert fn.confint(fit, "x", method=fn.Bootstrap(n=10, seed=1, resample="cases"))["conf_low"].notna().all()
