"""Generalized estimating equations: the estimates, their sandwich, and what a fit can and cannot be asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import DataError, FitError, FormulaError, NoBackend, Unable


@pytest.fixture(scope="module")
def cells():
    """24 mice with 1 to 7 cells, a response of each kind, weights and times with gaps."""
    rng = np.random.default_rng(4)
    mouse = np.repeat(np.arange(24), 1 + np.arange(24) % 7)
    n = len(mouse)
    d = pd.DataFrame({"mouse": [f"m{i:02d}" for i in mouse], "x": rng.normal(size=n), "w": rng.integers(1, 4, n) * 1.0})
    d["day"] = d.groupby("mouse").cumcount() + 1 + (rng.random(n) < 0.3).cumsum()
    d["day"] -= d.groupby("mouse")["day"].transform("min")
    d["dose"] = np.where(mouse % 2, "high", "low")
    effect = 0.7 * rng.normal(size=24)[mouse]
    d["y"] = 1 + 0.5 * d["x"] + effect + rng.normal(size=n)
    d["hit"] = (rng.random(n) < 1 / (1 + np.exp(-0.4 * d["x"] - effect))).astype(int)
    d["count"] = rng.poisson(np.exp(0.3 * d["x"] + effect))
    return d


def gee(formula, data, family="gaussian", weights=None, **options):
    return fn.fit(formula, data, family=family, weights=weights, estimator=fn.GEE("mouse", **options))


def dense(fit, power):
    """The corrected sandwich by its definition, every matrix in full, at the fit's estimates."""
    design, how, family = fit.request.design, fit.request.estimator, fit.request.family
    mu, X = family.link.inverse(fit.eta), design.matrix
    D = X * family.link.derivative(fit.eta)[:, None]
    sd, e = np.sqrt(family.variance(mu) / fit.request.weights), fit.request.y - mu
    mouse = design.beside["mouse"].codes
    day = design.beside[how.order] if how.order else None
    parts = []
    for g in np.unique(mouse):
        rows = np.flatnonzero(mouse == g)
        R = np.eye(len(rows))
        if how.corr == "exchangeable":
            R = R + fit.residual["alpha"] * (1 - R)
        elif how.corr == "ar1":
            t = np.arange(len(rows)) if day is None else day[rows]
            R = fit.residual["alpha"] ** np.abs(np.subtract.outer(t, t))
        parts.append((D[rows], np.linalg.inv(R * np.outer(sd[rows], sd[rows])), e[rows]))
    B = np.linalg.inv(sum(d.T @ v @ d for d, v, _ in parts))
    scores = []
    for d, v, r in parts:
        values, vectors = np.linalg.eig(np.eye(len(r)) - d @ B @ d.T @ v)
        scores.append(d.T @ v @ (vectors @ np.diag(values**-power) @ np.linalg.inv(vectors)).real @ r)
    S = np.array(scores)
    return B @ S.T @ S @ B


# ---- estimates -----------------------------------------------------------------------------------
KINDS = [("y ~ x + dose", "gaussian"), ("hit ~ x + dose", "binomial"), ("count ~ x", "poisson")]
WORKING = [("independence", None), ("exchangeable", None), ("ar1", "day"), ("ar1", None)]


@pytest.mark.parametrize(("formula", "family"), KINDS)
@pytest.mark.parametrize(("corr", "order"), WORKING)
@pytest.mark.parametrize(("bias", "power"), [("none", 0.0), ("kc", 0.5), ("md", 1.0)])
def test_corrections_are_their_definitions_worked_out_in_full(cells, formula, family, corr, order, bias, power):
    m = gee(formula, cells, family, corr=corr, order=order, bias=bias)
    assert np.allclose(m.covariance, dense(m, power), rtol=1e-8)  # eigenvectors of matrices up to 7 x 7


def test_weights_take_part_in_the_correction(cells):
    m = gee("y ~ x", cells, weights="w", bias="md")
    assert np.allclose(m.covariance, dense(m, 1.0), rtol=1e-8)


def test_independence_has_the_coefficients_of_the_glm(cells):
    m = gee("hit ~ x", cells, "binomial", corr="independence")
    assert np.allclose(m.coef, fn.fit("hit ~ x", cells, family="binomial").coef, rtol=1e-8)


def test_the_plain_sandwich_of_an_independent_fit_is_that_of_the_clustered_glm(cells):
    m = gee("hit ~ x", cells, "binomial", corr="independence", bias="none")
    robust = fn.fit("hit ~ x", cells, family="binomial").tidy(vcov={"cluster": "mouse", "type": "HC0"})
    ours = m.tidy()["std_error"] * np.sqrt(24 / 23)  # HC0 by clusters has the factor G / (G - 1)
    assert np.allclose(ours, robust["std_error"], rtol=1e-8)


def test_textbook_moments_divide_by_what_is_left(cells):
    m = gee("y ~ x", cells, denominators="n-p")
    e = cells["y"] - m.fitted
    assert m.dispersion == pytest.approx((e**2).sum() / (len(e) - 2), rel=1e-10)
    sums = e.groupby(cells["mouse"]).agg(["sum", lambda r: (r**2).sum(), "size"]).to_numpy()
    pairs = ((sums[:, 0] ** 2 - sums[:, 1]) / 2).sum()
    count = (sums[:, 2] * (sums[:, 2] - 1) / 2).sum()
    assert m.residual["alpha"] == pytest.approx(pairs / (count - 2) / m.dispersion, rel=1e-8)


def test_unstructured_correlations_are_means_over_pairs_of_times():
    rng = np.random.default_rng(3)
    d = pd.DataFrame({"mouse": np.repeat(np.arange(40), 3), "time": np.tile(["a", "b", "c"], 40)})
    d["y"] = rng.normal(size=120) + np.repeat(rng.normal(size=40), 3)
    m = gee("y ~ 1", d, corr="unstructured", order="time")
    r = (d["y"] - m.fitted).to_numpy().reshape(40, 3)
    assert list(m.residual) == ["alpha.a:b", "alpha.a:c", "alpha.b:c"]
    assert m.residual["alpha.a:c"] == pytest.approx((r[:, 0] * r[:, 2]).mean() / m.dispersion, rel=1e-8)


# ---- what must not matter ------------------------------------------------------------------------
@pytest.mark.parametrize(("corr", "order"), [("exchangeable", None), ("ar1", "day"), ("unstructured", "day")])
def test_rows_may_stand_in_any_order(cells, corr, order):
    data = cells[cells["day"] < 4]
    first = gee("y ~ x", data, corr=corr, order=order)
    other = gee("y ~ x", data.sample(frac=1, random_state=1), corr=corr, order=order)
    assert np.allclose(first.coef, other.coef, rtol=1e-9) and np.allclose(first.se, other.se, rtol=1e-8)
    assert np.allclose(first.fitted, other.fitted.loc[first.fitted.index], rtol=1e-9)


def test_units_and_origin_of_a_covariate_do_not_matter(cells):
    far = cells.assign(x=1e6 + 1e3 * cells["x"])
    a, b = gee("hit ~ x", cells, "binomial"), gee("hit ~ x", far, "binomial")
    assert b.coef["x"] == pytest.approx(a.coef["x"] / 1e3, rel=1e-6)  # 1e6 in a covariate costs digits
    assert b.se["x"] == pytest.approx(a.se["x"] / 1e3, rel=1e-6)


def test_a_row_of_weight_zero_takes_no_part(cells):
    with_zero = gee("y ~ x", cells.assign(w=[0.0, *cells["w"][1:]]), weights="w")
    without = gee("y ~ x", cells[1:], weights="w")
    assert np.allclose(with_zero.coef, without.coef) and np.allclose(with_zero.se, without.se)


def test_a_binomial_of_counts_is_that_of_shares_with_trials(cells):
    d = cells.assign(n=5, s=cells["hit"] + 2, f=3 - cells["hit"], share=(cells["hit"] + 2) / 5)
    a, b = gee("cbind(s, f) ~ x", d, "binomial"), gee("share ~ x", d, "binomial", weights="n")
    assert np.allclose(a.covariance, b.covariance, rtol=1e-9)


# ---- data ----------------------------------------------------------------------------------------
def test_rows_without_a_cluster_or_a_time_are_dropped_and_counted(cells):
    d = cells.astype({"day": float})
    d.loc[0, "mouse"], d.loc[5, "day"] = None, np.nan
    m = gee("y ~ x", d, corr="ar1", order="day")
    assert m.nobs == len(d) - 2 and "mouse: 1, day: 1" in m.messages[0]


def test_clusters_of_one_row_make_every_correlation_independence():
    d = pd.DataFrame({"mouse": range(30), "x": np.arange(30.0), "y": np.sin(np.arange(30))})
    m = gee("y ~ x", d)
    assert m.residual == {} and any("one row" in text for text in m.messages)
    assert np.allclose(m.coef, fn.fit("y ~ x", d).coef)


def test_few_clusters_are_said(cells):
    few = cells[cells["mouse"] < "m08"]
    assert any("8 clusters of mouse, fewer than 10" in text for text in gee("y ~ x", few).messages)
    assert not any("fewer than" in text for text in gee("y ~ x", cells).messages)


def test_rows_taken_in_the_order_of_the_data_are_said(cells):
    assert any("data's order" in text for text in gee("y ~ x", cells, corr="ar1").messages)
    assert not any("data's order" in text for text in gee("y ~ x", cells, corr="ar1", order="day").messages)


def test_a_correlation_that_no_data_can_have_is_held_at_its_limit():
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"mouse": np.repeat(range(12), [2] * 11 + [6]), "y": rng.normal(size=28)})
    d["y"] -= d.groupby("mouse")["y"].transform("mean")  # pairs of opposites: -1, and -1/5 is possible
    m = gee("y ~ 1", d)
    assert m.converged and -0.2 < m.residual["alpha"] < -0.19
    assert any("beyond what is possible" in text for text in m.messages)


def test_a_coefficient_of_one_cluster_alone_has_no_correction(cells):
    d = cells.assign(only=(cells["mouse"] == "m20").astype(float))
    with pytest.raises(FitError, match="one cluster alone"):
        gee("y ~ only", d)
    assert gee("y ~ only", d, bias="none").converged


def test_means_on_the_edge_of_their_range_have_no_equations_to_solve():
    d = pd.DataFrame({"mouse": np.repeat(range(12), 4), "x": np.tile(np.arange(4.0), 12)})
    d["hit"] = (d["x"] + d["mouse"] % 2 > 1).astype(int) | (d["x"] == 3)
    with pytest.raises(FitError, match="edge of the range of binomial"):
        gee("hit ~ x", d, "binomial(log)")


def test_separated_responses_are_refused_by_name(cells):
    d = cells.assign(z=cells["hit"] * 2.0 + 1)
    with pytest.raises(FitError, match=r"z \(\+infinity\)"):
        gee("hit ~ z", d, "binomial")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"cluster": "mice"}, DataError, "'mice' is not a column of the data"),
        ({"corr": "exch"}, ValueError, "there are independence, exchangeable, ar1, unstructured"),
        ({"bias": "HC3"}, ValueError, "there are md, kc, none"),
        ({"cluster": 3}, ValueError, "name of a column"),
        ({"order": "day"}, ValueError, "order= does nothing with corr='exchangeable'"),
        ({"corr": "ar1", "order": "x"}, DataError, "whole numbers"),
        ({"corr": "ar1", "order": "dose"}, DataError, "a time occurs once in a mouse"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(cells, change, error, words):
    with pytest.raises(error, match=words):
        fn.fit("y ~ x", cells, estimator=fn.GEE(**{"cluster": "mouse", **change}))


def test_random_terms_do_not_go_with_clusters(cells):
    with pytest.raises(FormulaError, match="takes no random terms"):
        gee("y ~ x + (1|mouse)", cells)


def test_one_cluster_is_none(cells):
    with pytest.raises(DataError, match="one cluster of mouse"):
        gee("y ~ x", cells[cells["mouse"] == "m06"])


def test_an_unknown_theta_is_not_estimated(cells):
    with pytest.raises(NoBackend, match="estimates no theta"):
        gee("count ~ x", cells, "nbinom2")
    assert gee("count ~ x", cells, "nbinom2(log, theta=2)").converged


# ---- questions -----------------------------------------------------------------------------------
def test_tests_are_t_on_clusters_less_coefficients(cells):
    table = gee("hit ~ x", cells, "binomial").tidy()
    assert (table["df"] == 22).all()
    assert table["p_value"][1] == pytest.approx(2 * stats.t.sf(abs(table["statistic"][1]), 22))
    assert np.isinf(gee("hit ~ x", cells, "binomial").tidy(df="none")["df"]).all()


def test_terms_are_tested_by_wald(cells):
    m = gee("y ~ x * dose", cells)
    third = fn.anova(m, type="III").set_index("term")
    joint = fn.contrast(m, ["x:doselow = 0"]).joint.iloc[0]
    assert third.loc["x:dose", "statistic"] == pytest.approx(joint["statistic"], rel=1e-8)
    assert third.loc["x:dose", "df_resid"] == 20
    chi2 = fn.anova(m, test="Chisq").set_index("term")
    assert chi2.loc["x:dose", "statistic"] == pytest.approx(joint["statistic"], rel=1e-8)


def test_type_three_does_not_depend_on_contrasts(cells):
    a = fn.anova(gee("y ~ x * dose", cells), type="III")
    sums = fn.fit("y ~ x * dose", cells, estimator=fn.GEE("mouse"), contrasts={"dose": "contr.sum"})
    assert np.allclose(a["statistic"], fn.anova(sums, type="III")["statistic"], rtol=1e-8)


def test_nested_models_are_compared_in_the_larger_one(cells):
    small, large = gee("y ~ x", cells), gee("y ~ x * dose", cells)
    table = fn.anova(large, small)
    joint = fn.contrast(large, ["doselow = 0", "x:doselow = 0"]).joint.iloc[0]
    assert table["statistic"][1] == pytest.approx(joint["statistic"], rel=1e-8)
    with pytest.raises(DataError, match="not nested"):
        fn.anova(gee("y ~ dose", cells), gee("y ~ x", cells))


@pytest.mark.parametrize(
    "question",
    [
        lambda m: m.tidy(test="lr"),
        lambda m: fn.drop1(m),
        lambda m: fn.confint(m, method="profile"),
        lambda m: fn.anova(m, test="Rao"),
    ],
)
def test_questions_about_a_likelihood_are_refused_with_a_sentence(cells, question):
    with pytest.raises(Unable, match="needs a likelihood, and GEE has none"):
        question(gee("y ~ x", cells))


def test_there_is_no_distribution_to_draw_from(cells):
    m = gee("y ~ x", cells)
    assert np.isnan([m.loglik, m.aic, m.bic]).all() and any("no likelihood" in text for text in m.messages)
    with pytest.raises(Unable, match="states means and correlations only"):
        m.simulate()
    with pytest.raises(Unable, match="has its own sandwich"):
        m.tidy(vcov="HC3")


def test_means_contrasts_and_predictions_rest_on_the_sandwich(cells):
    m = gee("hit ~ x + dose", cells, "binomial")
    means = fn.emmeans(m, "dose", contrast="pairwise")
    row = means.contrasts.iloc[0]
    assert row["std_error"] == pytest.approx(m.se["doselow"], rel=1e-8) and row["df"] == 21
    told = m.predict({"x": [0.0], "dose": ["high"]}, type="link", se=True)
    assert told["std_error"].iloc[0] == pytest.approx(m.se["(Intercept)"], rel=1e-8)


def test_the_summary_names_clusters_correction_and_correlation(cells):
    text = str(gee("hit ~ x", cells, "binomial").summary())
    for words in ("Mancl and DeRouen", "t on 22 degrees of freedom", "Number of clusters: 24", "exchangeable", "QIC"):
        assert words in text


def test_glance_has_the_qic(cells):
    row = gee("hit ~ x", cells, "binomial").glance().iloc[0]
    assert np.isfinite(row["qic"]) and row["clusters"] == 24 and row["corr"] == "exchangeable"
    assert "alpha" in row.index


def test_refit_changes_the_formula_and_keeps_the_clusters(cells):
    m = fn.refit(gee("y ~ x", cells, corr="ar1", order="day"), ". ~ . + dose")
    assert m.request.estimator.corr == "ar1" and m.names[-1] == "doselow"


def test_the_recipe_makes_the_fit_again(cells):
    from formula_neuro.display.recipes import python_code, r_code

    m = gee("hit ~ x", cells, "binomial", corr="ar1", order="day")
    assert 'estimator=fn.GEE(cluster="mouse", corr="ar1", order="day")' in python_code(m)
    assert "d <- d[order(d$mouse, d$day), ]" in r_code(m) and "geepack::geeglm(hit ~ x" in r_code(m)


def test_the_word_for_a_command_line_is_read():
    from formula_neuro.estimator import as_estimator

    assert as_estimator("gee(mouse, ar1, day)") == fn.GEE("mouse", corr="ar1", order="day")


def test_a_bootstrap_draws_whole_clusters_and_counts_a_copy_as_one_of_its_own(cells):
    from formula_neuro.inference.bootstrap.resampling import clusters_to_draw, of_clusters

    m = gee("y ~ x", cells, corr="ar1", order="day")
    clusters = clusters_to_draw(m, None)
    assert clusters.name == "mouse" and len(clusters.members) == 24
    twice = m.engine.refit(of_clusters(m.request, clusters, np.array([3, 3, 4, 5, 6, 6])))
    assert twice.glance()["clusters"][0] == 6
    table = fn.confint(m, "x", method=fn.Bootstrap(n=20, resample="cases", seed=1))
    assert table["conf_low"][0] < m.coef["x"] < table["conf_high"][0]


def test_fits_side_by_side_show_the_qic_in_place_of_a_likelihood(cells):
    text = str(fn.compare(gee("y ~ x", cells), gee("y ~ x + dose", cells)))
    assert "QIC" in text and "AIC" not in text


# ---- calibration ---------------------------------------------------------------------------------
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_corrected_intervals_cover_with_ten_clusters_and_the_plain_sandwich_does_not(family):
    """400 data sets of 10 mice with 12 cells, 5 mice treated.

    With equal clusters the plain sandwich expects 8/10 of the variance, Kauermann and Carroll's all of it and Mancl and
    DeRouen's 10/8, each times chi-squared on 8 degrees of freedom: so much do t (and, of the plain one, z) cover.
    """
    rng = np.random.default_rng(11)
    mouse, treated = np.repeat(np.arange(10), 12), np.repeat(np.arange(10) % 2, 12)
    d = pd.DataFrame({"mouse": mouse, "treated": treated, "y": rng.integers(0, 2, 120) * 1.0})
    first = gee("y ~ treated", d, family)
    quantile, covered = (
        {"md": stats.t.ppf(0.975, 8), "kc": stats.t.ppf(0.975, 8), "none": 1.96},
        dict.fromkeys(SHARES, 0),
    )
    for _ in range(400):
        eta = 0.6 * rng.normal(size=10)[mouse]  # no effect of treatment, so that none is the truth of every scale
        y = eta + rng.normal(size=120) if family == "gaussian" else (rng.random(120) < 1 / (1 + np.exp(-eta))) * 1.0
        m = first.engine.refit(first.request.with_response(y))
        found = m.engine.covariances(m)
        for bias in covered:
            covered[bias] += abs(m.beta[1]) < quantile[bias] * np.sqrt(found[bias][1, 1])
    for bias, expected in SHARES.items():
        error = np.sqrt(expected * (1 - expected) / 400)
        assert abs(covered[bias] / 400 - expected) < 3 * error, bias
    assert covered["none"] / 400 < 0.92 < covered["kc"] / 400 <= covered["md"] / 400


SHARES = {
    bias: float(1 - 2 * stats.t.sf(quantile * np.sqrt(share), 8))
    for bias, quantile, share in [
        ("md", stats.t.ppf(0.975, 8), 10 / 8), ("kc", stats.t.ppf(0.975, 8), 1.0), ("none", 1.96, 8 / 10)
    ]
}  # fmt: skip
