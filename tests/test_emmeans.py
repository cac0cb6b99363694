"""Estimated marginal means and their contrasts: by hand, by known answers, and against live R's emmeans."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro.inference.marginal.adjust import Statistics, adjusted, critical
from formula_neuro.inference.marginal.contrast_weights import family, polynomials


@pytest.fixture(scope="module")
def mice():
    """Unbalanced: dose by sex in mice, with a weight, a 0/1 covariate and cages."""
    rng = np.random.default_rng(7)
    n = 90
    table = pd.DataFrame({"dose": rng.choice(["high", "low", "none"], n), "sex": rng.choice(["F", "M"], n)})
    table["weight"], table["lit"], table["cage"] = rng.normal(25, 3, n), rng.integers(0, 2, n), rng.integers(0, 9, n)
    table["visit"] = pd.Categorical(rng.choice(["1", "2", "3"], n))
    table["hours"] = rng.uniform(1, 5, n)
    eta = 0.4 * (table["dose"] == "high") - 0.2 * (table["sex"] == "M") + 0.03 * table["weight"] - 0.5
    table["y"] = eta + rng.normal(size=n) + rng.normal(size=9)[table["cage"]]
    table["lick"] = (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(int)
    table["count"] = rng.poisson(table["hours"] * np.exp(eta / 2))
    return table.assign(latency=rng.gamma(3, np.exp(eta) / 3))


# ---- by hand -------------------------------------------------------------------------------------
def test_means_of_one_factor_are_its_groups_means():
    table = pd.DataFrame({"y": [1.0, 3, 4, 6, 9, 8], "g": list("aabbcc")})
    means = fn.emmeans(fn.fit("y ~ g", table), "g").means
    assert means["g"].tolist() == ["a", "b", "c"] and np.allclose(means["estimate"], [2, 5, 8.5])


def test_factors_left_out_are_averaged_with_equal_weights(mice):
    fit = fn.fit("y ~ dose * sex", mice)
    cells = mice.groupby(["dose", "sex"])["y"].mean().unstack()
    found = fn.emmeans(fit, "dose")
    assert np.allclose(found.means["estimate"], cells.mean(axis=1))
    assert "Results are averaged over the levels of: sex" in found.messages


def test_numbers_stand_at_their_mean_or_where_they_are_put(mice):
    fit = fn.fit("y ~ weight", mice)
    middle = fn.emmeans(fit, "weight").means
    placed = fn.emmeans(fit, "weight", at={"weight": [20, 30]}).means
    assert middle["estimate"].item() == pytest.approx(mice["y"].mean())
    assert np.diff(placed["estimate"]).item() == pytest.approx(10 * fit.beta[1])


def test_contrasts_are_within_each_setting_of_by(mice):
    found = fn.emmeans(fn.fit("y ~ dose * sex", mice), "dose | sex", "trt.vs.ctrl").contrasts
    assert found[["contrast", "sex"]].to_numpy().tolist() == [
        ["low - high", "F"], ["none - high", "F"], ["low - high", "M"], ["none - high", "M"],
    ]  # fmt: skip


def test_own_weights_make_own_contrasts(mice):
    fit = fn.fit("y ~ dose", mice)
    row = fn.emmeans(fit, "dose", {"high against the others": [1, -0.5, -0.5]}).contrasts.iloc[0]
    by_hand = fn.contrast(fit, [0, -0.5, -0.5]).table.iloc[0]
    assert [row[c] for c in ("estimate", "std_error", "p_value")] == pytest.approx(
        [by_hand[c] for c in ("estimate", "std_error", "p_value")]
    )


def test_a_mean_that_the_data_cannot_determine_is_nan(mice):
    holed = mice[(mice["dose"] != "high") | (mice["sex"] != "M")]
    fit = fn.fit("y ~ dose * sex", holed)
    found = fn.emmeans(fit, "dose", "pairwise")
    assert found.means["estimate"].isna().tolist() == [True, False, False]
    assert found.contrasts["p_value"].isna().tolist() == [True, True, False]


def test_an_aliased_column_does_not_change_means(mice):
    doubled = mice.assign(grams=1000 * mice["weight"])
    one, two = (fn.fit(f, doubled) for f in ("y ~ dose + weight", "y ~ dose + weight + grams"))
    assert np.allclose(fn.emmeans(one, "dose").means["estimate"], fn.emmeans(two, "dose").means["estimate"])


def test_means_of_responses_lie_within_their_range(mice):
    fit = fn.fit("lick ~ dose + weight", mice, family="binomial")
    link, response = (fn.emmeans(fit, "dose", type=t).means for t in ("link", "response"))
    for column in ("estimate", "conf_low", "conf_high"):
        assert np.allclose(response[column], 1 / (1 + np.exp(-link[column])))


def test_contrasts_of_a_logit_model_are_odds_ratios(mice):
    fit = fn.fit("lick ~ dose", mice, family="binomial")
    link, ratios = (fn.emmeans(fit, "dose", "pairwise", type=t).contrasts for t in ("link", "response"))
    assert np.allclose(ratios["estimate"], np.exp(link["estimate"])) and ratios["contrast"][0] == "high / low"
    assert np.allclose(ratios["p_value"], link["p_value"])


def test_contrasts_on_another_links_scale_say_so(mice):
    fit = fn.fit("lick ~ dose", mice, family="binomial(probit)")
    assert "Contrasts are on the probit scale." in fn.emmeans(fit, "dose", "pairwise", type="response").messages


def test_unknown_words_are_named(mice):
    fit = fn.fit("y ~ dose", mice)
    with pytest.raises(ValueError, match="sex is no predictor of the fixed part; there are dose"):
        fn.emmeans(fit, "sex")
    with pytest.raises(ValueError, match=r"factor\(dose\) is no predictor .*: write 'dose'"):
        fn.emmeans(fn.fit("y ~ factor(dose)", mice), "factor(dose)")
    with pytest.raises(ValueError, match="write specs='dose', contrast='pairwise'"):
        fn.emmeans(fit, "pairwise ~ dose")
    with pytest.raises(DataError, match="no predictor, so there is one mean only"):
        fn.emmeans(fn.fit("y ~ 1", mice), "dose")
    with pytest.raises(ValueError, match="contrast='pairs' is not known; there are pairwise"):
        fn.emmeans(fit, "dose", "pairs")
    with pytest.raises(ValueError, match="adjust='tuckey' is not known; there are none, tukey"):
        fn.emmeans(fit, "dose", "pairwise", adjust="tuckey")
    with pytest.raises(ValueError, match="type='prob' is not known"):
        fn.emmeans(fit, "dose", type="prob")
    with pytest.raises(DataError, match="at: dose has no level medium; there are high, low, none"):
        fn.emmeans(fit, "dose", at={"dose": "medium"})
    with pytest.raises(ValueError, match="one weight for each of the 3 means: high, low, none"):
        fn.emmeans(fit, "dose", {"a": [1, -1]})


def test_an_offset_given_as_an_array_is_at_its_mean(mice):
    column = fn.fit("count ~ dose + offset(hours)", mice, family="poisson")
    array = fn.fit("count ~ dose", mice, family="poisson", offset=mice["hours"].to_numpy())
    assert np.allclose(fn.emmeans(column, "dose").means["estimate"], fn.emmeans(array, "dose").means["estimate"])


# ---- families ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("k", "rows"),
    [
        (3, [[-1, 0, 1], [1, -2, 1]]),
        (5, [[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2], [-1, 2, 0, -2, 1], [1, -4, 6, -4, 1]]),  # Fisher and Yates
    ],
)
def test_polynomials_are_those_of_the_tables(k, rows):
    assert polynomials(k).tolist() == rows


@pytest.mark.parametrize("word", ["pairwise", "revpairwise", "trt.vs.ctrl", "trt.vs.ctrlk", "consec", "eff", "poly"])
def test_contrasts_sum_to_zero(word):
    chosen = family(word, list("abcd"))
    assert np.allclose(chosen.weights.sum(axis=1), 0) and len(chosen.labels) == len(chosen.weights)


def test_names_that_hold_signs_are_put_in_brackets():
    assert family("pairwise", ["a-b", "c"]).labels == ("(a-b) - c",)


# ---- adjustment ----------------------------------------------------------------------------------
T, DF, V = np.array([2.6, -1.9, 0.4]), np.full(3, 17.0), np.eye(3) + 0.5
ALL = ["none", "tukey", "sidak", "bonferroni", "dunnettx", "scheffe", "mvt"]


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("df", [17.0, np.inf])
def test_a_statistic_at_the_critical_value_has_p_of_alpha(method, df):
    c = critical(Statistics(T, np.full(3, df), V, 3), method, 0.95)
    p = adjusted(Statistics(c, np.full(3, df), V, 3), method)
    assert np.allclose(p, 0.05, atol=2e-5)  # a step of the quasi-random points


def test_two_means_need_no_adjustment_by_tukey():
    tests = Statistics(np.array([2.0]), np.array([9.0]), np.eye(1), 2)
    assert adjusted(tests, "tukey") == pytest.approx(2 * stats.t.sf(2.0, 9))


def test_one_t_of_many_is_its_own_largest():
    tests = Statistics(np.array([2.0, 2.0]), np.array([9.0, 9.0]), np.ones((2, 2)))  # one test, twice
    assert adjusted(tests, "mvt") == pytest.approx(2 * stats.t.sf(2.0, 9), abs=2e-4)  # quasi-random points


def test_independent_normals_are_sidaks_by_mvt():
    tests = Statistics(T, np.full(3, np.inf), np.eye(3))
    assert adjusted(tests, "mvt") == pytest.approx(adjusted(tests, "sidak"), abs=2e-4)  # quasi-random points


def test_what_is_missing_takes_no_part():
    tests = Statistics(np.array([2.6, np.nan, 0.4]), DF, V)
    assert np.allclose(adjusted(tests, "bonferroni"), [2 * 2 * stats.t.sf(2.6, 17), np.nan, 1], equal_nan=True)


# ---- against R -----------------------------------------------------------------------------------
LINEAR = "y ~ dose * sex + weight + lit + visit"


def compare(fit, reference, specs, contrast=None, *, rtol=1e-6, atol=1e-9, **options):
    """Our tables beside R's of the same model, column by column."""
    found = fn.emmeans(fit, specs, contrast, **options)
    given = fit.request.design
    other = fn.fit(given.formula.text, given.given.table, family=fit.request.family, backend=reference)
    means, contrasts = other.engine.emmeans(other, specs, contrast, **options)
    axes = [*specs, *options.get("by", ())]
    assert np.allclose(_numbers(found.means, len(axes))[:, :5], _numbers(means, len(axes))[:, :5], rtol=rtol, atol=atol)
    if contrast is not None:
        by = len(options.get("by", ()))
        ours = found.contrasts
        assert ours["contrast"].astype(str).tolist() == contrasts["contrast"].astype(str).tolist()
        theirs = contrasts.drop(columns=["null"], errors="ignore")
        assert np.allclose(_numbers(ours, 1 + by), _numbers(theirs, 1 + by), rtol=rtol, atol=atol)


def _numbers(table, first):
    return table.iloc[:, first:].to_numpy(dtype=float)


@pytest.mark.r
@pytest.mark.parametrize("specs", [["visit"], ["lit"], ["weight"], ["sex", "visit", "dose"]])
def test_means_equal_rs(mice, specs):
    compare(fn.fit(LINEAR, mice), "r-lm", specs)


@pytest.mark.r
@pytest.mark.parametrize(
    ("contrast", "specs"),
    [
        ("pairwise", ["dose", "lit"]), ("revpairwise", ["visit"]), ("trt.vs.ctrl", ["dose", "lit"]),
        ("trt.vs.ctrlk", ["visit"]), ("eff", ["dose"]), ("poly", ["dose", "sex"]),
    ],
)  # fmt: skip
def test_contrasts_equal_rs(mice, contrast, specs):
    # R's ptukey is right to about 1e-8; its critical values are found to 1e-4 (qtukey) and 1e-5 (uniroot)
    compare(fn.fit(LINEAR, mice), "r-lm", specs, contrast, rtol=2e-4, atol=1e-6)


@pytest.mark.r
@pytest.mark.parametrize("adjust", ["none", "sidak", "bonferroni", "holm", "hochberg", "fdr", "by", "scheffe"])
def test_adjustments_equal_rs(mice, adjust):
    compare(fn.fit(LINEAR, mice), "r-lm", ["dose"], "pairwise", by=["sex"], adjust=adjust)


@pytest.mark.r
@pytest.mark.parametrize("contrast", ["pairwise", "consec"])
def test_correlated_t_equals_rs_to_the_digits_of_both(mice, contrast):
    # R's pmvt draws at random with an error of 1e-3, ours at quasi-random points with about 1e-4
    compare(fn.fit(LINEAR, mice), "r-lm", ["dose"], contrast, adjust="mvt", rtol=5e-3, atol=2e-3)


@pytest.mark.r
@pytest.mark.parametrize("type", ["link", "response"])
@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("lick ~ dose + sex + weight", "binomial"),
        ("lick ~ dose * sex", "binomial(probit)"),
        ("count ~ dose * sex + weight", "poisson"),
        ("count ~ dose + offset(log(hours))", "poisson"),
        ("latency ~ dose + weight", "Gamma(log)"),
    ],
)
def test_glms_equal_rs(mice, formula, family, type):
    # glm() stops at a relative change of the deviance of 1e-8, some 1e-5 of a standard error before the limit
    compare(fn.fit(formula, mice, family=family), "r-glm", ["dose"], "pairwise", type=type, rtol=1e-3, atol=1e-5)


@pytest.mark.r
@pytest.mark.parametrize(
    "formula", ["y ~ scale(weight) + dose", "y ~ poly(weight, 2) * dose", "y ~ factor(lit) + dose"]
)
def test_transformed_predictors_equal_rs(mice, formula):
    compare(fn.fit(formula, mice), "r-lm", ["dose"], "pairwise", adjust="sidak")


@pytest.mark.r
def test_own_weights_equal_rs(mice):
    weights = {"high": [1.0, -0.5, -0.5], "none": [0.0, -1.0, 1.0]}
    compare(fn.fit(LINEAR, mice), "r-lm", ["dose"], weights, by=["sex"])


@pytest.mark.r
def test_numbers_put_somewhere_equal_rs(mice):
    at = {"weight": [20.0, 24.0, 30.0]}
    compare(fn.fit("y ~ dose * weight", mice), "r-lm", ["weight"], "consec", by=["dose"], at=at, adjust="none")


@pytest.mark.r
def test_logicals_equal_rs(mice):
    compare(fn.fit("y ~ treated + weight", mice.assign(treated=mice["lit"] == 1)), "r-lm", ["treated"], "pairwise")


@pytest.mark.r
def test_mixed_models_equal_rs(mice):
    fit = fn.fit("y ~ dose * sex + (1|cage)", mice, backend="lmerTest")
    # degrees of freedom by numerical derivatives on both sides; Tukey's critical values are found to 1e-4 in R
    compare(fit, "lmerTest", ["dose"], "pairwise", by=["sex"], df="satterthwaite", rtol=1e-3)


@pytest.mark.r
def test_generalized_mixed_models_equal_rs(mice):
    fit = fn.fit("lick ~ dose + (1|cage)", mice, family="binomial", backend="lme4")
    compare(fit, "lme4", ["dose"], "pairwise", type="response", rtol=2e-4)  # qtukey


@pytest.mark.parametrize("family", ["Gamma", "inverse.gaussian"])
def test_limits_beyond_the_branch_of_an_inverse_link_are_infinite_as_predicts(family, recwarn):
    d = pd.DataFrame({"y": [0.5, 9.0, 1.5, 30.0, 0.2, 4.0], "f": list("aaabbb")})
    m = fn.fit("y ~ f", d, family=family)
    means = fn.emmeans(m, "f", type="response").means
    predicted = m.predict(pd.DataFrame({"f": ["a", "b"]}), interval="confidence")
    # the same numbers by another road: rounding
    np.testing.assert_allclose(means[["conf_low", "conf_high"]], predicted[["conf_low", "conf_high"]], rtol=1e-9)
    assert np.isposinf(means.conf_high).any() and not recwarn.list


def test_means_of_a_separated_fit_say_that_they_mean_nothing():
    table = pd.DataFrame({"y": [0, 1, 0, 1, 1, 1, 1, 1], "g": list("aaaabbbb"), "x": [1.0, 2, 3, 4, 1, 2, 3, 4]})
    m = fn.fit("y ~ g", table, family="binomial")
    assert "gb is infinite (separation)" in fn.emmeans(m, "g").messages[0]
    assert "estimator='mean_br'" in fn.emmeans(m, "g").messages[0]
    finite = fn.refit(m, estimator="mean_br")
    assert not any("infinite" in text for text in fn.emmeans(finite, "g").messages)
