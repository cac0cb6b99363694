"""Residuals beyond the four plain kinds: partial, standardized, studentized, randomized quantiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import formula_neuro as fn
from formula_neuro.errors import Unable


def table(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    d = pd.DataFrame({"x": rng.normal(size=n), "g": rng.choice(list("uvwxyz"), n), "n": rng.integers(1, 9, n)})
    d["w"] = rng.uniform(0.5, 2, n)
    mu = np.exp(0.5 + d["x"] / 2)
    d["gaussian"] = mu + rng.normal(size=n) / np.sqrt(d["w"])
    d["binomial"] = rng.binomial(d["n"], 1 / (1 + np.exp(-d["x"])))
    d["poisson"] = rng.poisson(mu)
    d["Gamma"] = rng.gamma(3, mu / 3)
    d["inverse.gaussian"] = rng.wald(mu, 4)
    d["nbinom2"] = rng.negative_binomial(2, 2 / (2 + mu))
    return d


DATA = table()
MODELS = {
    "gaussian": ("gaussian ~ x", {"family": "gaussian(log)", "weights": "w"}),
    "binomial": ("cbind(binomial, n - binomial) ~ x", {"family": "binomial"}),
    "poisson": ("poisson ~ x", {"family": "poisson"}),
    "Gamma": ("Gamma ~ x", {"family": "Gamma(log)"}),
    "inverse.gaussian": ("inverse.gaussian ~ x", {"family": "inverse.gaussian(log)"}),
    "nbinom2": ("nbinom2 ~ x", {"family": "nbinom2"}),
}


@pytest.fixture(scope="module")
def fits():
    return {name: fn.fit(formula, DATA, **options) for name, (formula, options) in MODELS.items()}


def law(name, fit):
    """The fitted distribution of each row by scipy.stats, and the response on its scale."""
    mu, phi, w = fit.fitted.to_numpy(), fit.dispersion, fit.request.weights
    y = DATA[name].to_numpy()
    if name == "nbinom2":
        theta = fit.request.family.theta
        return stats.nbinom(theta, theta / (theta + mu)), y
    return {
        "gaussian": lambda: stats.norm(mu, np.sqrt(phi / w)),
        "binomial": lambda: stats.binom(DATA["n"], mu),
        "poisson": lambda: stats.poisson(mu),
        "Gamma": lambda: stats.gamma(1 / phi, scale=mu * phi),
        "inverse.gaussian": lambda: stats.invgauss(mu * phi, scale=1 / phi),
    }[name](), y


every = pytest.mark.parametrize("name", MODELS)
continuous = pytest.mark.parametrize("name", ["gaussian", "Gamma", "inverse.gaussian"])
discrete = pytest.mark.parametrize("name", ["binomial", "poisson", "nbinom2"])


# ---- quantile residuals ----------------------------------------------------------------------------
@continuous
def test_quantile_residuals_of_continuous_responses_are_normal_scores_of_their_probability(fits, name):
    F, y = law(name, fits[name])
    # the distributions are computed by other formulas, to about 1e-12 of a probability
    np.testing.assert_allclose(fits[name].residuals("quantile"), special.ndtri(F.cdf(y)), rtol=1e-8, atol=1e-8)


@discrete
def test_quantile_residuals_of_discrete_responses_lie_between_those_of_the_two_probabilities(fits, name):
    F, y = law(name, fits[name])
    low, high = special.ndtri(F.cdf(y - 1)), special.ndtri(F.cdf(y))
    values = fits[name].residuals("quantile", seed=1)
    assert ((values > low - 1e-8) & (values < high + 1e-8)).all()


@every
def test_quantile_residuals_of_the_right_model_are_standard_normal(fits, name):
    values = fits[name].residuals("quantile", seed=3)
    assert stats.kstest(values, "norm").pvalue > 0.01  # data and seed are fixed: this is one draw, not a gamble


@discrete
def test_the_same_seed_gives_the_same_quantile_residuals(fits, name):
    fit = fits[name]
    pd.testing.assert_series_equal(fit.residuals("quantile", seed=5), fit.residuals("quantile", seed=5))
    assert (fit.residuals("quantile", seed=5) != fit.residuals("quantile", seed=6)).any()


@every
def test_a_response_far_out_has_a_finite_quantile_residual(fits, name):
    fit = fits[name]
    for y in (0.0 if name != "binomial" else 1.0, 60.0):
        far = fit.request.y.copy()
        far[0] = min(y, 1.0) if name == "binomial" else max(y, 1e-2) if name in ("Gamma", "inverse.gaussian") else y
        moved = replace(fit, request=fit.request.with_response(far))
        assert np.isfinite(moved.residuals("quantile", seed=1)).all()


def test_quasi_families_have_no_quantile_residuals():
    fit = fn.fit("poisson ~ x", DATA, family="quasipoisson")
    with pytest.raises(Unable, match=r"residuals\('quantile'\) need a distribution"):
        fit.residuals("quantile")


def test_quantile_residuals_of_a_mixed_model_are_given_its_random_effects():
    fit = fn.fit("gaussian ~ x + (1|g)", DATA, weights="w")
    expected = fit.residuals("response") * np.sqrt(DATA["w"]) / fit.sigma
    np.testing.assert_allclose(fit.residuals("quantile"), expected, rtol=1e-9, atol=1e-9)


def test_rows_of_weight_0_have_no_quantile_residual():
    data = DATA.assign(w=DATA["w"].where(DATA.index > 2, 0.0))
    values = fn.fit("gaussian ~ x", data, weights="w").residuals("quantile")
    assert values.isna().sum() == 3


# ---- the others ------------------------------------------------------------------------------------
@every
def test_partial_residuals_are_working_residuals_and_terms(fits, name):
    fit = fits[name]
    partial = fit.residuals("partial")
    assert partial.columns.tolist() == ["x"]
    np.testing.assert_allclose(partial["x"], fit.predict(type="terms")["x"] + fit.residuals("working"), rtol=1e-13)


def test_partial_residuals_have_the_terms_slope():
    fit = fn.fit("gaussian ~ x + g", DATA)
    partial = fit.residuals("partial")
    slope = np.polyfit(DATA["x"], partial["x"], 1)[0]
    assert slope == pytest.approx(fit.coef["x"], rel=1e-10)


def test_standardized_residuals_of_a_mixed_model_are_refused_by_name():
    fit = fn.fit("gaussian ~ x + (1|g)", DATA)
    for kind in ("standardized", "studentized", "standardized pearson"):
        with pytest.raises(Unable, match=rf"residuals\('{kind}'\) are of a model without random terms"):
            fit.residuals(kind)


def test_influence_has_the_same_standardized_and_studentized_residuals(fits):
    for fit in fits.values():
        table = fit.influence()
        np.testing.assert_array_equal(fit.residuals("standardized"), table["std_residual"])
        np.testing.assert_array_equal(fit.residuals("studentized"), table["studentized_residual"])
