"""Bias-reduced fits by what defines them: maxima, invariances, known dispersions; no R needed."""

from __future__ import annotations

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import NoBackend

RARE = {"y": [0, 0, 0, 0, 1, 0, 0, 0, 0, 1], "x": [0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "g": [0, 1] * 5}


def penalised(m, beta, power):
    X, mu = m.request.design.matrix, m.request.family.link.inverse(m.request.design.matrix @ beta)
    d1, v = m.request.family.link.derivative(X @ beta), mu * (1 - mu)
    y = m.request.y
    information = X.T @ (X * (d1**2 / v)[:, None])
    return float((y * np.log(mu) + (1 - y) * np.log1p(-mu)).sum() + power * np.linalg.slogdet(information)[1])


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
def test_jeffreys_is_the_maximum_that_its_criterion_states(link):
    m = fn.fit("y ~ x + g", RARE, family=f"binomial({link})", estimator="jeffreys(0.3)")
    best = penalised(m, m.beta, 0.3)
    np.testing.assert_allclose(m.criterion, -2 * best, rtol=1e-10)
    for step in np.diag(0.01 * m.se.to_numpy()):
        assert max(penalised(m, m.beta + step, 0.3), penalised(m, m.beta - step, 0.3)) < best


def test_mean_bias_reduction_is_jeffreys_at_one_half_for_the_logit_only():
    fits = {
        link: [fn.fit("y ~ x", RARE, family=f"binomial({link})", estimator=e) for e in ("mean_br", "jeffreys")]
        for link in ("logit", "probit")
    }
    np.testing.assert_allclose(*(m.beta for m in fits["logit"]), rtol=1e-9)
    assert fits["logit"][0].criterion == pytest.approx(fits["logit"][1].criterion)
    assert not np.allclose(*(m.beta for m in fits["probit"]), rtol=1e-3)
    assert np.isnan(fits["probit"][0].criterion)


def test_a_restricted_fit_holds_its_coefficient_and_costs_what_the_full_maximum_gains():
    m = fn.fit("y ~ x + g", RARE, family="binomial", estimator="mean_br")
    held = m.engine.restricted(m.request, {1: 0.0})
    assert held.beta[1] == 0.0
    assert held.converged
    assert held.criterion > m.criterion
    again = m.engine.restricted(m.request, {1: float(m.beta[1])})
    np.testing.assert_allclose(again.beta, m.beta, rtol=1e-7)
    np.testing.assert_allclose(again.criterion, m.criterion, rtol=1e-12)


def test_dispersions_of_a_linear_model_are_the_known_ones():
    rng = np.random.default_rng(0)
    data = {"y": rng.normal(size=12), "x": rng.normal(size=12)}
    ml = fn.fit("y ~ x", data)
    divisors = {"mean_br": 12 - 2, "median_br": 12 - 2 - 2 / 3, "jeffreys": 12 + 2 * 0.5 * (2 + 2)}
    for estimator, divisor in divisors.items():
        m = fn.fit("y ~ x", data, estimator=estimator)
        np.testing.assert_allclose(m.beta, ml.beta, rtol=1e-9)
        np.testing.assert_allclose(m.dispersion, ml.deviance / divisor, rtol=1e-9)


def test_a_constant_response_is_fitted_and_a_balanced_one_has_the_known_answer():
    m = fn.fit("y ~ 1", {"y": [0.0] * 9}, family="binomial", estimator="mean_br")
    np.testing.assert_allclose(m.fitted, 0.5 / 10, rtol=1e-9)  # half a success in one trial more
    assert m.converged
    assert m.separation == "all 0"


def test_median_bias_reduction_keeps_to_the_units_of_a_covariate():
    a = fn.fit("y ~ x", RARE, family="binomial", estimator="median_br")
    b = fn.fit("y ~ x", RARE | {"x": [1e6 * x for x in RARE["x"]]}, family="binomial", estimator="median_br")
    np.testing.assert_allclose(a.beta, b.beta * [1, 1e6], rtol=1e-7)


def test_fewer_rows_than_columns_still_have_finite_estimates():
    m = fn.fit("y ~ x + I(x^2) + I(x^3)", {"y": [0, 1, 1], "x": [0.0, 1, 2]}, family="binomial", estimator="mean_br")
    assert m.aliased == ("I(x^3)",)
    assert m.converged


@pytest.mark.parametrize("family", ["Gamma", "Gamma(log)", "inverse.gaussian(log)", "gaussian"])
def test_as_many_columns_as_rows_are_a_perfect_fit_without_standard_errors(family):
    m = fn.fit("y ~ x", {"y": [0.5, 2.0], "x": [0.0, 1]}, family=family, estimator="jeffreys")
    np.testing.assert_allclose(m.fitted, [0.5, 2.0], rtol=1e-8)  # scoring to rounding
    assert np.isnan(m.se).all() and any("no standard errors" in text for text in m.messages)


def test_families_without_adjusted_scores_are_refused_by_name():
    with pytest.raises(NoBackend, match="has no adjusted scores of nbinom2"):
        fn.fit("y ~ x", {"y": [1, 2, 3, 5], "x": [1.0, 2, 3, 4]}, family="nbinom2", estimator="mean_br")
