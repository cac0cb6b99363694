"""Exact derivatives of GLMMs: against differences, 40-digit arithmetic, another derivation and the plain path."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pandas as pd
import pytest

from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.errors import FitError
from formula_neuro.family import as_family
from formula_neuro.family.links import LINKS
from formula_neuro_mixed.glmm import inner as glmm_inner
from formula_neuro_mixed.glmm import laplace as glmm_laplace
from formula_neuro_mixed.glmm import quadrature as glmm_quadrature
from formula_neuro_mixed.glmm import scalar as glmm_scalar
from formula_neuro_mixed.glmm import start as glmm_start
from formula_neuro_mixed.glmm.densities import DENSITIES, ORDERS, SHAPED
from formula_neuro_mixed.glmm.inverse_links import inverse_link
from formula_neuro_mixed.glmm.marginal import Marginal
from formula_neuro_mixed.plain.objective import Objective

FAMILIES = [
    "binomial", "binomial(probit)", "binomial(cloglog)", "binomial(cauchit)", "poisson", "poisson(sqrt)",
    "gaussian(log)", "gaussian(inverse)", "Gamma(log)", "Gamma(inverse)", "Gamma(identity)",
    "inverse.gaussian(log)", "inverse.gaussian(1/mu^2)", "nbinom2", "nbinom2(sqrt)", "nbinom1",
    "nbinom1(identity)", "beta", "beta(cloglog)", "betabinomial", "betabinomial(probit)",
]  # fmt: skip


def table(n=90, seed=0):
    """One response for every family, groups g (unbalanced) and h, an offset and weights."""
    rng = np.random.default_rng(seed)
    g, h, x = rng.choice(9, n, p=np.arange(1, 10) / 45), rng.integers(0, 5, n), rng.normal(size=n)
    data = pd.DataFrame({"g": g, "h": h, "x": x, "w": rng.integers(1, 5, n), "o": rng.normal(size=n) / 400})
    mean = 4 + x + rng.normal(size=9)[g] / 2
    data["count"], data["positive"] = rng.poisson(mean), rng.gamma(5, np.abs(mean) / 5) + 0.5
    data["share"], data["zero"] = rng.uniform(0.05, 0.95, n), rng.binomial(1, 0.4, n)
    data["part"] = rng.binomial(data["w"], 0.4) / data["w"]
    return data


def response(family):
    if family.startswith(("nbinom", "poisson")):
        return "count"
    return {"binomial": "zero", "beta": "share", "betabinomial": "part"}.get(family.split("(")[0], "positive")


def marginal_for(formula, family, data, weights=None, nodes=1):
    design = model_matrix(f"{response(family)} {formula}", data, weights=weights)
    problem = glmm_inner.inner(as_request(design, as_family(family)))
    return problem, Marginal(problem.model, nodes)


def somewhere(problem, family, seed=1):
    """A psi at which all means are inside their range: theta small where the link has limits."""
    rng, model = np.random.default_rng(seed), problem.model
    link = as_family(family).link.name
    size = {"inverse": 0.05, "identity": 0.05, "1/mu^2": 0.005}.get(link, 0.5)
    b = glmm_start.alone(model).b
    tau = [0.4] if model.rows.shaped else []
    return np.concatenate([size * rng.uniform(0.5, 1.2, model.n_theta), b * 0.98, tau])


def differences(f, x):
    """Central differences (m, ...) of f, over steps of 1e-5 of each element, and of at least 1e-7."""
    steps = 1e-5 * np.maximum(np.abs(x), 0.01)
    return np.array([(f(x + e) - f(x - e)) / (2 * e.sum()) for e in np.diag(steps)])


# ---- of Laplace and quadrature -------------------------------------------------------------------
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("formula", ["~ x + offset(o) + (1|g)", "~ x + (x|g)", "~ x + (x||g) + (1|h)"])
def test_gradient_and_hessian_of_laplace_are_those_of_its_value(family, formula):
    problem, marginal = marginal_for(formula, family, table(), weights="w" if "binom" in family else None)
    psi = somewhere(problem, family)
    _, g, H = marginal.derivatives(psi)
    scale = np.abs(H).max()
    np.testing.assert_allclose(Marginal(problem.model).gradient(psi)[1], g, atol=1e-9 * scale)
    # truncation 1e-10 of third derivatives, rounding 1e-13 of a value of some 100 over 1e-7 at worst
    np.testing.assert_allclose(g, differences(marginal.value, psi), atol=1e-6 * max(100.0, scale))
    np.testing.assert_allclose(H, differences(lambda p: marginal.derivatives(p)[1], psi), atol=1e-6 * max(1.0, scale))


@pytest.mark.parametrize("family", ["binomial", "binomial(probit)", "poisson", "Gamma(log)", "nbinom2", "beta"])
def test_gradient_and_hessian_of_quadrature_are_those_of_its_value(family):
    problem, marginal = marginal_for("~ x + (1|g)", family, table(), nodes=7)
    psi = somewhere(problem, family)
    _, g, H = marginal.derivatives(psi)
    scale = np.abs(H).max()
    np.testing.assert_allclose(g, differences(marginal.value, psi), atol=2e-7 * scale)
    np.testing.assert_allclose(H, differences(lambda p: marginal.derivatives(p)[1], psi), atol=1e-6 * scale)


@pytest.mark.parametrize("family", ["binomial(cloglog)", "poisson", "nbinom1", "betabinomial"])
def test_closed_forms_of_a_scalar_effect_are_the_general_derivatives(family):
    # by the general rule; level by level at the mode; and over nodes, of which one is Laplace's approximation
    problem, marginal = marginal_for("~ x + (1|g)", family, table(), weights="w" if "binom" in family else None)
    psi = somewhere(problem, family)
    mode = marginal.sure_mode(psi)
    p = glmm_laplace.paths(problem.model, psi, mode)
    g, H = glmm_laplace.derivatives(problem.model, mode, p)
    nodes = glmm_quadrature.nodes_at(problem.model, mode, problem.model.parts(psi)[2], 1)
    assert nodes.value == pytest.approx(marginal.value(psi), abs=1e-10)
    for at in (None, nodes):
        exact_g, exact_H, moved = glmm_scalar.derivatives(problem.model, psi, mode, at)
        np.testing.assert_allclose(exact_g, g, atol=1e-9)
        np.testing.assert_allclose(exact_H, H, atol=1e-9 * np.abs(H).max())
        np.testing.assert_allclose(moved, p.v, atol=1e-10)


def test_sums_by_level_and_one_product_with_each_level_apart_are_the_same(monkeypatch):
    problem, marginal = marginal_for("~ x + (1|g)", "nbinom2", table(), nodes=7)
    psi = somewhere(problem, "nbinom2")
    mode = marginal.sure_mode(psi)
    nodes = glmm_quadrature.nodes_at(problem.model, mode, problem.model.parts(psi)[2], 7)
    _, H, _ = glmm_scalar.derivatives(problem.model, psi, mode, nodes)
    monkeypatch.setattr(glmm_quadrature, "SPREAD", 0)
    _, by_level, _ = glmm_scalar.derivatives(problem.model, psi, mode, nodes)
    np.testing.assert_allclose(H, by_level, atol=1e-11 * np.abs(H).max())  # sums in another order


def mp_laplace(y, w, x, codes, psi):
    """-2 log L by Laplace of a binomial random intercept, to 40 digits; psi = (theta, b0, b1)."""
    theta, b0, b1 = psi
    total = mpmath.mpf(0)
    for level in sorted(set(codes)):
        rows = [i for i in range(len(y)) if codes[i] == level]

        def score(v, rows=rows):
            return sum(w[i] * theta * (y[i] - 1 / (1 + mpmath.exp(-(b0 + b1 * x[i] + theta * v)))) for i in rows) - v

        v = mpmath.findroot(score, mpmath.mpf(0))
        eta = [b0 + b1 * x[i] + theta * v for i in rows]
        h = sum(w[i] * (y[i] * e - mpmath.log1p(mpmath.exp(e))) for i, e in zip(rows, eta, strict=True)) - v**2 / 2
        W = sum(w[i] / ((1 + mpmath.exp(e)) * (1 + mpmath.exp(-e))) for i, e in zip(rows, eta, strict=True))
        total += -2 * h + mpmath.log1p(theta**2 * W)
    return total


def test_the_hessian_has_twelve_digits():
    data = table(24)
    problem, marginal = marginal_for("~ x + (1|g)", "binomial", data)
    model, psi = problem.model, np.array([0.7, 0.3, -0.2])
    # the same numbers as the inner columns hold
    rows, codes = model.rows, model.layout.codes.tolist()
    x0, x1 = model.X.T

    with mpmath.workdps(40):

        def f(theta, b0, b1):
            # both columns of X are used: X b = x0 b0 + x1 b1, written as an intercept that varies by row
            shifted = [b0 * mpmath.mpf(a) + b1 * mpmath.mpf(b) for a, b in zip(x0, x1, strict=True)]
            return mp_laplace(list(rows.y), list(rows.w), shifted, codes, (theta, 0, 1))

        at = tuple(mpmath.mpf(p) for p in psi)
        wanted = np.zeros((3, 3))
        for i, j in itertools.combinations_with_replacement(range(3), 2):
            orders = tuple(int(i == k) + int(j == k) for k in range(3))
            wanted[i, j] = wanted[j, i] = float(mpmath.diff(f, at, orders))
    np.testing.assert_allclose(marginal.derivatives(psi)[2], wanted, rtol=1e-11)


# ---- of the rows ---------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(DENSITIES))
def test_every_partial_derivative_of_log_f_is_that_of_the_one_before(name):
    rng = np.random.default_rng(3)
    shares = name in ("binomial", "beta", "betabinomial")
    mu = rng.uniform(0.1, 0.9, 6) if shares else rng.uniform(0.5, 6, 6)
    w = np.array([1.0, 2, 3, 4, 5, 6])
    y = rng.uniform(0.1, 0.9, 6) if name == "beta" else np.round(w * 0.4) / w if shares else rng.integers(0, 9, 6) + 0.0
    y = np.maximum(y, 0.5) if name in ("Gamma", "inverse.gaussian") else y
    orders = ORDERS if name in SHAPED else ORDERS[:1]

    def f(mu, tau):
        return DENSITIES[name](y, w, mu, tau, orders)

    at, step, tau = f(mu, 0.3), 1e-6, 0.3
    for j, order in enumerate(orders):
        for i in range(order + 1):
            if i < order:
                by_mu = (f(mu + step, tau)[j][i] - f(mu - step, tau)[j][i]) / (2 * step)
                np.testing.assert_allclose(at[j][i + 1], by_mu, rtol=1e-6, atol=1e-6 * np.abs(at[j][i]).max())
            if j + 1 < len(orders) and i <= orders[j + 1]:
                by_tau = (f(mu, tau + step)[j][i] - f(mu, tau - step)[j][i]) / (2 * step)
                np.testing.assert_allclose(at[j + 1][i], by_tau, rtol=1e-6, atol=1e-6 * np.abs(at[j][i]).max())


@pytest.mark.parametrize("name", sorted(DENSITIES))
def test_log_f_is_the_familys_log_likelihood_to_a_constant(name):
    rng = np.random.default_rng(4)
    shares = name in ("binomial", "beta", "betabinomial")
    w = np.array([1.0, 2, 3, 4])
    y = rng.uniform(0.1, 0.9, 4) if name == "beta" else np.array([0.0, 0.5, 2 / 3, 0.25]) if shares else w
    family = as_family(name)
    shape = {"nbinom2": "theta", "nbinom1": "phi", "beta": "phi", "betabinomial": "phi"}.get(name)

    def apart(mu, tau):
        given = family if shape is None else type(family)(family.link, **{shape: np.exp(tau)})
        return given.loglik(y, mu, w, np.exp(tau)) - DENSITIES[name](y, w, mu, tau, (0,))[0][0].sum()

    one, other = (rng.uniform(0.2, 0.8, 4) * (1 if shares else 5) for _ in range(2))
    assert apart(one, 0.2) == pytest.approx(apart(other, 0.9 if name in SHAPED else 0.2), abs=1e-10)


@pytest.mark.parametrize("link", sorted(LINKS))
def test_derivatives_of_the_inverse_links(link):
    eta, step = np.array([0.3, 0.8, 1.7]), 1e-5
    up, down = inverse_link(LINKS[link], eta + step), inverse_link(LINKS[link], eta - step)
    for k in range(4):
        np.testing.assert_allclose(inverse_link(LINKS[link], eta)[k + 1], (up[k] - down[k]) / (2 * step), atol=1e-7)


# ---- the plain path ------------------------------------------------------------------------------
FORMULAS = ["~ x + (1|g)", "~ x + (x|g)", "~ x + (x||g)", "~ x + h + (x + o|g)", "~ 1 + (1|g) + (x|h)", "~ x + (1|g:h)"]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize(("family", "weights"), [("binomial", None), ("binomial(probit)", "w"), ("poisson", "some")])
def test_random_models_have_the_plain_paths_value_gradient_and_hessian(formula, family, weights):
    rng = np.random.default_rng(len(formula))
    data = table(70, seed=len(formula)).assign(some=lambda d: d.w * (d.w > 1))  # rows of zero weight
    data["zero"] = data["part"] if weights == "w" else data["zero"]
    design = model_matrix(f"{response(family)} {formula}", data, weights=weights)
    request = as_request(design, as_family(family))
    plain, problem = Objective(glmm_inner.inner_problem(request)[0], 1), glmm_inner.inner(request)
    model = problem.model
    psi = np.concatenate([rng.uniform(0.2, 0.7, model.n_theta), rng.normal(size=model.X.shape[1]) / 4])
    psi[rng.integers(model.n_theta)] = 0.0
    value, g = plain.gradient(psi)
    mode = plain.sure_mode(psi)
    fast, fast_g, fast_H = Marginal(model).derivatives(psi)
    # the plain path counts deviances; and it stops at modes that are off by up to 1e-7
    constant = -2 * float(Marginal(model).sure_mode(psi).near.value.sum()) - float(mode.rows.deviance.sum())
    assert fast - constant == pytest.approx(value, abs=1e-6)
    np.testing.assert_allclose(fast_g, g, atol=1e-5)
    # its Hessian is by differences, which far from the optimum are off in the fourth digit
    np.testing.assert_allclose(fast_H, plain.hessian(psi), atol=3e-4 * np.abs(fast_H).max())


def test_an_impossible_point_has_an_infinite_value_and_a_sentence():
    problem, marginal = marginal_for("~ x + (1|g)", "Gamma(identity)", table())
    psi = somewhere(problem, "Gamma(identity)")
    psi[1:3] = -50
    assert marginal.value(psi) == np.inf
    with pytest.raises(FitError, match="no modes of the random effects"):
        marginal.derivatives(psi)
