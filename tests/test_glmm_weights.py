"""Fisher's weights in Laplace's approximation of families with a dispersion, and what they are for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special

import formula_neuro as fn
from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.family import as_family
from formula_neuro_mixed import WITH_FISHER
from formula_neuro_mixed.glmm.inner import inner
from formula_neuro_mixed.glmm.inverse_links import inverse_link
from formula_neuro_mixed.glmm.marginal import Marginal
from formula_neuro_mixed.glmm.rows import POWERS, fisher
from formula_neuro_mixed.glmm.start import alone

WAYS = ["gaussian(log)", "Gamma(log)", "Gamma(inverse)", "inverse.gaussian(log)", "inverse.gaussian(1/mu^2)"]


def spread_widely(seed):
    """A few levels of inverse Gaussian responses, some far from their level's mean."""
    rng = np.random.default_rng(seed)
    levels, size = int(rng.integers(5, 20)), int(rng.integers(3, 12))
    g, x = np.repeat(np.arange(levels), size), rng.normal(size=levels * size)
    mean = np.exp(1 + 0.3 * x + rng.normal(size=levels)[g] * rng.uniform(0.1, 1.5))
    return pd.DataFrame({"y": rng.wald(mean, 1 / rng.uniform(0.1, 5.0)), "x": x, "g": g})


@pytest.mark.parametrize("family", WAYS)
def test_gradient_and_hessian_with_expected_weights_are_those_of_the_value(family):
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(8), 8), rng.normal(size=64)
    data = pd.DataFrame({"y": rng.gamma(6, (4 + 0.2 * x + rng.normal(size=8)[g] / 2) / 6), "x": x, "g": g})
    request = as_request(model_matrix("y ~ x + (1|g)", data), as_family(family), fn.Laplace(weights="expected"))
    problem = inner(request)
    marginal = Marginal(problem.model)
    size = {"log": 0.2, "inverse": 0.03, "1/mu^2": 0.01}[request.family.link.name]  # a fifth of means near 4
    psi = np.array([size, *(0.98 * alone(problem.model).b), -1.0])
    _, slope, H = marginal.derivatives(psi)
    steps = np.diag(1e-5 * np.maximum(np.abs(psi), 0.01))
    value = [(marginal.value(psi + e) - marginal.value(psi - e)) / (2 * e.sum()) for e in steps]
    gradient = [(marginal.gradient(psi + e)[1] - marginal.gradient(psi - e)[1]) / (2 * e.sum()) for e in steps]
    # rounding 1e-13 of some 100 over steps of 1e-7
    np.testing.assert_allclose(slope, value, atol=1e-6 * np.abs(H).max())
    np.testing.assert_allclose(H, gradient, atol=1e-6 * np.abs(H).max())


@pytest.mark.parametrize("text", ["Gamma(log)", "inverse.gaussian(log)"])
def test_expected_weights_are_the_mean_of_the_observed_ones(text):
    from formula_neuro_mixed.glmm.densities import DENSITIES
    from formula_neuro_mixed.glmm.rows import composed

    family, eta, tau = as_family(text), np.full(400_000, 0.7), np.log(0.2)
    mu = inverse_link(family.link, eta)
    y = family.draw(mu[0], np.ones(len(eta)), 0.2, np.random.default_rng(3))
    bend = -composed(DENSITIES[family.name](y, np.ones(len(eta)), mu[0], tau, (2,))[0], mu)[2]
    wanted = fisher(family, np.ones(len(eta)), mu, tau)[0][0]
    assert wanted == pytest.approx(bend.mean(), abs=5 * bend.std() / np.sqrt(len(eta)))  # five standard errors


def test_no_inverse_gaussian_fit_ends_at_a_pole():
    # of these 60 fits 13 end at a pole of the approximation with observed weights
    assert [seed for seed in range(60) if not one(seed).converged] == []


def one(seed, estimator=None):
    return fn.fit("y ~ x + (1|g)", spread_widely(seed), family="inverse.gaussian(log)", estimator=estimator)


@pytest.mark.parametrize("seed", [6, 18, 48])
def test_quadrature_with_expected_weights_finds_the_integrals_own_maximum(seed):
    m, data = one(seed, fn.AGQ(30)), spread_widely(seed)
    X, y, g = np.column_stack([np.ones(len(data)), data.x]), data.y.to_numpy(), data.g.to_numpy()
    v = np.linspace(-8, 8, 801)  # a smooth integrand that vanishes at both ends: the trapezoid's error is rounding
    starts = np.flatnonzero(np.diff(g, prepend=-1))

    def loglik(psi):
        theta, b, tau = psi[0], psi[1:3], psi[3]
        mu = np.exp((X @ b)[:, None] + theta * v)
        square = (y[:, None] - mu) ** 2 / (y[:, None] * mu**2)
        log_f = -(np.log(2 * np.pi * y**3)[:, None] + tau + np.exp(-tau) * square) / 2
        h = np.add.reduceat(log_f, starts) - v**2 / 2 - np.log(2 * np.pi) / 2
        return float((special.logsumexp(h, axis=1) + np.log(v[1] - v[0])).sum())

    at = np.array([np.sqrt(m.random[0].covariance[0, 0]), *m.beta, 2 * np.log(m.sigma)])
    assert m.loglik == pytest.approx(loglik(at), abs=2e-3)  # 30 nodes beside long tails
    best = optimize.minimize(lambda p: -loglik(p), at, method="BFGS")
    assert -best.fun - loglik(at) < 1e-3
    # Laplace's approximation is below the integral's maximum here, by what it leaves out
    assert one(seed).loglik == pytest.approx(-best.fun, abs=0.5)


def test_a_gamma_model_takes_expected_weights_here_and_not_in_lme4():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(10), 6)
    data = pd.DataFrame({"y": rng.gamma(3, np.exp(rng.normal(size=10)[g] / 2)), "g": g})
    m, usual = (
        fn.fit("y ~ 1 + (1|g)", data, family="Gamma(log)", estimator=fn.Laplace(weights=w)) for w in ("expected", None)
    )
    assert m.backend == "native-glmm"
    # the two approximations of one integral are near one another, and not the same
    assert m.coef.iloc[0] == pytest.approx(usual.coef.iloc[0], abs=0.5 * usual.se.iloc[0])
    assert m.loglik != usual.loglik


def test_the_record_names_the_families_whose_fisher_weights_are_known():
    assert set(WITH_FISHER) == {"binomial", *POWERS}
