"""Refits that step together against the plain loop, which is the oracle, and their derivatives against differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.inference.bootstrap.refits import one_by_one
from formula_neuro.inference.bootstrap.replicates import drawn
from formula_neuro_mixed.batch.glmm import problem_of as glmm_problem
from formula_neuro_mixed.batch.laplace import Laplace
from formula_neuro_mixed.batch.lmm import problem_of as lmm_problem
from formula_neuro_mixed.batch.newton import minimise_many
from formula_neuro_mixed.batch.profiled import Profiled
from formula_neuro_mixed.batch.quadrature import Quadrature
from formula_neuro_mixed.newton import Target, minimise

B = 10


def table() -> pd.DataFrame:
    """150 rows in 10 unequal groups, with weights, an offset, trials and an aliased column."""
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(10), np.arange(6, 25, 2))
    n = len(g)
    x, z = rng.standard_normal(n), rng.integers(0, 3, n).astype(float)
    u = rng.standard_normal((10, 2)) @ np.array([[0.8, 0.3], [0.0, 0.4]])
    eta = 0.2 + 0.4 * x + u[g, 0] + u[g, 1] * x
    return pd.DataFrame(
        {
            "y": 3 + eta + rng.standard_normal(n),
            "k": rng.poisson(np.exp(0.5 * eta)),
            "b": rng.binomial(1, 1 / (1 + np.exp(-eta))),
            "s": rng.binomial(5, 1 / (1 + np.exp(-eta))),
            "x": x,
            "z": z,
            "double": 2 * x,
            "g": g,
            "w": rng.uniform(0.5, 2, n),
            "o": 0.1 * rng.standard_normal(n),
        }
    ).assign(f=lambda d: 5 - d["s"])


DATA = table()
MODELS = {
    "lm": ("y ~ x + factor(z)", {}),
    "lm, weights": ("y ~ x + double + offset(o)", {"weights": "w"}),
    "glm, logit": ("b ~ x", {"family": "binomial"}),
    "glm, counts of successes": ("cbind(s, f) ~ x + z", {"family": "binomial(cloglog)"}),
    "glm, poisson": ("k ~ x + offset(o)", {"family": "poisson"}),
    "lmm": ("y ~ x + (1|g)", {"estimator": "ml"}),
    "lmm, reml": ("y ~ x + z + (1|g)", {}),
    "lmm, weights and offset": ("y ~ x + double + offset(o) + (1|g)", {"weights": "w"}),
    "lmm, slopes": ("y ~ x + (x|g)", {"estimator": "ml"}),
    "lmm, slopes, reml": ("y ~ x + (x|g)", {}),
    "lmm, a slope alone": ("y ~ x + (0 + x|g)", {}),
    "lmm, no such variance": ("o ~ x + (z|g)", {}),
    "glmm, logit": ("b ~ x + (1|g)", {"family": "binomial"}),
    "glmm, intercepts": ("b ~ 1 + (1|g)", {"family": "binomial"}),
    "glmm, a slope alone": ("b ~ x + (0 + x|g)", {"family": "binomial"}),
    "glmm, probit": ("b ~ x + (1|g)", {"family": "binomial(probit)"}),
    "glmm, cloglog": ("cbind(s, f) ~ x + (1|g)", {"family": "binomial(cloglog)"}),
    "glmm, poisson": ("k ~ x + z + offset(o) + (1|g)", {"family": "poisson"}),
    "glmm, quadrature": ("b ~ x + (1|g)", {"family": "binomial", "estimator": "AGQ(5)"}),
}


@pytest.fixture(scope="module", params=MODELS)
def both(request):
    """A fit, and ten replicates of it refitted together and one by one."""
    formula, options = MODELS[request.param]
    fit = fn.fit(formula, DATA, **options)
    Y = drawn(fit, 11, 0, B).Y
    return fit, fit.engine.batch(fit, fit)(Y), one_by_one(fit, Y)


def test_likelihoods_equal_the_loops(both):
    _, together, alone = both
    assert set(alone.reasons) == {""} and set(together.reasons) == {""}
    # of the criterion -2 log L; both searches end where another step would gain less than 1e-10
    assert np.abs(2 * (together.loglik - alone.loglik)).max() < 1e-8


def test_estimates_equal_the_loops(both):
    fit, together, alone = both
    # the single search may end 1e-10 of the deviance above the minimum: 1e-5 of a standard error
    assert (np.abs(together.beta - alone.beta) <= 2e-5 * fit.se.to_numpy() + 1e-12)[:, ~np.isnan(fit.beta)].all()
    np.testing.assert_allclose(together.sigma, alone.sigma, rtol=1e-5)
    limit = 1e-4 * (1 + np.nanmax(alone.spread, initial=0))  # a variance is less well determined near 0
    np.testing.assert_allclose(together.spread, alone.spread, atol=limit)


def test_aliased_coefficients_stay_missing(both):
    fit, together, _ = both
    assert (np.isnan(together.beta) == np.isnan(fit.beta)).all()


def test_the_fits_own_response_gives_the_fit_again(both):
    fit, *_ = both
    again = fit.engine.batch(fit, fit)(fit.request.y[:, None])
    assert again.loglik[0] == pytest.approx(fit.loglik, abs=1e-8)


# ---- derivatives ---------------------------------------------------------------------------------
def laplace(formula: str, family: str, kind=Laplace, *more):
    fit = fn.fit(formula, DATA, family=family)
    problem = glmm_problem(fit.request)
    return kind(problem, problem.merge @ drawn(fit, 1, 0, 3).Y, *more), 1 + problem.r


def profiled(formula: str, estimator: str):
    fit = fn.fit(formula, DATA, estimator=estimator)
    target = Profiled(lmm_problem(fit.request).products(drawn(fit, 1, 0, 3).Y)[0])
    return target, target.template.size


TARGETS = {
    "laplace, logit": lambda: laplace("b ~ x + (1|g)", "binomial"),
    "laplace, probit": lambda: laplace("b ~ x + (1|g)", "binomial(probit)"),
    "laplace, cloglog slope": lambda: laplace("b ~ x + (0 + x|g)", "binomial(cloglog)"),
    "laplace, poisson slope": lambda: laplace("k ~ x + z + (0 + x|g)", "poisson"),
    "profiled, ml": lambda: profiled("y ~ x + (1|g)", "ml"),
    "profiled, reml slopes": lambda: profiled("y ~ x + (x|g)", "reml"),
    "profiled, three effects": lambda: profiled("y ~ x + (x + z|g)", "ml"),
}


def differences(values, h: float):
    """Fourth-order central differences of values(step)."""
    return (values(-2 * h) - 8 * values(-h) + 8 * values(h) - values(2 * h)) / (12 * h)


@pytest.mark.parametrize("name", TARGETS)
def test_gradients_and_hessians_are_exact(name):
    target, m = TARGETS[name]()
    which = np.arange(3)
    psi = 0.4 + 0.2 * np.random.default_rng(2).standard_normal((3, m))
    _, gradient, hessian = target.expand(psi, which)
    for j, step in enumerate(np.eye(m)):
        # modes are found to 1e-8, differences of step 1e-3 multiply that by 1e3
        slope = differences(lambda h, e=step: target.value(psi + h * e, which), 1e-3)
        np.testing.assert_allclose(gradient[:, j], slope, rtol=1e-5, atol=1e-5)
        bend = differences(lambda h, e=step: target.expand(psi + h * e, which)[1], 1e-3)
        np.testing.assert_allclose(hessian[:, j], bend, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_quadrature_is_exact():
    target, m = laplace("b ~ x + (1|g)", "binomial", Quadrature, 5)
    which, psi = np.arange(3), np.full((3, m), 0.6)
    _, gradient, _ = target.expand(psi, which)
    for j, step in enumerate(np.eye(m)):
        slope = differences(lambda h, e=step: target.value(psi + h * e, which), 1e-3)
        np.testing.assert_allclose(gradient[:, j], slope, rtol=1e-5, atol=1e-5)


def test_one_node_of_quadrature_is_laplaces_approximation():
    target, m = laplace("b ~ x + (1|g)", "binomial", Quadrature, 1)
    which, psi = np.arange(3), np.full((3, m), 0.6)
    plain, _ = laplace("b ~ x + (1|g)", "binomial")
    np.testing.assert_allclose(target.value(psi, which), plain.value(psi, which), rtol=1e-12)


# ---- the search ----------------------------------------------------------------------------------
class Quartics:
    """(p^2 - a)^2 for each replicate: a saddle at 0, minima at +-sqrt(a); no value beyond 10."""

    def __init__(self, a):
        self.a = np.asarray(a, dtype=float)

    def expand(self, psi, which):
        p, a = psi[:, 0], self.a[which]
        value = np.where(np.abs(p) > 10, np.inf, (p**2 - a) ** 2)
        return value, (4 * p * (p**2 - a))[:, None], (12 * p**2 - 4 * a)[:, None, None]

    def length(self, psi, step):
        return np.abs(step[:, 0])


def test_searches_that_start_on_a_saddle_leave_it():
    found = minimise_many(Quartics([1.0, 4.0]), np.zeros((2, 1)), np.arange(2), tolerance=1e-14)
    np.testing.assert_allclose(np.abs(found.point[:, 0]), [1, 2], rtol=1e-6)


def test_a_single_search_leaves_a_saddle_for_a_minimum_one_step_away():
    a = 1 + 1e-5  # the step downhill has length 1, and the minimum is a last Newton step from there

    def derivatives(p):
        return float((p[0] ** 2 - a) ** 2), 4 * p * (p**2 - a), np.array([[12 * p[0] ** 2 - 4 * a]])

    target = Target(
        value=lambda p: derivatives(p)[0],
        gradient=lambda p: derivatives(p)[:2],
        derivatives=derivatives,
        length=lambda point, step: float(np.abs(step).max()),
    )
    found = minimise(target, np.zeros(1), tolerance=1e-14, last=1e-12)
    assert abs(found.point[0]) == pytest.approx(np.sqrt(a), rel=1e-9)


def test_a_search_without_a_value_to_start_from_is_not_converged_and_holds_nobody_up():
    found = minimise_many(Quartics([1.0, 4.0]), np.array([[11.0], [3.0]]), np.arange(2), tolerance=1e-14)
    assert found.converged.tolist() == [False, True]


# ---- what the batch leaves to the loop -----------------------------------------------------------
@pytest.mark.parametrize(
    "formula, options",
    [
        ("y ~ x + (1|g) + (1|z)", {}),
        ("y ~ x + (x||g)", {}),
        ("b ~ x + (x|g)", {"family": "binomial"}),
        ("k ~ x + (1|g)", {"family": "poisson(sqrt)"}),
        ("k ~ x", {"family": "quasipoisson"}),
    ],
)
def test_models_that_the_batch_does_not_know_are_left_to_the_loop(formula, options):
    fit = fn.fit(formula, DATA, **options)
    assert fit.engine.batch(fit, fit) is None


def test_a_separated_replicate_is_fitted_as_alone():
    d = pd.DataFrame({"b": [0, 1, 0, 1, 1, 0, 1, 0] * 2, "x": np.repeat([0.0, 1.0], 8), "g": list("aabbccdd") * 2})
    fit = fn.fit("b ~ x + (1|g)", d, family="binomial")
    separated = np.column_stack([d["x"], fit.request.y])
    together, alone = fit.engine.batch(fit, fit)(separated), one_by_one(fit, separated)
    np.testing.assert_allclose(together.loglik, alone.loglik, atol=1e-8)
    assert together.reasons == alone.reasons


def test_a_response_without_variation_is_a_reason_and_no_error():
    fit = fn.fit("b ~ x + (1|g)", DATA, family="binomial")
    refits = fit.engine.batch(fit, fit)(np.column_stack([np.ones(len(DATA)), fit.request.y]))
    assert "infinite" in refits.reasons[0] and refits.reasons[1] == ""
