"""The native generalized linear model against live R and an independent maximiser, and where ML does not exist."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

import formula_neuro as fn
from formula_neuro.errors import DataError, FitError

LINKS = ["logit", "probit", "cloglog", "cauchit"]


def table(n=120, seed=3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"x": rng.normal(size=n), "f": rng.choice(list("abc"), n), "m": rng.integers(1, 9, n)})
    p = 1 / (1 + np.exp(-(0.3 + 0.8 * d.x - 0.6 * (d.f == "b"))))
    d["k"] = rng.binomial(d.m, p)
    return d.assign(
        y=(rng.random(n) < p).astype(int),
        count=rng.poisson(np.exp(0.5 + 0.4 * d.x)),
        t=rng.uniform(0.5, 2, n),
        w=rng.integers(0, 3, n),
    )


MODELS = [
    *[("y ~ x + f", f"binomial({link})", {}) for link in LINKS],
    ("cbind(k, m - k) ~ x*f", "binomial", {}),
    ("I(k/m) ~ x", "binomial", {"weights": "m"}),
    ("count ~ x + f + offset(log(t))", "poisson", {}),
    ("count ~ x", "poisson(sqrt)", {}),
    ("count ~ x", "poisson", {"weights": "w"}),
    ("count ~ x + I(2*x) + f", "poisson", {}),
]


@pytest.mark.r
@pytest.mark.parametrize(("formula", "family", "options"), MODELS)
def test_estimates_equal_rs(formula, family, options):
    ours, r = (fn.fit(formula, table(), family=family, backend=b, **options) for b in ("native-glm", "r-glm"))
    # R stops at a relative change of the deviance of 1e-8, ours at rounding: glm's own distance to the optimum is left,
    # largest under cauchit, where scoring converges slowly: 1e-4 of a standard error
    np.testing.assert_allclose(ours.coef / r.se, r.coef / r.se, rtol=0, atol=2e-4)  # NaN where aliased, in both
    np.testing.assert_allclose(ours.se, r.se, rtol=1e-4)
    assert ours.loglik >= r.loglik - 1e-10 * abs(r.loglik)
    np.testing.assert_allclose([ours.loglik, ours.deviance, ours.aic], [r.loglik, r.deviance, r.aic], rtol=1e-8)
    assert (ours.df_resid, ours.n_parameters) == (r.df_resid, r.n_parameters)
    assert fn.crosscheck(ours).ok


@pytest.mark.parametrize("link", LINKS)
def test_nothing_near_the_estimate_is_likelier(link):
    d = table()
    m = fn.fit("y ~ x + f", d, family=f"binomial({link})")
    X, y, family = m.request.design.matrix, m.request.y, m.request.family

    def deviance(b):
        return family.deviance(y, family.link.inverse(X @ b), np.ones(len(y))).sum()

    found = minimize(deviance, m.beta + 0.05, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert m.deviance <= found.fun + 1e-9  # the simplex ends within its own tolerance
    np.testing.assert_allclose(m.beta, found.x, atol=1e-4)  # a flat bottom: the root of that tolerance


def test_units_and_origin_of_a_covariate_do_not_matter():
    d = table()
    plain = fn.fit("y ~ x", d, family="binomial")
    moved = fn.fit("y ~ x", d.assign(x=1e9 + 1e3 * d.x), family="binomial")
    assert np.isclose(moved.loglik, plain.loglik, rtol=1e-9)
    # 1e9 beside 1e3 leaves 10 of 16 digits of x; its slope keeps about as many
    assert np.isclose(moved.coef["x"] * 1e3, plain.coef["x"], rtol=1e-8)


def test_separation_is_named_with_its_direction():
    d = pd.DataFrame({"x": [-2.0, -1, -0.5, 0.5, 1, 2], "z": [1.0, 2, 1, 2, 1, 2], "y": [0, 0, 0, 1, 1, 1]})
    m = fn.fit("y ~ x + z", d, family="binomial")
    assert not m.converged
    assert any("separation" in message and "x (+infinity)" in message for message in m.messages)


def test_an_empty_cell_of_counts_is_named():
    d = pd.DataFrame({"f": list("aaabbb"), "y": [2, 3, 1, 0, 0, 0]})
    m = fn.fit("y ~ f", d, family="poisson")
    assert any("fb (-infinity)" in message for message in m.messages)


def test_aliased_columns_stay_as_nan():
    d = table()
    m = fn.fit("y ~ x + I(2*x) + f", d, family="binomial")
    assert m.aliased == ("I(2 * x)",) and np.isnan(m.se["I(2 * x)"])
    assert np.isclose(m.loglik, fn.fit("y ~ x + f", d, family="binomial").loglik)


def test_nested_models_are_compared_by_their_likelihoods():
    d = table()
    small, large = fn.fit("y ~ x", d, family="binomial"), fn.fit("y ~ x + f", d, family="binomial")
    compared = fn.anova(small, large)
    assert np.isclose(compared.statistic[1], small.deviance - large.deviance)
    assert compared.df[1] == 2


# ---- the negative binomial -------------------------------------------------------------------------
def overdispersed(n=200, theta=1.5, seed=5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return pd.DataFrame({"x": x, "y": rng.negative_binomial(theta, theta / (theta + np.exp(0.5 + 0.4 * x)))})


def test_theta_and_the_coefficients_are_where_nothing_is_likelier():
    d = overdispersed()
    m = fn.fit("y ~ x", d, family="nbinom2")

    def negative(b):
        mu, theta = np.exp(b[0] + b[1] * d.x), np.exp(b[2])
        return -stats.nbinom.logpmf(d.y, theta, theta / (theta + mu)).sum()

    at = [*m.beta, np.log(m.family.theta)]
    found = minimize(negative, np.array(at) + 0.05, method="BFGS", options={"gtol": 1e-6})
    assert -m.loglik <= found.fun + 1e-10
    np.testing.assert_allclose(at, found.x, atol=1e-5)  # numerical derivatives
    assert m.n_parameters == 3


def test_a_refit_estimates_theta_again_unless_it_was_given():
    d = overdispersed()
    m, fixed = (fn.fit("y ~ x", d, family=f) for f in ("nbinom2", "nbinom2(log, theta=2)"))
    other = m.simulate(seed=1)["sim_1"].to_numpy()
    again = m.engine.refit(m.request.with_response(other))
    assert again.family.theta == pytest.approx(fn.fit("y ~ x", d.assign(y=other), family="nbinom2").family.theta)
    assert again.family.theta != pytest.approx(m.family.theta, rel=1e-3)
    assert fixed.engine.refit(fixed.request.with_response(other)).family.theta == 2
    assert fixed.n_parameters == 2


def test_at_a_given_theta_the_estimated_one_gives_the_same_fit():
    m = fn.fit("y ~ x", overdispersed(), family="nbinom2")
    same = fn.fit("y ~ x", overdispersed(), family=f"nbinom2(log, theta={m.family.theta:.17g})")
    np.testing.assert_allclose([*same.beta, *same.se, same.loglik], [*m.beta, *m.se, m.loglik], rtol=1e-9)


def test_counts_that_vary_no_more_than_poissons_are_poissons():
    rng = np.random.default_rng(2)
    d = pd.DataFrame({"x": rng.normal(size=80), "y": rng.binomial(6, 0.3, 80)})
    m, poisson = fn.fit("y ~ x", d, family="nbinom2"), fn.fit("y ~ x", d, family="poisson")
    assert np.isinf(m.family.theta)
    assert any("theta went to infinity" in message for message in m.messages)
    np.testing.assert_allclose([*m.beta, m.loglik, m.deviance], [*poisson.beta, poisson.loglik, poisson.deviance])


def test_theta_is_in_the_glance_and_in_the_summary():
    m = fn.fit("y ~ x", overdispersed(), family="nbinom2")
    row = m.glance().iloc[0]
    assert (row["theta"], row["theta_se"]) == (m.family.theta, m.family.theta_se)
    assert f"Theta:  {m.family.theta:.3f}" in m.summary()


# ---- dispersed and quasi families ------------------------------------------------------------------
def test_a_gamma_with_a_log_link_does_not_mind_the_units_of_the_response():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"x": rng.normal(size=50)})
    d["y"] = rng.gamma(3, np.exp(d.x) / 3)
    m, scaled = (fn.fit("y ~ x", d.assign(y=d.y * unit), family="Gamma(log)") for unit in (1, 1e6))
    np.testing.assert_allclose(scaled.coef["x"], m.coef["x"], rtol=1e-10)
    np.testing.assert_allclose(scaled.se, m.se, rtol=1e-10)
    assert scaled.deviance == pytest.approx(m.deviance)


@pytest.mark.parametrize("family", ["quasipoisson", "quasibinomial", "quasi(log, mu)"])
def test_a_quasi_family_has_no_likelihood_and_says_so(family):
    d = table()
    m = fn.fit("y ~ x", d, family=family)
    assert np.isnan([m.loglik, m.aic, m.bic]).all()
    assert any("has no likelihood" in message for message in m.messages)
    assert np.isfinite(m.se).all() and np.isfinite(m.tidy()["df"]).all()


def test_quasi_standard_errors_are_the_familys_times_the_root_of_the_dispersion():
    d = table()
    poisson, quasi = (fn.fit("count ~ x + f", d, family=family) for family in ("poisson", "quasipoisson"))
    np.testing.assert_allclose(quasi.se, poisson.se * quasi.sigma, rtol=1e-12)
    pearson = (np.asarray(poisson.residuals("pearson")) ** 2).sum()
    assert quasi.dispersion == pytest.approx(pearson / poisson.df_resid, rel=1e-12)


def test_without_residual_degrees_of_freedom_there_is_no_dispersion():
    d = pd.DataFrame({"f": list("abc"), "y": [1.0, 2.0, 4.0]})
    m = fn.fit("y ~ f", d, family="Gamma(log)")
    np.testing.assert_allclose(m.fitted, d.y, rtol=1e-12)
    assert np.isnan(m.sigma) and np.isnan(m.se).all()
    assert any("no residual degrees of freedom" in message for message in m.messages)


# ---- hard to reach ---------------------------------------------------------------------------------
def test_a_maximum_on_the_edge_of_the_range_is_found_and_named():
    # both shares at x = 1 are 1: the slope wants to be larger than the range of the log link allows
    d = pd.DataFrame({"x": [-1.0, -1, 0, 0, 0, 0, 1, 1], "y": [0, 0, 0, 0, 1, 1, 1, 1]})
    m = fn.fit("y ~ x", d, family="binomial(log)")
    assert m.converged
    assert any("edge of the range of binomial(log): the fitted means of 2 rows (first: row 6)" in t for t in m.messages)
    # there eta = b0 + b1 = 0, and of the others' likelihood 2 log p(0) + 2 log(1 - p(0)) + 2 log(1 - p(-1)) the maximum
    slope = np.linspace(0.01, 3, 30_000)
    loglik = 2 * -slope + 2 * np.log1p(-np.exp(-slope)) + 2 * np.log1p(-np.exp(-2 * slope))
    assert m.loglik == pytest.approx(loglik.max(), abs=1e-7)  # of the grid
    assert m.coef["x"] == pytest.approx(slope[loglik.argmax()], abs=1e-4)


@pytest.mark.parametrize("family", ["poisson(identity)", "nbinom2(identity, theta=2)", "quasi(identity, mu)"])
def test_a_cell_of_zeros_under_the_identity_link_is_fitted_as_0(family):
    d = pd.DataFrame({"f": list("aaabbb"), "y": [2, 3, 1, 0, 0, 0]})
    m = fn.fit("y ~ f", d, family=family)
    assert m.converged
    np.testing.assert_allclose(m.fitted, [2, 2, 2, 0, 0, 0], atol=1e-7)
    assert any("edge of the range" in message for message in m.messages)


@pytest.mark.parametrize("family", ["Gamma(identity)", "Gamma", "inverse.gaussian", "inverse.gaussian(identity)"])
def test_where_rs_first_step_is_not_feasible_a_start_is_found(family):
    d = pd.DataFrame({"x": [0.0, 1, 2, 3, 4, 5], "y": [40.0, 0.1, 0.1, 0.1, 0.1, 0.1]})
    m = fn.fit("y ~ x", d, family=family)
    assert m.converged, m.messages
    assert (m.fitted > 0).all()


def test_rows_of_weight_0_keep_a_fitted_value_and_decide_nothing():
    d = table().assign(g=lambda t: np.exp(t.x) + 0.1)
    d.loc[0, "g"] = 1e6
    w = np.where(np.arange(len(d)) == 0, 0.0, 1.0)
    m, without = fn.fit("g ~ x", d, family="Gamma(log)", weights=w), fn.fit("g ~ x", d[1:], family="Gamma(log)")
    np.testing.assert_allclose([*m.beta, *m.se, m.loglik], [*without.beta, *without.se, without.loglik], rtol=1e-12)
    assert m.df_resid == without.df_resid and len(m.fitted) == len(d)


@pytest.mark.parametrize("family", ["gaussian(log)", "Gamma(log)", "inverse.gaussian(log)", "quasi(sqrt, mu)"])
def test_one_row_and_no_columns_are_answered(family):
    one = fn.fit("y ~ 1", {"y": [3.0]}, family=family)
    assert one.fitted.iloc[0] == pytest.approx(3)
    none = fn.fit("y ~ 0", {"y": [3.0, 1.0, 2.0]}, family="poisson")
    assert len(none.coef) == 0 and (none.fitted == 1).all()


def test_nearly_dependent_columns_are_dropped_where_glm_drops_them():
    x = np.linspace(-1, 1, 30)
    rng = np.random.default_rng(8)
    y = (rng.random(30) < 0.5).astype(int)
    for size, dropped in ((1e-8, ()), (1e-13, ("z",))):  # lm's limit is 1e-7, glm's 1e-11
        m = fn.fit("y ~ x + z", {"y": y, "x": x, "z": x + size * rng.normal(size=30)}, family="binomial")
        assert m.aliased == dropped


# ---- what cannot be fitted -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("formula", "family", "options", "words"),
    [
        ("I(count - 5) ~ x", "Gamma", {}, "are not above 0"),
        ("I(count / 3) ~ x", "poisson", {}, r"negative or not whole .*quasipoisson"),
        ("I(count / 3) ~ x", "nbinom2", {}, "negative or not whole"),
        ("I(-t) ~ x", "quasipoisson", {}, "are negative"),
        ("t ~ x", "quasibinomial", {}, r"lie outside \[0, 1\]"),
        ("cbind(k, m - k) ~ x", "poisson", {}, "cbind"),
        ("count ~ x", "poisson", {"weights": np.full(120, -1.0)}, "negative"),
        ("count ~ x", "poisson", {"weights": np.zeros(120)}, "all are 0"),
        ("cbind(k * 0, m * 0) ~ x", "binomial", {}, "no row has a trial"),
        ("f ~ x", "quasibinomial", {}, "takes two"),
        ("I(y * 0) ~ x", "quasibinomial", {}, "is 0 in all 120 rows"),
    ],
)
def test_bad_responses_and_weights_are_answered_in_words(formula, family, options, words):
    with pytest.raises(DataError, match=words):
        fn.fit(formula, table(), family=family, **options)


def test_counts_that_are_all_0_are_separated():
    m = fn.fit("I(count * 0) ~ x", table(), family="nbinom2")
    assert not m.converged and any("separat" in t or "all 0" in t for t in m.messages)


def test_a_range_without_a_feasible_mean_is_an_error():
    with pytest.raises(FitError, match=r"no coefficients keep all means inside the range of poisson\(identity\)"):
        fn.fit("count ~ 0", table(), family="poisson(identity)", offset=np.full(120, -1.0))


@pytest.mark.r
def test_weights_beside_counts_multiply_the_likelihood_as_in_r():
    d = table()
    ours, r = (
        fn.fit("cbind(k, m - k) ~ x", d, family="binomial", weights="t", backend=b) for b in ("native-glm", "r-glm")
    )
    assert ours.loglik == pytest.approx(r.loglik, rel=1e-9)


def test_means_far_beyond_the_maximum_are_no_maximum():
    d = pd.DataFrame({"g": list("aaaabbbb"), "y": [2e-3, 4e-3, 9.0, 400.0, 5.0, 6.0, 7.0, 8.0]})
    m = fn.fit("y ~ 0 + g", d, family="inverse.gaussian(log)")  # its deviance is flat where exp(eta) is huge
    assert m.converged
    # the maximum of one group is its mean; 1e-9: scoring to rounding, over the condition of the spread
    np.testing.assert_allclose(np.exp(m.beta), d.groupby("g").y.mean(), rtol=1e-9)


@pytest.mark.parametrize("family", ["binomial", "quasi(logit, mu(1-mu))"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_constant_response_without_an_intercept_may_have_a_finite_maximum(family, value):
    d = {"x": [-1.0, 1, 2, 0.5], "y": [value] * 4}
    m = fn.fit("y ~ 0 + x", d, family=family)
    assert m.converged and m.separation == "overlap" and not m.separated
    slope = float(m.beta[0])
    X = np.array(d["x"])
    assert abs((X * (value - 1 / (1 + np.exp(-slope * X)))).sum()) < 1e-9  # scoring stops at 1e-10 standard errors


def test_shares_of_one_have_a_finite_maximum_under_the_log_link():
    m = fn.fit("y ~ x", {"x": [1.0, 2, 4, 3], "y": [1.0] * 4}, family="binomial(log)")
    np.testing.assert_allclose(m.fitted, 1, rtol=1e-9)  # on the edge, held within 1e-10 of it


def test_a_fitted_count_of_0_costs_nothing_without_a_warning(recwarn):
    m = fn.fit("y ~ 0 + f", {"f": list("aabb"), "y": [0.0] * 4}, family="quasipoisson(sqrt)")
    assert m.null_deviance == 0 and not recwarn.list
