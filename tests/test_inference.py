"""tidy, glance, contrast, anova, varcorr, ranef: tables with known answers, and R's own tables."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError, Unable
from formula_neuro.inference.freedom import pooled_df
from formula_neuro.inference.hypothesis import read

COLUMNS = ["term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high"]
BINOMIAL = {"family": "binomial"}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 120
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "z": rng.normal(size=n),
            "f": rng.choice(list("abc"), n),
            "s": rng.choice(["a b", "c-d"], n),
            "g": rng.integers(1, 11, n),
            "w": rng.integers(1, 5, n),
        }
    )
    effects = rng.normal(size=(11, 2)) * [0.8, 0.4]
    eta = 0.5 * data["x"] + (data["f"] == "b") + effects[data["g"], 0] + effects[data["g"], 1] * data["x"]
    data["y"] = eta + rng.normal(size=n)
    data["b"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    data["k"] = rng.poisson(np.exp(eta / 2))
    return data


DATA = table()


@pytest.fixture(scope="module")
def lm():
    return fn.fit("y ~ x + f", DATA)


@pytest.fixture(scope="module")
def lmm():
    return fn.fit("y ~ x + f + (x|g)", DATA)


@pytest.fixture(scope="module")
def glmm():
    return fn.fit("b ~ x + f + (1|g)", DATA, **BINOMIAL)


# ---- tidy ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["lm", "lmm", "glmm"])
def test_tidy_has_its_columns_and_one_row_a_coefficient(name, request):
    fit = request.getfixturevalue(name)
    tidy = fit.tidy()
    assert list(tidy.columns) == COLUMNS
    assert tidy.term.tolist() == ["(Intercept)", "x", "fb", "fc"]
    np.testing.assert_array_equal(tidy.estimate, fit.coef)
    np.testing.assert_array_equal(tidy.std_error, fit.se)
    np.testing.assert_allclose(tidy.statistic, fit.coef / fit.se, rtol=1e-15)


def test_an_lm_is_tested_by_t_with_its_residual_degrees_of_freedom(lm):
    tidy = lm.tidy()
    assert (tidy.df == lm.df_resid).all()
    np.testing.assert_allclose(tidy.p_value, 2 * stats.t.sf(np.abs(tidy.statistic), 116), rtol=1e-14)
    np.testing.assert_allclose(tidy.conf_high, tidy.estimate + stats.t.ppf(0.975, 116) * tidy.std_error, rtol=1e-14)


def test_a_glmm_is_tested_by_z(glmm):
    tidy = glmm.tidy()
    assert np.isinf(tidy.df).all()
    np.testing.assert_allclose(tidy.p_value, 2 * stats.norm.sf(np.abs(tidy.statistic)), rtol=1e-12)
    np.testing.assert_allclose(tidy.conf_low, tidy.estimate - stats.norm.ppf(0.975) * tidy.std_error, rtol=1e-12)


def test_an_lmm_takes_satterthwaites_degrees_of_freedom_by_default(lmm):
    pd.testing.assert_frame_equal(lmm.tidy(), lmm.tidy(df="satterthwaite"))
    assert (lmm.tidy().df < lmm.df_resid).all()


@pytest.mark.parametrize(("word", "df"), [("none", np.inf), ("residual", None)])
def test_degrees_of_freedom_can_be_asked_for(lm, lmm, glmm, word, df):
    for fit in (lm, lmm, glmm):
        assert (fit.tidy(df=word).df == (fit.df_resid if df is None else df)).all()


def test_degrees_of_freedom_that_a_model_has_not_are_refused(lm, glmm):
    for fit, words in ((lm, ("containment",)), (glmm, ())):
        for word in ("satterthwaite", "kenward-roger", *words):
            with pytest.raises(Unable, match=f"df='{word}' is for linear mixed models; this is a {fit.request.model}"):
                fit.tidy(df=word)
    with pytest.raises(ValueError, match="df='foo' is not known; there are satterthwaite, kenward-roger, containment"):
        lm.tidy(df="foo")


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_interval_has_the_level_asked_for(lm, level):
    tidy = lm.tidy(conf_level=level)
    inside = stats.t.cdf((tidy.conf_high - tidy.estimate) / tidy.std_error, 116)
    np.testing.assert_allclose(2 * inside - 1, level, rtol=1e-12)


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, "0.95", None])
def test_a_level_that_is_none_is_refused(lm, level):
    with pytest.raises(ValueError, match="conf_level lies between 0 and 1"):
        lm.tidy(conf_level=level)
    with pytest.raises(ValueError, match="conf_level lies between 0 and 1"):
        fn.contrast(lm, "x", conf_level=level)


def test_exponentiate_turns_estimates_and_limits_into_ratios_only(glmm):
    plain, ratios = glmm.tidy(), glmm.tidy(exponentiate=True)
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratios[column], np.exp(plain[column]), rtol=1e-15)
    for column in ("std_error", "statistic", "df", "p_value"):
        np.testing.assert_array_equal(ratios[column], plain[column])


def test_an_aliased_coefficient_is_a_row_of_nan():
    tidy = fn.fit("y ~ x + I(2*x) + (1|g)", DATA).tidy().set_index("term")
    assert tidy.loc["I(2 * x)"].isna().all()
    assert tidy.drop(index="I(2 * x)").notna().all(axis=None)


def test_other_covariances_are_refused_by_name(lm):
    with pytest.raises(ValueError, match="vcov='HC9' is not known; there are HC0, HC1, HC2, HC3"):
        lm.tidy(vcov="HC9")


# ---- glance ----------------------------------------------------------------------------------------
def test_glance_is_one_row_with_the_fits_numbers(lm, lmm, glmm):
    for fit in (lm, lmm, glmm):
        row = fit.glance().iloc[0]
        for name in ("nobs", "n_parameters", "df_resid", "sigma", "loglik", "aic", "bic", "deviance", "converged"):
            assert row[name] == getattr(fit, name), name
        assert (row.model, row.estimator) == (fit.request.model, fit.request.estimator.word)


def test_aic_and_bic_follow_from_the_log_likelihood(lm, lmm, glmm):
    for fit, k in ((lm, 5), (lmm, 8), (glmm, 5)):  # coefficients, variances and correlations
        assert fit.n_parameters == k
        assert fit.aic == pytest.approx(-2 * fit.loglik + 2 * k, rel=1e-14)
        assert fit.bic == pytest.approx(-2 * fit.loglik + np.log(120) * k, rel=1e-14)


def test_r_squared_is_the_share_of_variance_explained(lm):
    row = lm.glance().iloc[0]
    explained = 1 - ((DATA["y"] - lm.fitted) ** 2).sum() / ((DATA["y"] - DATA["y"].mean()) ** 2).sum()
    assert row.r_squared == pytest.approx(explained, rel=1e-12)
    assert row.adj_r_squared == pytest.approx(1 - (1 - explained) * 119 / 116, rel=1e-12)


# ---- reading hypotheses ----------------------------------------------------------------------------
NAMES = ["(Intercept)", "x", "xx", "f1", "f1:x", "I(x^2)", "I(2 * x)", "`my x`", "sc-d", "s a b", "`1e5`"]


@pytest.mark.parametrize(
    ("text", "weights", "value"),
    [
        ("x", {"x": 1}, 0),
        ("x = 0", {"x": 1}, 0),
        ("x == 2", {"x": 1}, 2),
        ("xx - x", {"xx": 1, "x": -1}, 0),
        ("-x", {"x": -1}, 0),
        ("+x - -xx", {"x": 1, "xx": 1}, 0),
        ("2*x", {"x": 2}, 0),
        ("x*2", {"x": 2}, 0),
        ("x/4", {"x": 0.25}, 0),
        ("2*x/4*3", {"x": 1.5}, 0),
        (".5*x + 1e-1*xx", {"x": 0.5, "xx": 0.1}, 0),
        ("x = xx", {"x": 1, "xx": -1}, 0),
        ("x - 1 = xx + 2", {"x": 1, "xx": -1}, 3),
        ("3 = x", {"x": -1}, -3),
        ("x + x", {"x": 2}, 0),
        ("(Intercept) - x", {"(Intercept)": 1, "x": -1}, 0),
        ("f1:x - f1", {"f1:x": 1, "f1": -1}, 0),
        ("I(x^2) = 1", {"I(x^2)": 1}, 1),
        ("I(2*x) - x", {"I(2 * x)": 1, "x": -1}, 0),
        ("`my x` - `x`", {"`my x`": 1, "x": -1}, 0),
        ("sc-d - x", {"sc-d": 1, "x": -1}, 0),
        ("s a b + x", {"s a b": 1, "x": 1}, 0),
        ("`s a b` = 0", {"s a b": 1}, 0),
        ("`1e5` = 1e5", {"`1e5`": 1}, 1e5),
    ],
)
def test_a_hypothesis_is_read_by_the_longest_names(text, weights, value):
    L, r = read(text, NAMES)
    assert dict(zip(NAMES, L, strict=True)) == {name: weights.get(name, 0) for name in NAMES}
    assert r == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("marked", "says"),
    [
        ("«y", "expected a coefficient here (there are (Intercept), x"),
        ("x - «xxx", "expected a coefficient"),
        ("x = 1 «= 2", "one '=' only"),
        ("x «xx", "expected a sign"),
        ("2 «x", "expected a sign"),
        ("x*«xx", "a number or one coefficient"),
        ("2/«x", "a number or one coefficient"),
        ("x/«0", "division by zero"),
        ("x +«", "ends too early"),
        ("x =«", "ends too early"),
        ("«= x", "ends too early"),
        ("x * «* 2", "expected a number"),
        ("«(x - xx)/2", "brackets are not multiplied out"),
        ("x «; xx", "expected a coefficient"),
        ("«x - x", "no coefficient is named"),
        ("«5 = 5", "no coefficient is named"),
    ],
)
def test_a_hypothesis_that_cannot_be_read_says_where(marked, says):
    with pytest.raises(FormulaError) as caught:
        read(marked.replace("«", ""), NAMES)
    assert says in caught.value.message
    assert caught.value.position == marked.index("«")


# ---- contrast --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["lm", "lmm", "glmm"])
def test_a_single_coefficient_is_tidys_row(name, request):
    fit = request.getfixturevalue(name)
    tidy = fit.tidy().set_index("term")
    for term in tidy.index:
        row = fn.contrast(fit, term).table.set_index("term").loc[term]
        np.testing.assert_allclose(row.astype(float), tidy.loc[term].astype(float), rtol=1e-12)


@pytest.mark.parametrize("name", ["lm", "lmm", "glmm"])
def test_texts_lists_mappings_vectors_and_matrices_say_the_same(name, request):
    fit = request.getfixturevalue(name)
    wanted = fn.contrast(fit, "fb - 2*fc").table.drop(columns="term")
    for given in (["fb - 2*fc"], {"fb": 1, "fc": -2}, [0, 0, 1, -2], np.array([[0, 0, 1, -2]]), "fb = 2*fc"):
        got = fn.contrast(fit, given)
        pd.testing.assert_frame_equal(got.table.drop(columns="term"), wanted, rtol=1e-12)
        assert got.matrix.tolist() == [[0, 0, 1, -2]]


def test_a_contrast_is_the_wald_test_of_its_formula(lm):
    c = fn.contrast(lm, "fb - fc = 0.5")
    row, v = c.table.iloc[0], lm.vcov
    assert row.estimate == pytest.approx(lm.coef["fb"] - lm.coef["fc"], rel=1e-14)
    assert row.std_error == pytest.approx(
        np.sqrt(v.loc["fb", "fb"] + v.loc["fc", "fc"] - 2 * v.loc["fb", "fc"]), rel=1e-12
    )
    assert row.statistic == pytest.approx((row.estimate - 0.5) / row.std_error, rel=1e-14)
    assert c.value.tolist() == [0.5]


def test_the_labels_are_as_given(lm):
    assert fn.contrast(lm, ["fb = 1", "x"]).table.term.tolist() == ["fb = 1", "x"]
    assert fn.contrast(lm, {"fb": 1, "fc": -1}).table.term.tolist() == ["1*fb - 1*fc"]
    assert fn.contrast(lm, np.eye(4)[1:3]).table.term.tolist() == ["row 1", "row 2"]


def test_coefficients_with_operators_in_their_names_can_be_contrasted():
    fit = fn.fit("y ~ s*x + I(x^2)", DATA)
    row = fn.contrast(fit, "sc-d - sc-d:x = 0").table.iloc[0]
    assert row.estimate == pytest.approx(fit.coef["sc-d"] - fit.coef["sc-d:x"], rel=1e-14)
    assert fn.contrast(fit, "I(x^2) - x").table.estimate[0] == pytest.approx(
        fit.coef["I(x^2)"] - fit.coef["x"], rel=1e-14
    )


def test_the_joint_test_of_a_factor_is_anovas_f(lm):
    joint = fn.contrast(lm, ["fb", "fc"]).joint.iloc[0]
    row = fn.anova(fn.fit("y ~ x", DATA), lm).iloc[1]
    assert (joint.test, joint.df, joint.df_resid) == ("F", 2, 116)
    assert joint.statistic == pytest.approx(row.statistic, rel=1e-11)
    assert joint.p_value == pytest.approx(row.p_value, rel=1e-10)


def test_the_joint_test_of_a_glmm_is_chi_squared(glmm):
    joint = fn.contrast(glmm, ["fb", "fc"]).joint.iloc[0]
    b, v = glmm.coef[["fb", "fc"]], glmm.vcov.loc[["fb", "fc"], ["fb", "fc"]]
    assert (joint.test, joint.df) == ("chi-squared", 2)
    assert joint.statistic == pytest.approx(b @ np.linalg.solve(v, b), rel=1e-12)
    assert joint.p_value == pytest.approx(stats.chi2.sf(joint.statistic, 2), rel=1e-12)


def test_the_joint_test_of_one_row_is_its_square(lmm):
    c = fn.contrast(lmm, "x = 0.2")
    assert c.joint.statistic[0] == pytest.approx(c.table.statistic[0] ** 2, rel=1e-12)
    assert c.joint.df_resid[0] == pytest.approx(c.table.df[0], rel=1e-8)
    assert c.joint.p_value[0] == pytest.approx(c.table.p_value[0], rel=1e-8)


def test_the_joint_test_does_not_depend_on_how_its_rows_are_chosen(lmm):
    one = fn.contrast(lmm, ["fb", "fc"]).joint.iloc[0]
    other = fn.contrast(lmm, ["fb - fc", "2*fb + fc"]).joint.iloc[0]
    assert other.statistic == pytest.approx(one.statistic, rel=1e-10)
    repeated = fn.contrast(lmm, ["fb", "fc", "fb - fc"]).joint.iloc[0]
    assert (repeated.df, repeated.statistic) == (2, pytest.approx(one.statistic, rel=1e-10))


def test_values_that_contradict_one_another_are_refused(lm):
    with pytest.raises(ValueError, match="the hypotheses contradict one another"):
        fn.contrast(lm, ["x = 0", "x = 1"])
    assert fn.contrast(lm, ["x = 1", "2*x = 2"]).joint.df[0] == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([1, 2], r"one weight a coefficient \(4: \(Intercept\), x, fb, fc\), got numbers of shape \(2,\)"),
        (np.ones((2, 2, 2)), r"got numbers of shape \(2, 2, 2\)"),
        ([], "got numbers of shape"),
        ([0, 0, 0, 0], "row 1 of the contrast has no weight but 0"),
        ([np.nan, 0, 0, 1], "weights are numbers, none missing or infinite"),
        ({"q": 1}, "'?q'? is not a coefficient; there are"),
        ({}, "is not a coefficient; there are"),
        ({"x": "a"}, "the weight of x is a number, not 'a'"),
        ({"x": 0}, "has no weight but 0"),
        (["x", [1, 0, 0, 0]], "a contrast is a text, a list of texts, a mapping, or numbers"),
        (None, "got numbers of shape"),
    ],
)
def test_a_contrast_of_another_form_is_refused(lm, given, says):
    with pytest.raises(ValueError, match=says):
        fn.contrast(lm, given)


def test_an_aliased_coefficient_cannot_be_tested_but_others_can():
    fit = fn.fit("y ~ x + I(2*x) + z", DATA)
    with pytest.raises(DataError, match=r"I\(2 \* x\) is aliased"):
        fn.contrast(fit, "x - I(2 * x)")
    expected = fn.contrast(fn.fit("y ~ x + z", DATA), "x - z").table
    pd.testing.assert_frame_equal(fn.contrast(fit, "x - z").table, expected, rtol=1e-10)


def test_without_residual_degrees_of_freedom_nothing_is_tested():
    c = fn.contrast(fn.fit("y ~ x", DATA.iloc[:2]), "x")
    assert c.table.p_value.isna().all()
    assert c.joint.p_value.isna().all()


def test_pooled_degrees_of_freedom():
    assert pooled_df(np.array([7.0])) == 7
    assert pooled_df(np.array([7.0, 7.0])) == 7
    assert pooled_df(np.array([1.5, 30.0])) == 2
    E = 10 / 8 + 20 / 18
    assert pooled_df(np.array([10.0, 20.0])) == pytest.approx(2 * E / (E - 2), rel=1e-14)


# ---- anova -----------------------------------------------------------------------------------------
def test_an_lm_table_is_the_f_test_of_its_formula(lm):
    small = fn.fit("y ~ x", DATA)
    a = fn.anova(small, lm)
    rss = [((DATA["y"] - fit.fitted) ** 2).sum() for fit in (small, lm)]
    assert list(a.columns) == ["model", "df_resid", "rss", "df", "sum_sq", "statistic", "p_value"]
    assert a.model.tolist() == ["y ~ x", "y ~ x + f"]
    np.testing.assert_allclose(a.rss, rss, rtol=1e-12)
    assert (a.df[1], a.df_resid.tolist()) == (2, [118, 116])
    F = (rss[0] - rss[1]) / 2 / (rss[1] / 116)
    assert a.statistic[1] == pytest.approx(F, rel=1e-10)
    assert a.p_value[1] == pytest.approx(stats.f.sf(F, 2, 116), rel=1e-9)
    assert a.iloc[0][["df", "sum_sq", "statistic", "p_value"]].isna().all()


def test_other_tables_are_likelihood_ratio_tests(glmm):
    small = fn.fit("b ~ x + (1|g)", DATA, **BINOMIAL)
    a = fn.anova(small, glmm)
    assert list(a.columns) == "model n_parameters aic bic loglik deviance statistic df p_value".split()
    statistic = 2 * (glmm.loglik - small.loglik)
    assert a.statistic[1] == pytest.approx(statistic, rel=1e-12)
    assert a.p_value[1] == pytest.approx(stats.chi2.sf(statistic, 2), rel=1e-12)
    assert a.attrs["messages"] == ()


def test_the_order_of_the_fits_does_not_matter(lm):
    fits = [fn.fit("y ~ 1", DATA), fn.fit("y ~ x", DATA), lm]
    pd.testing.assert_frame_equal(fn.anova(*fits), fn.anova(*fits[::-1]))


def test_reml_fits_are_refitted_by_ml_and_told(lmm):
    small = fn.fit("y ~ x + (x|g)", DATA)
    a = fn.anova(small, lmm)
    by_ml = [fn.fit(formula, DATA, estimator="ml").loglik for formula in ("y ~ x + (x|g)", "y ~ x + f + (x|g)")]
    np.testing.assert_allclose(a.loglik, by_ml, rtol=1e-9)
    assert a.attrs["messages"] == ("REML fits were refitted by maximum likelihood for the comparison",)


def test_a_variance_is_tested_with_a_word_about_its_boundary(lmm):
    a = fn.anova(lmm, fn.fit("y ~ x + f + (1|g)", DATA))
    assert any("cannot be negative" in message for message in a.attrs["messages"])


def test_a_mixed_model_can_be_compared_with_the_model_without_groups(lm, lmm, glmm):
    a = fn.anova(lm, fn.fit("y ~ x + f + (1|g)", DATA))
    assert a.loglik[0] == pytest.approx(lm.loglik, rel=1e-13)
    a = fn.anova(fn.fit("b ~ x + f", DATA, **BINOMIAL), glmm)
    assert (a.df[1], a.statistic[1] >= 0) == (1, True)


def test_models_that_are_not_nested_are_told():
    for one, other in (("y ~ x", "y ~ z + w"), ("y ~ x + (1|g)", "y ~ z + w + (1|g)")):
        a = fn.anova(fn.fit(one, DATA), fn.fit(other, DATA))
        assert any("are not nested in their fixed parts" in message for message in a.attrs["messages"])


def test_models_nested_by_their_space_are_nested():
    a = fn.anova(fn.fit("y ~ I(2*x - 3)", DATA), fn.fit("y ~ poly(x, 2)", DATA))
    assert a.attrs["messages"] == ()


def test_other_offsets_are_told(lm):
    a = fn.anova(fn.fit("y ~ x", DATA, offset="z"), lm)
    assert any("different offsets" in message for message in a.attrs["messages"])


def test_a_fit_compared_with_itself_has_no_test(lm):
    assert fn.anova(lm, lm)[["df", "statistic", "p_value"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda: fn.fit("y ~ x", DATA.iloc[1:]), "the fits use different rows"),
        (lambda: fn.fit("y ~ x", DATA.assign(x=DATA["x"].where(DATA.index > 0))), "120 and 119"),
        (lambda: fn.fit("I(y + 1) ~ x", DATA), "different responses or weights"),
        (lambda: fn.fit("y ~ x", DATA, weights="w"), "different responses or weights"),
        (lambda: fn.fit("y ~ x", DATA.iloc[::-1]), "different responses or weights"),
    ],
)
def test_fits_of_other_data_are_refused(lm, other, says):
    with pytest.raises(DataError, match=says):
        fn.anova(lm, other())


def test_fits_of_other_families_and_estimators_are_refused(glmm):
    probit = fn.fit("b ~ x + (1|g)", DATA, family="binomial(probit)")
    with pytest.raises(DataError, match=r"different families \(binomial\(logit\) and binomial\(probit\)\)"):
        fn.anova(glmm, probit)
    with pytest.raises(DataError, match=r"different estimators \(AGQ\(nodes=5\) and laplace\)"):
        fn.anova(glmm, fn.fit("b ~ x + (1|g)", DATA, estimator="AGQ(5)", **BINOMIAL))


def test_what_is_no_fit_is_refused(lm):
    with pytest.raises(TypeError, match="anova is of fits, got str"):
        fn.anova(lm, "y ~ x")


# ---- random effects --------------------------------------------------------------------------------
def test_varcorr_lists_variances_then_covariances_then_the_residual(lmm):
    v = lmm.varcorr()
    assert list(v.columns) == ["group", "term", "term2", "covariance", "sd_or_correlation"]
    rows = [(r.group, r.term, r.term2) for r in v.itertuples()]
    assert rows == [("g", "(Intercept)", None), ("g", "x", None), ("g", "(Intercept)", "x"), ("Residual", None, None)]
    a, b, ab, residual = v.covariance
    np.testing.assert_allclose(v.sd_or_correlation, [a**0.5, b**0.5, ab / (a * b) ** 0.5, residual**0.5], rtol=1e-12)
    assert residual == pytest.approx(lmm.sigma**2, rel=1e-14)


def test_varcorr_of_a_family_without_dispersion_has_no_residual(glmm):
    assert glmm.varcorr().group.tolist() == ["g"]


def test_ranef_has_a_row_a_level_and_term(lmm):
    r = lmm.ranef()
    assert list(r.columns) == ["group", "level", "term", "estimate", "sd"]
    assert r.level.tolist() == [str(i) for i in range(1, 11) for _ in range(2)]
    assert r.term.tolist() == ["(Intercept)", "x"] * 10
    assert (r.sd > 0).all()


def test_ranef_of_several_terms_follows_lme4s_order():
    r = fn.fit("y ~ x + (1|f) + (1|g)", DATA).ranef()
    assert r.group.drop_duplicates().tolist() == ["g", "f"]
    assert len(r) == 13


def test_a_model_without_groups_has_an_empty_ranef(lm):
    assert lm.ranef().empty
    assert list(lm.ranef().columns) == ["group", "level", "term", "estimate", "sd"]
    assert lm.varcorr().group.tolist() == ["Residual"]


# ---- beside R --------------------------------------------------------------------------------------
SCRIPT = """
suppressMessages({library(lme4); library(lmerTest)})
d <- read.csv("data.csv", colClasses = c(f = "factor", s = "factor"))
d$g <- factor(d$g)
write <- function(x) { cat("#", "\\n"); write.table(format(as.data.frame(x), digits = 17), sep = ",", quote = FALSE) }
l0 <- lm(y ~ x, d, weights = w); l1 <- lm(y ~ x + f, d, weights = w); l2 <- lm(y ~ x * f, d, weights = w)
write(anova(l0, l1, l2))
write(summary(l2)$coefficients); write(confint(l2, level = .9))
g0 <- glm(k ~ x, poisson, d, epsilon = 1e-14); g1 <- glm(k ~ x + f, poisson, d, epsilon = 1e-14)
write(anova(g0, g1, test = "LRT")); write(summary(g1)$coefficients)
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12, maxfun = 1e5))
m0 <- lmer(y ~ x + (x | g), d, control = control); m1 <- lmer(y ~ x + f + (x | g), d, control = control)
write(suppressMessages(anova(m0, m1)))
write(summary(m1)$coefficients)
write(contestMD(m1, rbind(c(0, 0, 1, 0), c(0, 0, 0, 1))))
write(contest1D(m1, c(0, 0, 1, -1), confint = TRUE))
"""


@pytest.fixture(scope="module")
def from_r(tmp_path_factory) -> list[np.ndarray]:
    folder = tmp_path_factory.mktemp("inference")
    DATA.to_csv(folder / "data.csv", index=False, float_format="%.17g")
    (folder / "tables.R").write_text(SCRIPT)
    done = subprocess.run(["Rscript", "--vanilla", "tables.R"], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    texts = done.stdout.split("# \n")[1:]
    tables = [pd.read_csv(io.StringIO("row," + text), skipinitialspace=True) for text in texts]
    return [table.iloc[:, 1:].to_numpy(float) for table in tables]


def agrees(ours: pd.DataFrame | np.ndarray, theirs: np.ndarray, rtol: float) -> None:
    np.testing.assert_allclose(np.asarray(ours, dtype=float), theirs, rtol=rtol)


@pytest.mark.r
def test_anova_of_linear_models_is_rs(from_r):
    fits = [fn.fit(formula, DATA, weights="w") for formula in ("y ~ x", "y ~ x + f", "y ~ x * f")]
    agrees(fn.anova(*fits).drop(columns="model"), from_r[0], 1e-8)


@pytest.mark.r
def test_coefficients_and_intervals_of_a_linear_model_are_rs(from_r):
    fit = fn.fit("y ~ x * f", DATA, weights="w")
    agrees(fit.tidy()[["estimate", "std_error", "statistic", "p_value"]], from_r[1], 1e-9)
    agrees(fit.tidy(conf_level=0.9)[["conf_low", "conf_high"]], from_r[2], 1e-9)


@pytest.mark.r
def test_anova_and_coefficients_of_counts_are_rs(from_r):
    g0, g1 = (fn.fit(formula, DATA, family="poisson") for formula in ("k ~ x", "k ~ x + f"))
    # columns of R's: residual df, residual deviance, df, deviance, p
    agrees(fn.anova(g0, g1)[["df", "statistic", "p_value"]].iloc[1], from_r[3][1, 2:], 1e-8)
    agrees(g1.tidy()[["estimate", "std_error", "statistic", "p_value"]], from_r[4], 1e-8)


@pytest.mark.r
def test_anova_of_mixed_models_is_lme4s(from_r, lmm):
    a = fn.anova(fn.fit("y ~ x + (x|g)", DATA), lmm)
    # columns of lme4's: npar, AIC, BIC, logLik, deviance, Chisq, Df, p; the optimum leaves some 1e-8
    agrees(a.drop(columns="model"), from_r[5], 1e-6)


@pytest.mark.r
def test_satterthwaites_tests_are_lmertests(from_r, lmm):
    # lmerTest differentiates numerically, which leaves 4 to 6 digits of the degrees of freedom
    agrees(lmm.tidy()[["estimate", "std_error", "df", "statistic", "p_value"]], from_r[6], 2e-4)


@pytest.mark.r
def test_the_joint_f_of_a_mixed_model_is_lmertests(from_r, lmm):
    joint = fn.contrast(lmm, ["fb", "fc"]).joint
    # columns of lmerTest's: sum of squares, mean square, df, df_resid, F, p
    agrees(joint[["df", "df_resid", "statistic", "p_value"]].iloc[0], from_r[7][0, 2:], 2e-4)


@pytest.mark.r
def test_a_contrast_of_a_mixed_model_is_lmertests(from_r, lmm):
    columns = ["estimate", "std_error", "df", "statistic", "conf_low", "conf_high", "p_value"]
    agrees(fn.contrast(lmm, "fb - fc").table[columns], from_r[8], 2e-4)


def test_a_fit_without_coefficients_has_no_hypothesis_to_test():
    with pytest.raises(ValueError, match="no hypothesis to test"):
        fn.contrast(fn.fit("y ~ 0", {"y": [1.0, 2, 3]}), np.eye(0))


@pytest.mark.parametrize("family", ["Gamma", "inverse.gaussian"])
def test_a_row_of_weight_0_simulates_nan_without_a_warning(family, recwarn):
    m = fn.fit("y ~ 1", {"y": [1.0, 2, 3], "w": [1, 0, 1]}, family=family, weights="w")
    drawn = m.simulate(seed=1).sim_1.tolist()
    assert np.isnan(drawn[1]) and drawn[0] > 0 < drawn[2] and not recwarn.list
