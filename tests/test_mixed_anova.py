"""Tests of the terms of mixed models: known answers, agreement between the tests, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import Unable


@pytest.fixture(scope="module")
def trials():
    """Two factors and a covariate, unbalanced, in twelve animals."""
    rng = np.random.default_rng(2)
    n = 120
    t = pd.DataFrame({"g": rng.integers(0, 12, n), "x": rng.normal(2, 1, n)})
    t["f"], t["h"] = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]), rng.choice(["u", "v"], n)
    eta = rng.normal(size=12)[t.g] + 0.5 * t.x + (t.f == "b")
    t = t.assign(y=eta + rng.normal(size=n), lick=(rng.uniform(size=n) < 1 / (1 + np.exp(-eta + 1))).astype(int))
    return t.assign(g=t.g.map("g{}".format))


@pytest.fixture(scope="module")
def lmm(trials):
    return fn.fit("y ~ f * h + x + (1|g)", trials)


@pytest.fixture(scope="module")
def glmm(trials):
    return fn.fit("lick ~ f * h + x + (1|g)", trials, family="binomial")


# ---- F tests -------------------------------------------------------------------------------------
def test_type_three_is_the_default_and_says_how_it_tests(lmm):
    table = fn.anova(lmm)
    assert table["term"].tolist() == ["f", "h", "x", "f:h"]
    assert table.attrs["messages"] == ("Type III, F tests with Satterthwaite's degrees of freedom",)


def test_type_three_tests_means_that_weigh_all_cells_alike(lmm):
    pairs = fn.emmeans(lmm, "f", "trt.vs.ctrl", adjust="none")
    rows = np.array([[-1, 1, 0], [-1, 0, 1]]) @ pairs.matrix
    joint = fn.contrast(lmm, rows).joint.iloc[0]
    row = fn.anova(lmm).set_index("term").loc["f"]
    assert [row["statistic"], row["df_resid"]] == pytest.approx([joint["statistic"], joint["df_resid"]], rel=1e-8)


def test_type_three_ignores_the_contrasts_of_the_fit(trials, lmm):
    other = fn.fit("y ~ f * h + x + (1|g)", trials, contrasts={"f": "contr.sum", "h": "contr.helmert"})
    columns = ["df", "df_resid", "sum_sq", "mean_sq", "statistic", "p_value"]
    np.testing.assert_allclose(fn.anova(other)[columns], fn.anova(lmm)[columns], rtol=1e-8)


def test_type_one_is_of_the_terms_in_their_order(trials):
    one, other = (fn.fit(f"y ~ {part} + (1|g)", trials) for part in ("f + x", "x + f"))
    first, last = (fn.anova(m, type="I").set_index("term")["statistic"] for m in (one, other))
    assert first["f"] != pytest.approx(last["f"], rel=1e-3)
    # the last term of either order is tested given all others, as in type III
    assert last["f"] == pytest.approx(fn.anova(other).set_index("term")["statistic"]["f"], rel=1e-8)


def test_type_two_leaves_what_contains_a_term_out(trials):
    table = fn.anova(fn.fit("y ~ f * h + x + (1|g)", trials), type="II").set_index("term")
    last = fn.anova(fn.fit("y ~ f * h + x + (1|g)", trials), type="III").set_index("term")
    assert table.loc["f:h", "statistic"] == pytest.approx(last.loc["f:h", "statistic"], rel=1e-8)
    assert table.loc["h", "statistic"] != pytest.approx(last.loc["h", "statistic"], rel=1e-3)


def test_mean_squares_are_f_times_the_residual_variance(lmm):
    table = fn.anova(lmm)
    np.testing.assert_allclose(table["mean_sq"], table["statistic"] * lmm.sigma**2)
    np.testing.assert_allclose(table["sum_sq"], table["mean_sq"] * table["df"])


def test_one_degree_of_freedom_is_the_square_of_its_t(lmm):
    row, t = fn.anova(lmm).set_index("term").loc["x"], lmm.tidy().set_index("term").loc["x"]
    expected = [t["statistic"] ** 2, t["df"], t["p_value"]]
    assert [row["statistic"], row["df_resid"], row["p_value"]] == pytest.approx(expected, rel=1e-9)


def test_without_degrees_of_freedom_walds_statistic_is_chi_squared(lmm):
    table, F = fn.anova(lmm, df="none"), fn.anova(lmm)
    assert table.columns.tolist() == ["term", "df", "statistic", "p_value"]
    np.testing.assert_allclose(table["statistic"], F["statistic"] * F["df"])
    np.testing.assert_allclose(table["p_value"], stats.chi2.sf(table["statistic"], table["df"]))


def test_empty_cells_leave_types_one_and_two(trials):
    holed = trials[(trials["f"] != "c") | (trials["h"] != "v")]
    m = fn.fit("y ~ f * h + (1|g)", holed)
    assert fn.anova(m, type="I")["df"].tolist() == [2, 1, 1]
    with pytest.raises(Unable, match="needs every coefficient to be estimable, and fc:hv"):
        fn.anova(m)


# ---- likelihood ratios ---------------------------------------------------------------------------
def test_likelihood_ratios_are_those_of_the_two_fits(trials, lmm):
    row = fn.anova(lmm, test="LRT").set_index("term").loc["x"]
    two = fn.anova(fn.fit("y ~ f * h + (1|g)", trials), lmm).iloc[1]
    assert row[["df", "statistic", "p_value"]].tolist() == pytest.approx(
        two[["df", "statistic", "p_value"]].tolist(), rel=1e-7
    )


def test_likelihood_ratios_of_type_three_ignore_contrasts(trials, glmm):
    other = fn.fit("lick ~ f * h + x + (1|g)", trials, family="binomial", contrasts={"f": "contr.sum"})
    one, two = (fn.anova(m, test="LRT")["statistic"] for m in (glmm, other))
    np.testing.assert_allclose(one, two, atol=1e-6)  # where either search stopped


def test_generalized_mixed_models_have_walds_chi_squared(glmm):
    table = fn.anova(glmm).set_index("term")
    z = glmm.tidy().set_index("term").loc["x"]
    assert table.loc["x", "statistic"] == pytest.approx(z["statistic"] ** 2)
    assert table.loc["x", "p_value"] == pytest.approx(z["p_value"])


# ---- drop1 ---------------------------------------------------------------------------------------
def test_drop1_is_of_the_terms_that_no_other_contains(lmm):
    table = fn.drop1(lmm)
    assert table["term"].tolist() == ["x", "f:h"]
    last = fn.anova(lmm).set_index("term").loc[["x", "f:h"]]
    np.testing.assert_allclose(table["statistic"], last["statistic"], rtol=1e-8)


def test_drop1_by_likelihood_ratio_has_the_aic_of_fits_by_maximum_likelihood(trials, lmm):
    table = fn.drop1(lmm, test="Chisq").set_index("term")
    without = fn.fit("y ~ f * h + (1|g)", trials, estimator="ml")
    assert table.loc["x", "aic"] == pytest.approx(without.aic, abs=1e-6)
    assert table.loc["<none>", "aic"] == pytest.approx(
        fn.fit("y ~ f * h + x + (1|g)", trials, estimator="ml").aic, abs=1e-6
    )


def test_drop1_of_generalized_mixed_models_refits_by_default(glmm):
    assert fn.drop1(glmm).columns.tolist() == ["term", "df", "aic", "statistic", "p_value"]
    assert fn.drop1(glmm, test=None).columns.tolist() == ["term", "df", "aic"]
    assert fn.drop1(glmm, "x", test="Wald")["term"].tolist() == ["x"]


# ---- words ---------------------------------------------------------------------------------------
def test_what_is_not_offered_is_named(lmm, glmm, trials):
    with pytest.raises(ValueError, match="type='IV' is not known; there are I, II, III"):
        fn.anova(lmm, type="IV")
    with pytest.raises(ValueError, match="test='Rao' is not offered for a mixed model; there are F, Wald"):
        fn.anova(lmm, test="Rao")
    with pytest.raises(Unable, match="an F test is of linear mixed models"):
        fn.anova(glmm, test="F")
    with pytest.raises(Unable, match="df='satterthwaite' is for linear mixed models; the tests of a generalized one"):
        fn.anova(glmm, df="satterthwaite")
    with pytest.raises(ValueError, match="has no part in a likelihood ratio"):
        fn.anova(lmm, test="LRT", df="satterthwaite")
    with pytest.raises(Unable, match="no term but the intercept"):
        fn.anova(fn.fit("y ~ 1 + (1|g)", trials))
    with pytest.raises(Unable, match="belongs to the anova of one linear mixed model"):
        fn.anova(fn.fit("y ~ x", trials), df="satterthwaite")
