"""The native generalized linear mixed model against integrals done by brute force, and by what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize

import formula_neuro as fn
from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.errors import DataError, NoBackend
from formula_neuro.family import as_family
from formula_neuro_mixed.glmm.inner import inner_problem
from formula_neuro_mixed.plain import agq
from formula_neuro_mixed.plain.agq import normal_nodes
from formula_neuro_mixed.plain.objective import Objective

# lme4's cbpp (Lesnoff et al. 2004): herd.incidence.size.period
CBPP = """
1.2.14.1 1.3.12.2 1.4.9.3 1.0.5.4 2.3.22.1 2.1.18.2 2.1.21.3 3.8.22.1 3.2.16.2 3.0.16.3 3.2.20.4 4.2.10.1
4.0.10.2 4.2.9.3 4.0.6.4 5.5.18.1 5.0.25.2 5.0.24.3 5.1.4.4 6.3.17.1 6.0.17.2 6.0.18.3 6.1.20.4 7.8.16.1
7.1.10.2 7.3.9.3 7.0.5.4 8.12.34.1 9.2.9.1 9.0.6.2 9.0.8.3 9.0.6.4 10.1.22.1 10.1.22.2 10.0.18.3 10.2.22.4
11.0.25.1 11.5.27.2 11.3.22.3 11.1.22.4 12.2.10.1 12.1.8.2 12.0.6.3 12.0.5.4 13.1.21.1 13.2.24.2 13.0.19.3
13.0.23.4 14.11.19.1 14.0.2.2 14.0.3.3 14.0.2.4 15.1.19.1 15.1.15.2 15.1.15.3 15.0.15.4
"""


def cbpp():
    rows = np.array([entry.split(".") for entry in CBPP.split()], dtype=int)
    data = pd.DataFrame(rows, columns=["herd", "incidence", "size", "period"])
    return data.astype({"period": str})


HERDS = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def trials(n=150, seed=0):
    """0/1 responses and counts with an intercept and a slope that vary by g, and a crossed factor h."""
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(0, 12, n), rng.integers(0, 7, n), rng.normal(size=n)
    eta = 0.4 + 0.7 * x + rng.normal(size=12)[g] + 0.5 * rng.normal(size=12)[g] * x + 0.6 * rng.normal(size=7)[h]
    data = pd.DataFrame({"x": x, "g": g, "h": h, "o": rng.normal(size=n) / 3}).astype({"g": str, "h": str})
    return data.assign(y=rng.binomial(1, 1 / (1 + np.exp(-eta))), count=rng.poisson(np.exp(eta)))


def native(formula, data, family="binomial", **options):
    return fn.fit(formula, data, family=family, backend="native-glmm", **options)


def objective_for(formula, data, family, nodes=1):
    request = as_request(model_matrix(formula, data), as_family(family))
    return Objective(inner_problem(request)[0], nodes)


# ---- published -----------------------------------------------------------------------------------
def test_cbpp_has_the_exact_standard_errors_that_two_other_programs_agree_on():
    m = native(HERDS, cbpp())
    np.testing.assert_allclose(m.se, [0.2325, 0.3066, 0.3266, 0.4274], atol=5e-5)
    assert m.loglik == pytest.approx(-92.02628, abs=5e-6)


def test_quadrature_is_on_the_scale_of_laplace():
    assert native(HERDS, cbpp(), estimator="AGQ(10)").loglik == pytest.approx(-91.9834, abs=5e-5)


# ---- the approximations by their definitions -----------------------------------------------------
def laplace_by_hand(m):
    """log L from the definition: a general minimiser for each mode, Fisher's weights in log|A|."""
    request, family = m.request, m.request.family
    term, sd = request.design.random[0], m.theta[0]
    fixed, total = request.design.matrix @ m.beta + request.design.offset, 0.0
    for level in range(len(term.levels)):
        rows = term.codes == level
        y, w, eta = request.y[rows], request.weights[rows], fixed[rows]

        def negative(v, y=y, w=w, eta=eta):
            log = family.loglik(y, family.link.inverse(eta + sd * v), w, 1.0)
            return np.nan_to_num(v**2 / 2 - log, nan=np.inf)  # no likelihood where a mean is negative

        near = min(np.linspace(-6, 6, 121), key=negative)
        best = optimize.minimize_scalar(
            negative, bounds=(near - 0.1, near + 0.1), method="bounded", options={"xatol": 1e-10}
        )
        at = eta + sd * best.x
        fisher = w * family.link.derivative(at) ** 2 / family.variance(family.link.inverse(at))
        total -= best.fun + np.log(1 + sd**2 * fisher.sum()) / 2
    return total


def integral_by_hand(m):
    """log L by adaptive integration over each group's effect."""
    request, family = m.request, m.request.family
    term, sd = request.design.random[0], m.theta[0]
    fixed, total = request.design.matrix @ m.beta + request.design.offset, 0.0
    for level in range(len(term.levels)):
        rows = term.codes == level
        y, w, eta = request.y[rows], request.weights[rows], fixed[rows]
        top = family.loglik(y, family.link.inverse(eta + m.random[0].modes[level, 0]), w, 1.0)

        def density(v, y=y, w=w, eta=eta, top=top):
            log = family.loglik(y, family.link.inverse(eta + sd * v), w, 1.0) - top - v**2 / 2
            return np.nan_to_num(np.exp(log)) / np.sqrt(2 * np.pi)  # no density where a mean is negative

        total += top + np.log(integrate.quad(density, -9, 9, epsabs=0, epsrel=1e-10, limit=200)[0])
    return total


CASES = [
    ("y ~ x + (1|g)", "binomial"),
    ("y ~ x + offset(o) + (1|g)", "binomial(probit)"),
    ("y ~ x + (1|g)", "binomial(cloglog)"),
    ("y ~ x + (1|g)", "binomial(cauchit)"),
    ("count ~ x + offset(o) + (1|g)", "poisson"),
    ("count + 3 ~ 1 + (1|g)", "poisson(sqrt)"),
    ("count + 3 ~ 1 + (1|g)", "poisson(identity)"),
]


@pytest.mark.parametrize(("formula", "family"), CASES)
def test_laplace_is_what_its_definition_says(formula, family):
    m = native(formula, trials(), family)
    assert m.converged
    assert m.loglik == pytest.approx(laplace_by_hand(m), abs=1e-7)  # a line search finds each of 12 modes to about 1e-8


@pytest.mark.parametrize(("formula", "family"), CASES)
def test_many_nodes_give_the_integral(formula, family):
    m = native(formula, trials(), family, estimator="AGQ(60)")
    # a polynomial of degree 119 stands for the likelihood, which these links bend more sharply than the others
    sharp = any(link in family for link in ("cauchit", "sqrt", "identity"))
    assert m.loglik == pytest.approx(integral_by_hand(m), abs=1e-4 if sharp else 1e-7)


def test_one_node_is_laplace():
    m, one = native("y ~ x + (1|g)", trials()), native("y ~ x + (1|g)", trials(), estimator="AGQ(1)")
    assert one.loglik == pytest.approx(m.loglik, abs=1e-12)


def test_quadrature_with_one_node_has_laplaces_value_and_gradient():
    laplace = objective_for("y ~ x + (1|g)", trials(), "binomial(cloglog)")
    psi = np.array([0.7, 0.3, 0.2])
    value, gradient = laplace.gradient(psi)
    by_quadrature = agq.value_and_gradient(laplace.problem, psi[:1], laplace.sure_mode(psi), 1)
    assert by_quadrature[0] == pytest.approx(value, abs=1e-10)
    np.testing.assert_allclose(by_quadrature[1], gradient, atol=1e-9)


def test_the_nodes_integrate_the_normal_moments():
    nodes, weights = normal_nodes(7)
    np.testing.assert_allclose([weights @ nodes**k for k in (0, 2, 4, 6)], [1, 1, 3, 15], rtol=1e-12)


# ---- derivatives ---------------------------------------------------------------------------------
SLOPES = [
    ("y ~ x + (x|g) + (1|h)", "binomial"),
    ("y ~ x + (x|g) + (1|h)", "binomial(probit)"),
    ("y ~ x + (x|g) + (1|h)", "binomial(cloglog)"),
    ("y ~ x + (x|g) + (1|h)", "binomial(cauchit)"),
    ("count ~ x + (x|g) + (1|h)", "poisson"),
    ("count ~ x + (x|g) + (1|h)", "poisson(sqrt)"),
]


@pytest.mark.parametrize(("formula", "family"), SLOPES)
def test_the_gradient_is_that_of_the_value(formula, family):
    objective = objective_for(formula, trials(), family)
    psi = np.array([0.5, 0.1, 0.3, 0.4, 3.0 if "sqrt" in family else 0.3, 0.2])
    step = 1e-4
    differences = [(objective.value(psi + e) - objective.value(psi - e)) / (2 * step) for e in step * np.eye(6)]
    # truncation 1e-8 times a third derivative of a few 100; rounding 1e-13 * 300 / 1e-4
    np.testing.assert_allclose(objective.gradient(psi)[1], differences, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["binomial", "binomial(cloglog)"])
def test_the_gradient_of_quadrature_is_that_of_its_value(family):
    objective, step = objective_for("y ~ x + (1|g)", trials(), family, nodes=7), 1e-4
    psi = np.array([0.6, 0.3, 0.2])
    differences = [(objective.value(psi + e) - objective.value(psi - e)) / (2 * step) for e in step * np.eye(3)]
    np.testing.assert_allclose(objective.gradient(psi)[1], differences, rtol=1e-5, atol=1e-5)


def test_standard_errors_are_the_curvature_of_the_log_likelihood():
    # second differences: rounding of a log-likelihood near 100 costs 1e-14 * 100 / step^2, the next term step^2
    m, step = native("y ~ x + (1|g)", trials()), 1e-2
    at, moves = np.concatenate([m.theta, m.beta]), step * np.eye(3)

    def f(psi):
        return -laplace_by_hand(replace(m, theta=psi[:1], beta=psi[1:]))

    H = [[f(at + a + b) - f(at + a - b) - f(at - a + b) + f(at - a - b) for b in moves] for a in moves]
    covariance = np.linalg.inv(np.array(H) / (4 * step**2))
    # second differences of a value near 90 with 1e-9 of line search in it: 1e-9 / step^2 beside entries of 10
    np.testing.assert_allclose(m.covariance, covariance[1:, 1:], rtol=1e-3)


@pytest.mark.parametrize(
    ("formula", "family", "nodes"),
    [
        ("y ~ x + (x|g)", "binomial", 1),
        ("y ~ x + (1|g) + (1|h)", "binomial(probit)", 1),
        ("count ~ x + (x||g)", "poisson", 1),
        ("y ~ x + (1|g)", "binomial", 9),
    ],
)
def test_no_general_minimiser_finds_more_likelihood(formula, family, nodes):
    m = native(formula, trials(), family, estimator=f"AGQ({nodes})")
    objective = objective_for(formula, trials(), family, nodes)
    start = np.concatenate([0.5 * np.ones(objective.problem.n_theta), np.zeros(2)])
    best = optimize.minimize(objective.value, start, method="Powell", options={"ftol": 1e-12, "maxfev": 2000})
    mu = m.request.family.link.inverse(m.eta)
    saturated = m.request.family.loglik(m.request.y, mu, m.request.weights, 1.0) + m.deviance / 2
    assert m.loglik >= saturated - best.fun / 2 - 1e-8  # what the decrement of 1e-10 leaves open


# ---- what must not matter ------------------------------------------------------------------------
def test_the_order_of_rows_does_not_matter():
    data = trials()
    m, mixed = native("y ~ x + (x|g)", data), native("y ~ x + (x|g)", data.sample(frac=1, random_state=1))
    assert mixed.loglik == pytest.approx(m.loglik, abs=1e-9)
    np.testing.assert_allclose(mixed.coef, m.coef, rtol=1e-6)


def test_units_and_origin_of_a_slope_variable_do_not_matter():
    data = trials()
    m, moved = native("y ~ x + (x|g)", data), native("y ~ x + (x|g)", data.assign(x=1000 * data.x + 1e5))
    assert moved.loglik == pytest.approx(m.loglik, abs=1e-8)
    assert moved.coef["x"] * 1000 == pytest.approx(m.coef["x"], rel=1e-6)
    assert moved.se["x"] * 1000 == pytest.approx(m.se["x"], rel=1e-6)


def test_names_of_groups_do_not_matter():
    data = trials()
    renamed = data.assign(g=data.g.map({str(i): f"mouse{(5 * i) % 12}" for i in range(12)}))
    assert native("y ~ x + (1|g)", renamed).loglik == pytest.approx(native("y ~ x + (1|g)", data).loglik, abs=1e-9)


def test_shares_with_weights_are_the_same_as_counts():
    data = cbpp().assign(share=lambda d: d.incidence / d["size"])
    m, shares = native(HERDS, data), native("share ~ period + (1 | herd)", data, weights="size")
    assert shares.loglik == pytest.approx(m.loglik, abs=1e-10)


def test_rows_of_zero_weight_change_nothing():
    data = trials().assign(w=lambda d: (np.arange(len(d)) % 7 > 0) * 1.0)
    m, rest = native("y ~ x + (1|g)", data, weights="w"), native("y ~ x + (1|g)", data[data.w > 0])
    assert m.loglik == pytest.approx(rest.loglik, abs=1e-9)
    np.testing.assert_allclose(m.se, rest.se, rtol=1e-6)


def test_an_offset_with_a_coefficient_of_one_is_an_offset():
    data = trials()
    m = native("count ~ x + offset(o) + (1|g)", data, "poisson")
    free = native("count ~ x + o + (1|g)", data, "poisson")
    shifted = native("count ~ x + o + offset(o) + (1|g)", data, "poisson")
    assert shifted.coef["o"] + 1 == pytest.approx(free.coef["o"], abs=1e-6)
    assert free.loglik >= m.loglik


def test_another_response_is_fitted_as_if_it_were_the_first():
    data = trials()
    m = native("y ~ x + (1|g)", data)
    other = 1.0 - data.y.to_numpy()
    again = m.engine.refit(m.request.with_response(other))
    np.testing.assert_array_equal(again.coef, native("z ~ x + (1|g)", data.assign(z=other)).coef)


# ---- numbers that the fit carries ----------------------------------------------------------------
def test_the_deviance_is_conditional_on_the_modes():
    m = native("count ~ x + (1|g)", trials(), "poisson")
    y, mu = m.request.y, np.exp(m.eta)
    by_hand = 2 * np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mu), 0) - 2 * (y - mu)
    assert m.deviance == pytest.approx(by_hand.sum())
    assert m.criterion == pytest.approx(-2 * m.loglik)


def test_parameters_are_coefficients_and_theta():
    m = native("y ~ x + (x|g)", trials())
    assert m.n_parameters == 5
    assert m.df_resid == 145
    assert m.sigma == 1.0


def test_the_modes_solve_their_own_equation():
    m = native("y ~ x + (x|g) + (1|h)", trials())
    residual = m.request.y - 1 / (1 + np.exp(-m.eta))
    for term, effect in zip(m.request.design.random, m.random, strict=True):
        score = (term.Z.T @ residual).reshape(effect.modes.shape)
        np.testing.assert_allclose(effect.modes, score @ effect.covariance, atol=1e-8)  # modes are found to 1e-10


# ---- words ---------------------------------------------------------------------------------------
def test_a_constant_response_is_an_error():
    with pytest.raises(DataError, match="infinite"):
        native("y ~ x + (1|g)", trials().assign(y=1))


def test_counts_of_0_only_are_an_error():
    with pytest.raises(DataError, match="0 in all 150 rows"):
        native("y ~ x + (1|g)", trials().assign(y=0), "poisson")


def test_separation_is_said_and_the_fit_does_not_count_as_converged():
    data = trials()
    m = native("y ~ x + rare + (1|g)", data.assign(rare=lambda d: (d.y == 1) & (d.x > 1)))
    assert not m.converged
    assert any("separation" in text and "rareTRUE (+infinity)" in text for text in m.messages)


def test_complete_separation_is_said_too():
    m = native("y ~ x + (1|g)", trials().assign(y=lambda d: (d.x > 0).astype(int)))
    assert not m.converged
    assert any("x (+infinity)" in text for text in m.messages)


def test_large_effects_are_not_called_separation():
    data = trials(400).assign(y=lambda d: np.random.default_rng(1).binomial(1, 1 / (1 + np.exp(-4 * d.x))))
    m = native("y ~ x + (1|g)", data)
    assert m.converged
    assert not any("separation" in text for text in m.messages)


def test_groups_without_variation_inside_are_said_to_have_an_infinite_variance():
    data = trials().assign(y=lambda d: d.g.astype(int) % 2)
    m = native("y ~ x + (1|g)", data)
    assert not m.converged
    assert any("random effects of g grows without limit" in text for text in m.messages)


def test_a_variance_of_0_is_exact_and_named():
    m = native("y ~ x + (1|g)", trials().assign(y=np.tile([0, 1], 75), g=np.repeat(np.arange(15), 10)))
    assert m.converged
    assert m.theta[0] == 0
    assert any("the variance of (Intercept) within g is estimated as 0" in text for text in m.messages)
    assert m.se.notna().all()


def test_a_level_a_row_is_legitimate_without_a_dispersion():
    data = trials().assign(row=lambda d: np.arange(len(d)))
    m = native("count ~ x + (1|row)", data, "poisson")
    assert m.converged
    assert m.theta[0] > 0


def test_an_aliased_column_is_dropped_and_named():
    data = trials().assign(twice=lambda d: 2 * d.x + 1)
    m, without = native("y ~ x + twice + (1|g)", data), native("y ~ x + (1|g)", data)
    assert m.aliased == ("twice",)
    assert m.loglik == pytest.approx(without.loglik, abs=1e-9)


def test_a_likelihood_with_kinks_is_still_climbed():
    # means of the square-root link that touch 0 have a kink; Newton's method alone stops 5 units too low here
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(20), 20), rng.normal(size=400)
    count = rng.poisson(np.exp(-0.5 + x + rng.normal(size=20)[g]))
    m = native("count ~ x + (1|g)", pd.DataFrame({"x": x, "g": g, "count": count}), "poisson(sqrt)")
    objective = objective_for("count ~ x + (1|g)", pd.DataFrame({"x": x, "g": g, "count": count}), "poisson(sqrt)")
    simplex = optimize.minimize(objective.value, [0.5, 0.9, 0.6], method="Nelder-Mead")
    mu = m.eta**2
    saturated = m.request.family.loglik(m.request.y, mu, m.request.weights, 1.0) + m.deviance / 2
    assert m.loglik >= saturated - simplex.fun / 2 - 1e-4  # as near as a simplex comes on its default settings


def test_quadrature_of_two_terms_is_refused_with_the_remedy():
    with pytest.raises(NoBackend, match=r"one scalar random effect.*2 terms.*laplace"):
        native("y ~ x + (1|g) + (1|h)", trials(), estimator="AGQ(5)")


def test_quadrature_of_a_slope_with_its_intercept_is_refused():
    with pytest.raises(NoBackend, match="one term of 2 effects"):
        native("y ~ x + (x|g)", trials(), estimator="AGQ(5)")
