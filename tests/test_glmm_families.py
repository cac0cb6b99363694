"""Families of mixed models that have a shape or a dispersion: their laws, their limits, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize

import formula_neuro as fn
from formula_neuro.family import as_family


@pytest.mark.parametrize(
    ("text", "y", "weights"),
    [
        ("nbinom1", np.arange(200.0), np.ones(200)),
        ("betabinomial", np.arange(13) / 12, np.full(13, 12.0)),
    ],
)
def test_probabilities_of_counts_sum_to_1_with_the_mean_and_variance_that_the_family_states(text, y, weights):
    family = type(as_family(text))(as_family(text).link, phi=2.5)
    mean = 3.0 if text == "nbinom1" else 0.3
    p = np.exp(
        [family.loglik(np.array([v]), np.array([mean]), np.array([w]), 1.0) for v, w in zip(y, weights, strict=True)]
    )
    assert p.sum() == pytest.approx(1, abs=1e-10)
    assert p @ y == pytest.approx(mean, abs=1e-8)
    wanted = 3.0 * 3.5 if text == "nbinom1" else 0.3 * 0.7 / 12 * (1 + 11 / 3.5)
    assert p @ (y - mean) ** 2 == pytest.approx(wanted, abs=1e-6)
    below, above = family.cdf(y, np.full(len(y), mean), weights, 1.0)
    np.testing.assert_allclose(below, np.cumsum(p), atol=1e-10)
    np.testing.assert_allclose(above, 1 - np.cumsum(p), atol=1e-9)


def test_the_beta_density_has_the_mean_and_variance_that_the_family_states():
    family = type(as_family("beta"))(as_family("beta").link, phi=6.0)

    def moment(power):
        def density(y):
            return y**power * np.exp(family.loglik(np.array([y]), np.array([0.35]), np.ones(1), 1.0))

        return integrate.quad(density, 0, 1)[0]

    assert moment(0) == pytest.approx(1, abs=1e-8)
    assert moment(1) == pytest.approx(0.35, abs=1e-8)
    assert moment(2) - moment(1) ** 2 == pytest.approx(0.35 * 0.65 / 7, abs=1e-8)


@pytest.mark.parametrize("text", ["nbinom1", "beta", "betabinomial"])
def test_a_deviance_is_0_at_the_best_mean_and_above_0_elsewhere(text):
    family = type(as_family(text))(as_family(text).link, phi=4.0)
    y, w = (np.array([3.0]), np.ones(1)) if text == "nbinom1" else (np.array([0.25]), np.full(1, 8.0))
    high = 30.0 if text == "nbinom1" else 1 - 1e-6

    def deviance(mean):
        return float(family.deviance(y, np.array([mean]), w)[0])

    best = optimize.minimize_scalar(deviance, bounds=(1e-6, high), method="bounded", options={"xatol": 1e-10})
    assert best.fun == pytest.approx(0, abs=1e-7)
    assert deviance(best.x * 0.7) > 0.01


@pytest.mark.parametrize("text", ["nbinom1", "beta", "betabinomial"])
def test_simulated_responses_have_the_familys_mean(text):
    family = type(as_family(text))(as_family(text).link, phi=4.0)
    mean = 3.0 if text == "nbinom1" else 0.3
    drawn = family.draw(np.full(40_000, mean), np.full(40_000, 6.0), 1.0, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(mean, abs=5 * drawn.std() / 200)  # five standard errors


def test_shares_of_0_and_1_are_refused_by_the_beta_family():
    data = pd.DataFrame({"share": [0.2, 1.0, 0.4, 0.5], "g": [1, 1, 2, 2]})
    with pytest.raises(fn.errors.DataError, match="strictly between 0 and 1"):
        fn.fit("share ~ 1 + (1|g)", data, family="beta")


def test_one_trial_a_row_does_not_determine_a_betabinomial():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"x": rng.normal(size=60), "g": np.repeat(np.arange(10), 6), "y": rng.binomial(1, 0.4, 60)})
    with pytest.raises(fn.errors.FitError, match="family='binomial'"):
        fn.fit("y ~ x + (1|g)", data, family="betabinomial")


@pytest.mark.parametrize(("family", "value"), [("nbinom2", np.inf), ("nbinom1", 0.0)])
def test_counts_that_vary_no_more_than_poisson_ones_are_fitted_as_such(family, value):
    rng = np.random.default_rng(4)
    g, x = np.repeat(np.arange(12), 12), rng.normal(size=144)
    data = pd.DataFrame({"x": x, "g": g, "y": np.round(np.exp(1.5 + 0.3 * x + rng.normal(size=12)[g] / 3))})
    m, poisson = fn.fit("y ~ x + (1|g)", data, family=family), fn.fit("y ~ x + (1|g)", data, family="poisson")
    assert m.family.shape[1] == value
    assert m.converged
    assert m.loglik == pytest.approx(poisson.loglik, abs=1e-9)
    assert m.n_parameters == poisson.n_parameters + 1
    assert any("family='poisson' with one parameter more" in text for text in m.messages)
    np.testing.assert_allclose(m.se, poisson.se, rtol=1e-6)


@pytest.mark.parametrize("weights", ["observed", None])
def test_an_inverse_gaussian_is_at_the_maximum_of_its_own_likelihood(weights):
    # neither lme4 nor glmmTMB maximises this likelihood over the dispersion as well
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(10), 12), rng.normal(size=120)
    mean = np.exp(0.5 + 0.3 * x + rng.normal(size=10)[g] / 2)
    data = pd.DataFrame({"x": x, "g": g, "y": rng.wald(mean, 3.0)})
    m = fn.fit("y ~ x + (1|g)", data, family="inverse.gaussian(log)", estimator=fn.Laplace(weights=weights))

    def minus(psi):
        theta, b0, b1, tau = psi
        total, lam = 0.0, np.exp(-tau)
        for level in range(10):
            y, eta = data.y.to_numpy()[g == level], b0 + b1 * x[g == level]

            def h(v, y=y, eta=eta):
                mu = np.exp(eta + theta * v)
                return v**2 / 2 + lam * ((y - mu) ** 2 / (y * mu**2)).sum() / 2

            best = optimize.minimize_scalar(h, bounds=(-6, 6), method="bounded", options={"xatol": 1e-10})
            mu = np.exp(eta + theta * best.x)
            observed = lam * (2 * y / mu**2 - 1 / mu).sum()  # minus the second derivative of log f in eta
            W = observed if weights else lam * (1 / mu).sum()  # and its mean
            total += best.fun + np.log1p(theta**2 * W) / 2 + (np.log(2 * np.pi * y**3) + tau).sum() / 2
        return total

    at = np.array([m.theta[0] * m.sigma, *m.beta, 2 * np.log(m.sigma)])
    assert -m.loglik == pytest.approx(minus(at), abs=1e-6)
    step = 1e-3
    slope = [(minus(at + e) - minus(at - e)) / (2 * step) for e in step * np.eye(4)]
    # the line search's 1e-9 over 2e-3, and a third derivative of some 700 times 1e-6 / 6
    np.testing.assert_allclose(slope, 0, atol=2e-4)
    rises = [minus(at + e) for e in 0.05 * np.vstack([np.eye(4), -np.eye(4)])]
    assert min(rises) > -m.loglik


# ---- what is shown -------------------------------------------------------------------------------
def overdispersed():
    rng = np.random.default_rng(6)
    g, x = np.repeat(np.arange(12), 10), rng.normal(size=120)
    mean = np.exp(0.8 + 0.4 * x + rng.normal(size=12)[g] / 2)
    return pd.DataFrame({"x": x, "g": g, "y": rng.negative_binomial(1.5, 1.5 / (1.5 + mean))})


@pytest.mark.parametrize(("family", "name"), [("nbinom2", "theta"), ("nbinom1", "phi")])
def test_a_shape_and_its_standard_error_are_in_summary_and_glance(family, name):
    m = fn.fit("y ~ x + (1|g)", overdispersed(), family=family)
    shape, value, error = m.family.shape
    assert shape == name
    assert 0 < error < value
    assert f"Dispersion parameter {name} of the {family} family: {value:.4g}" in m.summary()
    assert m.glance()[[name, f"{name}_se"]].iloc[0].tolist() == [value, error]


def test_a_shape_counts_among_the_parameters():
    data = overdispersed()
    m, poisson = (fn.fit("y ~ x + (1|g)", data, family=family) for family in ("nbinom2", "poisson"))
    assert m.n_parameters == poisson.n_parameters + 1
    assert m.aic < poisson.aic


def test_a_theta_held_at_its_estimate_gives_the_same_likelihood_with_one_parameter_less():
    data = overdispersed()
    m = fn.fit("y ~ x + (1|g)", data, family="nbinom2")
    held = fn.fit("y ~ x + (1|g)", data, family=f"nbinom2(log, theta={m.family.theta!r})")
    assert held.loglik == pytest.approx(m.loglik, abs=1e-8)
    assert held.n_parameters == m.n_parameters - 1
    np.testing.assert_allclose(held.coef, m.coef, atol=1e-6)


def test_expected_weights_are_refused_where_nobody_uses_them():
    with pytest.raises(fn.errors.NoBackend, match="takes observed weights for nbinom2"):
        fn.fit("y ~ x + (1|g)", overdispersed(), family="nbinom2", estimator=fn.Laplace(weights="expected"))


def test_a_dispersion_makes_theta_relative_as_lme4s():
    data = overdispersed().assign(y=lambda d: d.y + 0.5)
    m = fn.fit("y ~ x + (1|g)", data, family="Gamma(log)")
    assert m.random[0].covariance[0, 0] == pytest.approx((m.sigma * m.theta[0]) ** 2)


@pytest.mark.parametrize("family", ["nbinom2", "nbinom1", "Gamma(log)"])
def test_the_units_of_a_covariate_do_not_matter(family):
    data = overdispersed().assign(y=lambda d: d.y + 1)
    m, moved = (fn.fit("y ~ x + (x|g)", d, family=family) for d in (data, data.assign(x=lambda d: 1e4 * d.x + 3e5)))
    assert moved.loglik == pytest.approx(m.loglik, abs=1e-7)
    assert moved.coef["x"] * 1e4 == pytest.approx(m.coef["x"], rel=1e-4)


def test_the_units_of_a_gaussian_response_do_not_matter():
    data = overdispersed().assign(y=lambda d: np.exp(0.4 * d.x + 0.1 * d.g) + 1)
    m, large = (fn.fit("y ~ x + (1|g)", d, family="gaussian(log)") for d in (data, data.assign(y=lambda d: 1e6 * d.y)))
    assert large.loglik + 120 * np.log(1e6) == pytest.approx(m.loglik, abs=1e-6)
    assert large.coef["x"] == pytest.approx(m.coef["x"], rel=1e-6)
