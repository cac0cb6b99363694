"""Separation in a GLMM: words, and a weak prior that keeps estimates finite, against independent computations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import formula_neuro as fn

SEPARATED = "y ~ x + rare + (1|g)"


def separated(n=120):
    """A column that goes with successes only."""
    rng = np.random.default_rng(2)
    g, x = rng.integers(0, 10, n), rng.normal(size=n)
    y = rng.binomial(1, 1 / (1 + np.exp(-(0.3 + 0.6 * x + 0.7 * rng.normal(size=10)[g]))))
    return pd.DataFrame({"x": x, "g": g, "y": y, "rare": ((y == 1) & (x > 1)).astype(float)})


def fitted(prior=None, **options):
    return fn.fit(SEPARATED, separated(), family="binomial", estimator=fn.Laplace(prior=prior), **options)


def minus_log_posterior(psi, data, sds):
    """-log of Laplace's likelihood times the normal priors, by a general minimiser for each level's mode."""
    theta, *b = psi
    X = np.column_stack([np.ones(len(data)), data.x, data.rare])
    fixed, total = X @ b, 0.0
    for level in np.unique(data.g):
        rows = data.g.to_numpy() == level
        y, eta = data.y.to_numpy()[rows], fixed[rows]

        def h(v, y=y, eta=eta):
            return v**2 / 2 - (y * (eta + theta * v) - np.logaddexp(0, eta + theta * v)).sum()

        best = optimize.minimize_scalar(h, bounds=(-8, 8), method="bounded", options={"xatol": 1e-11})
        p = 1 / (1 + np.exp(-(eta + theta * best.x)))
        total += best.fun + np.log1p(theta**2 * (p * (1 - p)).sum()) / 2
    return total + ((np.array(b) / sds) ** 2).sum() / 2


def test_a_separated_fit_is_advised_a_prior():
    m = fitted()
    assert not m.converged
    assert any("separation" in text and "rare" in text and "fn.Laplace(prior=fn.Normal" in text for text in m.messages)


def test_with_a_prior_the_estimates_are_the_posteriors_mode():
    prior = fn.Normal(sd=2.0, intercept=8.0)
    m, data = fitted(prior), separated()
    sds = np.array([8.0, 2.0, 2.0])
    at, step = np.concatenate([m.theta, m.beta]), 1e-3
    slope = [
        (minus_log_posterior(at + e, data, sds) - minus_log_posterior(at - e, data, sds)) / (2 * step)
        for e in step * np.eye(4)
    ]
    assert m.converged
    # the line search's 1e-9 over 2e-3, and a third derivative of some 10 times 1e-6 / 6; the curvature is tested below
    np.testing.assert_allclose(slope, 0, atol=1e-5)
    assert m.criterion / 2 == pytest.approx(minus_log_posterior(at, data, sds), abs=1e-7)
    assert m.loglik == pytest.approx(-m.criterion / 2 + ((m.beta / sds) ** 2).sum() / 2, abs=1e-10)


def test_standard_errors_with_a_prior_are_the_curvature_of_the_posterior():
    m, data, sds = fitted(fn.Normal()), separated(), np.array([10.0, 2.5, 2.5])
    at, moves = np.concatenate([m.theta, m.beta]), 2e-2 * np.eye(4)

    def f(psi):
        return minus_log_posterior(psi, data, sds)

    H = np.array([[f(at + a + b) - f(at + a - b) - f(at - a + b) + f(at - a - b) for b in moves] for a in moves])
    covariance = np.linalg.inv(H / (4 * 4e-4))
    np.testing.assert_allclose(m.covariance, covariance[1:, 1:], rtol=5e-3)  # second differences over steps of 0.02


def test_the_prior_is_said_and_nothing_is_called_infinite():
    m = fitted(fn.Normal(sd=3))
    assert any("would make rare infinite" in text and "sd 3" in text for text in m.messages)
    assert m.infinite == {}
    assert dict(m.separated) == {"rare": 1.0}
    assert "maximum a posteriori" in m.summary()
    assert "Inf" not in m.summary()


def test_a_wide_prior_changes_nothing_where_nothing_is_separated():
    data = separated()
    plain = fn.fit("y ~ x + (1|g)", data, family="binomial")
    wide = fn.fit("y ~ x + (1|g)", data, family="binomial", estimator=fn.Laplace(prior=fn.Normal(1e6, 1e6)))
    np.testing.assert_allclose(wide.coef, plain.coef, atol=1e-8)
    assert wide.loglik == pytest.approx(plain.loglik, abs=1e-9)


def test_a_prior_belongs_to_the_users_coefficients_not_to_the_inner_ones():
    data = separated().assign(x=lambda d: 10 * d.x)
    m = fn.fit(SEPARATED, data, family="binomial", estimator=fn.Laplace(prior=fn.Normal(sd=1)))
    wider = fn.fit(SEPARATED, separated(), family="binomial", estimator=fn.Laplace(prior=fn.Normal(sd=1)))
    assert abs(m.coef["x"] * 10) > abs(wider.coef["x"])  # the same prior is weaker for a smaller coefficient


def test_quadrature_takes_a_prior_too():
    m = fn.fit(SEPARATED, separated(), family="binomial", estimator=fn.AGQ(9, prior=fn.Normal()))
    assert m.converged
    assert m.coef["rare"] == pytest.approx(fitted(fn.Normal()).coef["rare"], abs=0.1)


def test_an_estimate_with_a_prior_can_be_refitted():
    m = fitted(fn.Normal())
    assert m.engine.refit(m.request).loglik == pytest.approx(m.loglik, abs=1e-9)


def test_a_prior_without_a_spread_is_refused():
    with pytest.raises(ValueError, match="standard deviation above 0"):
        fn.Normal(sd=0)


def test_unknown_weights_are_refused():
    with pytest.raises(ValueError, match="'expected' and 'observed'"):
        fn.Laplace(weights="fisher")


def test_no_backend_ignores_a_prior():
    with pytest.raises(fn.errors.NoBackend, match="has no prior"):
        fitted(fn.Normal(), backend="lme4")
