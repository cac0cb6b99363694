"""Marginal means of mixed models: weights, contrasts, averages over random effects, exact adjustments, messages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import formula_neuro as fn
from formula_neuro.inference.marginal.adjust import Statistics, adjusted
from formula_neuro.inference.marginal.contrast_weights import family
from formula_neuro.inference.marginal.multivariate_t import LargestT, echelon_root
from formula_neuro.inference.marginal.studentized_range import range_tail


@pytest.fixture(scope="module")
def cells():
    """Doses and layers, unbalanced, in ten mice."""
    rng = np.random.default_rng(5)
    n = 150
    t = pd.DataFrame({"g": rng.integers(0, 10, n), "depth": rng.normal(3, 1, n)})
    t["dose"], t["layer"] = rng.choice(["high", "low", "none"], n, p=[0.5, 0.3, 0.2]), rng.choice(["2/3", "5"], n)
    eta = 1.5 * rng.normal(size=10)[t.g] + (t.dose == "high") - 0.5 * (t.layer == "5")
    t = t.assign(y=eta + rng.normal(size=n), fires=(rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(int))
    return t.assign(spikes=rng.poisson(np.exp(0.4 * eta)), g=t.g.map("g{}".format))


@pytest.fixture(scope="module")
def lmm(cells):
    return fn.fit("y ~ dose * layer + depth + (1|g)", cells)


@pytest.fixture(scope="module")
def glmm(cells):
    return fn.fit("fires ~ dose + depth + (1|g)", cells, family="binomial")


# ---- weights -------------------------------------------------------------------------------------
def test_cells_weights_are_the_means_own_rows(cells, lmm):
    full = fn.emmeans(lmm, ["dose", "layer"]).means["estimate"].to_numpy().reshape(2, 3)  # layer, dose
    rows = cells.groupby(["layer", "dose"]).size().unstack().to_numpy()
    for weights, w in {
        "cells": rows / rows.sum(axis=0),
        "proportional": (rows.sum(axis=1) / rows.sum())[:, None],
        "equal": 0.5,
        "flat": 0.5,
    }.items():
        means = fn.emmeans(lmm, "dose", weights=weights).means["estimate"]
        np.testing.assert_allclose(means, (w * full).sum(axis=0), rtol=1e-12)


def test_outer_weights_are_products_of_shares(cells):
    table = cells.assign(sex=np.where(np.arange(len(cells)) % 3, "F", "M"))
    m = fn.fit("y ~ dose * layer + sex + (1|g)", table)
    full = fn.emmeans(m, ["dose", "layer", "sex"]).means["estimate"].to_numpy().reshape(2, 2, 3)
    layer, sex = (table[c].value_counts(normalize=True).sort_index().to_numpy() for c in ("layer", "sex"))
    means = fn.emmeans(m, "dose", weights="outer").means["estimate"]
    np.testing.assert_allclose(means, np.einsum("sld,l,s->d", full, layer, sex), rtol=1e-12)


def test_empty_cells_are_left_out_by_flat_weights(cells):
    holed = cells[(cells["dose"] != "none") | (cells["layer"] != "5")]
    m = fn.fit("y ~ dose + layer + (1|g)", holed)
    flat = fn.emmeans(m, "dose", weights="flat").means["estimate"]
    alone = fn.emmeans(m, ["dose", "layer"]).means.query("dose == 'none' and layer == '2/3'")["estimate"].item()
    assert flat[2] == pytest.approx(alone)
    assert fn.emmeans(m, ["dose", "layer"], weights="cells").means["estimate"].isna().sum() == 0


# ---- contrasts -----------------------------------------------------------------------------------
def test_a_control_can_be_named_or_counted(lmm):
    tables = [fn.emmeans(lmm, "dose", f"trt.vs.ctrl({ref})").contrasts for ref in ("none", "3")]
    assert tables[0]["contrast"].tolist() == ["high - none", "low - none"]
    pd.testing.assert_frame_equal(*tables)
    with pytest.raises(ValueError, match=r"medium is none of the 3 means: high, low, none"):
        fn.emmeans(lmm, "dose", "trt.vs.ctrl(medium)")


def test_a_matrix_of_weights_is_a_family(lmm):
    weights = np.array([[1, -0.5, -0.5], [0, 1, -1]])
    named = {"drug": weights[0], "how much": weights[1]}
    tables = [
        fn.emmeans(lmm, "dose", w).contrasts
        for w in (named, weights, pd.DataFrame(weights, index=["drug", "how much"]))
    ]
    assert tables[1]["contrast"].tolist() == ["1", "2"]
    assert tables[2]["contrast"].tolist() == ["drug", "how much"]
    np.testing.assert_array_equal(tables[0].iloc[:, 1:], tables[1].iloc[:, 1:])


# ---- the response's scale ------------------------------------------------------------------------
def test_means_over_animals_are_integrals_over_their_effects(glmm):
    sd = float(np.sqrt(glmm.random[0].covariance[0, 0]))
    link = fn.emmeans(glmm, "dose").means["estimate"]
    found = fn.emmeans(glmm, "dose", type="response", bias_adjust="exact").means["estimate"]
    expected = [
        integrate.quad(lambda z, e=e: stats.norm.pdf(z) / (1 + np.exp(-e - sd * z)), -9, 9, epsabs=1e-12)[0]
        for e in link
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_means_over_animals_of_a_log_link_are_in_closed_form(cells):
    m = fn.fit("spikes ~ dose + (1|g)", cells, family="poisson")
    plain = fn.emmeans(m, "dose", type="response").means
    mean = fn.emmeans(m, "dose", type="response", bias_adjust="exact", sigma=0.8).means
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(mean[column], plain[column] * np.exp(0.8**2 / 2), rtol=1e-10)


def test_the_series_is_near_the_integral_where_effects_are_small(glmm):
    exact, series = (
        fn.emmeans(glmm, "dose", type="response", bias_adjust=how, sigma=0.1).means for how in ("exact", True)
    )
    np.testing.assert_allclose(series["estimate"], exact["estimate"], rtol=1e-5)  # terms of order sigma^4 / 8
    np.testing.assert_allclose(series["std_error"], exact["std_error"], rtol=1e-4)


def test_averages_over_effects_need_effects_and_the_responses_scale(cells, glmm):
    with pytest.raises(ValueError, match="add type='response'"):
        fn.emmeans(glmm, "dose", bias_adjust=True)
    with pytest.raises(ValueError, match="this fit has none; give their sd as sigma="):
        fn.emmeans(fn.fit("fires ~ dose", cells, family="binomial"), "dose", type="response", bias_adjust=True)


# ---- adjustments ---------------------------------------------------------------------------------
def test_p_values_of_normal_contrasts_are_the_multivariate_normals(glmm):
    table = fn.emmeans(glmm, "dose", "trt.vs.ctrl", adjust="mvt")
    rows = np.array([[-1, 1, 0], [-1, 0, 1]]) @ table.matrix
    V = rows @ glmm.vcov.to_numpy() @ rows.T
    R = V / np.sqrt(np.outer(np.diag(V), np.diag(V)))
    for z, p in zip(table.contrasts["statistic"].abs(), table.contrasts["p_value"], strict=True):
        inside = stats.multivariate_normal(cov=R).cdf([z, z], lower_limit=[-z, -z])
        assert p == pytest.approx(1 - inside, abs=1e-5)


@pytest.mark.parametrize("df", [4.3, 25.0, np.inf])
def test_all_pairs_of_independent_means_have_tukeys_p_values_by_mvt(df):
    # the studentized range is the exact law of the largest of these t, of rank 3 only
    W = family("pairwise", list("abcd")).weights
    tests = Statistics(np.array([0.5, 1.4, 2.2, 2.8, 3.5, 5.0]), np.full(6, df), W @ W.T, 4)
    np.testing.assert_allclose(adjusted(tests, "mvt"), adjusted(tests, "tukey"), atol=1e-5)


def test_comparisons_with_a_control_are_one_factor_integrals_by_mvt():
    # Dunnett (1955): with equal correlations 1/2 the t share one normal, which leaves two integrals
    tests = Statistics(np.array([1.0, 2.0, 2.7]), np.full(3, 12.0), np.eye(3) + 1)
    z, s = np.linspace(-8, 8, 161), np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, 12) / 12)

    def tail(t):
        within = stats.norm.cdf(t * s[:, None] * np.sqrt(2) - z) - stats.norm.cdf(-t * s[:, None] * np.sqrt(2) - z)
        return 1 - (within**3 @ stats.norm.pdf(z) * (z[1] - z[0])).mean()

    np.testing.assert_allclose(adjusted(tests, "mvt"), [tail(t) for t in tests.t], atol=2e-5)  # 1e-5 of either


def test_the_same_question_has_the_same_answer():
    R = np.full((3, 3), 0.4) + 0.6 * np.eye(3)
    assert LargestT(R, 9.0).tail(2.0) == LargestT(R, 9.0).tail(2.0)
    assert LargestT(R, 9.0, seed=1).tail(2.0) == pytest.approx(LargestT(R, 9.0).tail(2.0), abs=3e-5)


def test_roots_of_correlations_give_them_back():
    W = family("pairwise", list("abcde")).weights
    R = W @ W.T / 2
    C = echelon_root(R)
    assert C.shape == (10, 4)
    np.testing.assert_allclose(C @ C.T, R, atol=1e-12)


@pytest.mark.parametrize("df", [1.0, 2.7, 30.0, 5000.0, np.inf])
def test_the_range_of_two_is_a_t(df):
    q = np.array([0.1, 1.0, 3.0, 9.0])
    # normals beyond 8.5 are left out: at 9 that is 1e-8 of the tail
    np.testing.assert_allclose([range_tail(x, 2, df) for x in q], 2 * stats.t.sf(q / np.sqrt(2), df), rtol=1e-7)


def test_the_range_is_scipys():
    for q, k, df in [(1.0, 3, 4.0), (3.4, 5, 12.5), (4.2, 12, 60.0)]:
        # scipy integrates to about 1e-10
        assert range_tail(q, k, df) == pytest.approx(stats.studentized_range.sf(q, k, df), abs=1e-9)


# ---- words ---------------------------------------------------------------------------------------
def test_messages_are_emmeanss(lmm, glmm):
    found = fn.emmeans(lmm, "dose", "consec", adjust="tukey", df="kenward-roger").messages
    assert found == (
        "NOTE: Results may be misleading due to involvement in interactions",
        "Results are averaged over the levels of: layer",
        "Degrees-of-freedom method: kenward-roger",
        "Confidence level used: 0.95",
        'Note: adjust = "tukey" was changed to "sidak" because "tukey" is only appropriate for one set of pairwise '
        "comparisons",
        "Conf-level adjustment: sidak method for 2 estimates",
        "P value adjustment: sidak method for 2 tests",
    )
    words = fn.emmeans(glmm, "dose", "pairwise", type="response").messages
    assert "Intervals are back-transformed from the logit scale" in words
    assert "P value adjustment: tukey method for comparing a family of 3 estimates" in words
    assert "Tests are performed on the log odds ratio scale" in words
    assert "Results are given on the logit (not the response) scale." in fn.emmeans(glmm, "dose").messages


def test_interactions_within_by_are_no_reason_for_a_note(lmm):
    assert not any("misleading" in words for words in fn.emmeans(lmm, "dose | layer", "pairwise").messages)


def test_what_cannot_be_estimated_is_named(cells):
    holed = cells[(cells["dose"] != "none") | (cells["layer"] != "5")]
    found = fn.emmeans(fn.fit("y ~ dose * layer + (1|g)", holed), "dose", "pairwise")
    why = " (dosenone:layer5 has no coefficient)"
    assert f"Not estimable, so NaN, of the means: none{why}" in found.messages
    assert f"Not estimable, so NaN, of the contrasts: high - none, low - none{why}" in found.messages
