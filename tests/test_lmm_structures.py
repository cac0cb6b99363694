"""Every structure of random effects against dense matrices: the same criterion, derivatives, modes and moments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.family import as_family
from formula_neuro_mixed import stacks
from formula_neuro_mixed.effects import solved_effects
from formula_neuro_mixed.lmm import first_guess, pairs, reduction
from formula_neuro_mixed.lmm.derivatives import Solver, derivatives
from formula_neuro_mixed.lmm.fitting import cross_products
from formula_neuro_mixed.lmm.moments import moments
from formula_neuro_mixed.lmm.profiled import solve
from formula_neuro_mixed.lmm.scalar import closed_form
from formula_neuro_mixed.plain.dense import dense_sums

MODELS = {
    "one intercept": "y ~ x + (1|a)",
    "one slope": "y ~ x + (x|a)",
    "three columns": "y ~ x + (x + z|b)",
    "several terms of one factor": "y ~ x + (1|a) + (0 + x|a) + (0 + z|a)",
    "nested": "y ~ x + (1|a/b)",
    "nested with slopes": "y ~ x + (x|a/b)",
    "nested thrice": "y ~ x + (x|a) + (1|a:b) + (z|a:b:c)",
    "crossed": "y ~ x + (1|b) + (1|h)",
    "crossed with slopes": "y ~ x + (x|b) + (z|h)",
    "three crossed": "y ~ x + (1|b) + (x|h) + (1|c)",
    "nested and crossed": "y ~ x + (x|a/b) + (1|h)",
    "the same levels by two names": "y ~ x + (x|a) + (z|twin)",
}


def table(n=150, seed=3):
    """Unbalanced groups, b within a, levels with one row, a slope variable far from its origin."""
    rng = np.random.default_rng(seed)
    a = rng.choice(7, n, p=np.arange(1, 8) / 28)
    b, c, h = a * 4 + rng.integers(0, 1 + a % 4, n), rng.integers(0, 5, n), rng.integers(0, 6, n)
    b[:3] = 100, 101, 102
    x, z = rng.normal(size=n), 1e6 + 1e3 * rng.normal(size=n)
    y = x + rng.normal(size=7)[a] * (1 + 0.5 * x) + 0.7 * rng.normal(size=200)[b] + rng.normal(size=n)
    data = pd.DataFrame({"a": a, "b": b, "c": c, "h": h, "twin": (a * 3) % 7}).astype(str)
    w = np.where(rng.random(n) < 0.05, 0.0, rng.uniform(0.5, 2, n))
    return data.assign(x=x, z=z, y=y + 0.5 * rng.normal(size=6)[h], w=w, o=rng.normal(size=n))


def both(formula, estimator="reml", **options):
    """The sums by structure and the dense ones, of one model."""
    request = as_request(model_matrix(formula, table(), **options), as_family("gaussian"), estimator)
    return cross_products(request)[0], cross_products(request, dense_sums)[0]


def thetas(m):
    """Inside, far out, and on the boundary."""
    rng = np.random.default_rng(1)
    inside = rng.uniform(0.2, 1.5, m)
    return [inside, 30 * inside, 1e-3 * inside, np.zeros(m), np.where(np.arange(m) % 2, inside, 0.0)]


def size(products):
    return products.terms[-1].theta.stop


@pytest.mark.parametrize("estimator", ["reml", "ml"])
@pytest.mark.parametrize("formula", MODELS.values(), ids=MODELS)
def test_criterion_and_derivatives_are_the_dense_ones(formula, estimator):
    fast, dense = both(formula, estimator, weights="w", offset="o")
    for theta in thetas(size(fast)):
        one, two = derivatives(fast, theta), derivatives(dense, theta)
        # at 30 times the residual's deviation X'V^-1X is a thousandth of X'X, of which it is a difference
        assert one[0] == pytest.approx(two[0], abs=1e-9, rel=1e-9 if theta.max() > 10 else 1e-12)
        largest = max(1.0, np.abs(two[2]).max())
        # at 30 times the residual's deviation the dense H = Z'Z - U'U loses 5 of 16 digits
        np.testing.assert_allclose(one[1], two[1], rtol=1e-7, atol=1e-8 * largest)
        np.testing.assert_allclose(one[2], two[2], rtol=1e-7, atol=1e-8 * largest)


@pytest.mark.parametrize("formula", MODELS.values(), ids=MODELS)
def test_modes_and_their_covariances_are_the_dense_ones(formula):
    fast, dense = both(formula)
    for theta in thetas(size(fast)):
        pairs_of_effects = zip(
            solved_effects(fast, theta, solve(fast, theta), 1.0),
            solved_effects(dense, theta, solve(dense, theta), 1.0),
            strict=True,
        )
        for one, two in pairs_of_effects:
            scale = max(1e-8, np.abs(two.modes).max())
            np.testing.assert_allclose(one.modes, two.modes, atol=1e-8 * scale)
            scale = np.abs(two.covariance).max()
            np.testing.assert_allclose(one.mode_covariance, two.mode_covariance, atol=1e-8 * scale)


@pytest.mark.parametrize("formula", MODELS.values(), ids=MODELS)
def test_moments_are_the_dense_ones(formula):
    fast, dense = both(formula, weights="w")
    directions = []
    for t, term in enumerate(fast.terms):
        for i, j in term.elements:
            D = np.zeros((term.K, term.K))
            D[i, j] = D[j, i] = 1.0
            directions.append((t, D))
    theta = thetas(size(fast))[0]
    one, two = moments(fast, theta, directions), moments(dense, theta, directions)
    for name in ("trace", "traces", "P", "Q", "linear", "quadratic"):
        expected = getattr(two, name)
        np.testing.assert_allclose(getattr(one, name), expected, atol=1e-10 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("formula", [MODELS[k] for k in ("nested with slopes", "crossed with slopes", "three crossed")])
def test_the_ways_for_large_data_give_the_same(formula, monkeypatch):
    theta = np.linspace(0.4, 1.2, size(both(formula)[0]))
    listed = derivatives(both(formula)[0], theta)
    monkeypatch.setattr(pairs, "LISTED", 0)
    monkeypatch.setattr(pairs, "CHUNK", 20)
    monkeypatch.setattr(reduction, "LARGE", 1)
    multiplied = derivatives(both(formula)[0], theta)
    for one, two in zip(listed, multiplied, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9)  # other orders of the same sums


def test_nested_effects_fall_into_one_block_an_outer_group():
    layout = both("y ~ x + (x|a/b)")[0].rest.layout
    assert (layout.B, layout.m) == (7, 2)


def test_crossed_effects_leave_the_smaller_factor():
    fast = both("y ~ x + (1|b) + (1|h)")[0]
    assert (fast.rest.layout.B, fast.rest.layout.m) == (1, 6)


def test_terms_of_one_factor_are_one_block():
    fast = both("y ~ x + (1|a) + (0 + x|a)")[0]
    assert fast.rest is None
    assert fast.ZZ.shape == (7, 2, 2)


@pytest.mark.parametrize("zero", [0, 1])
def test_a_crossed_factor_without_variance_leaves_a_diagonal(zero, monkeypatch):
    fast, dense = both("y ~ x + (1|b) + (1|h)", weights="w")
    theta = np.where(np.arange(2) == zero, 0.0, 0.7)
    monkeypatch.setattr(stacks, "LARGE", 1)
    reduced = fast.reduce(theta)
    assert isinstance(reduced.second.root, stacks.DiagonalRoot)
    np.testing.assert_allclose(reduced.WVW, dense.reduce(theta).WVW, rtol=1e-10, atol=1e-10)
    for one, two in zip(derivatives(fast, theta), derivatives(dense, theta), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def test_products_with_the_inverse_of_small_templates_keep_their_digits(monkeypatch):
    fast = both("y ~ x + (x|b) + (z|h)")[0]
    theta = np.array([0.5, 0.1, 0.4, 2e-3, 1e-4, 2e-3])  # singular values next to INVERTIBLE
    slow = derivatives(fast, theta)
    monkeypatch.setattr(reduction, "LARGE", 1)
    for one, two in zip(slow, derivatives(fast, theta), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-7, atol=1e-9 * np.abs(one).max())  # 2e-3^2 of the digits are lost


def test_the_first_guess_of_crossed_factors_is_near_their_spread(monkeypatch):
    rng = np.random.default_rng(5)
    g, h = (rng.choice(levels, 3000, p=rng.dirichlet(np.full(levels, 2.0))) for levels in (80, 60))
    y = 0.6 * rng.standard_normal(80)[g] + 1.5 * rng.standard_normal(60)[h] + rng.standard_normal(3000)
    design = model_matrix("y ~ 1 + (1|g) + (1|h)", pd.DataFrame({"g": g, "h": h, "y": y}).astype({"g": str, "h": str}))
    products = cross_products(as_request(design, as_family("gaussian"), "reml"))[0]
    np.testing.assert_array_equal(first_guess.first_guess(products), [1.0, 1.0])  # not worth it in so small blocks
    monkeypatch.setattr(first_guess, "DEAR", 1)
    # the standard error of a standard deviation of 60 levels is 9 percent
    np.testing.assert_allclose(first_guess.first_guess(products), [0.6, 1.5], rtol=0.3)


@pytest.mark.parametrize(
    ("formula", "estimator"), [("y ~ 1 + (1|g)", "reml"), ("y ~ 1 + (1|g)", "ml"), ("y ~ 1 + (1|g) + (1|h)", "reml")]
)
def test_the_search_starts_at_the_estimates_of_balanced_data(formula, estimator):
    rng = np.random.default_rng(6)
    g, h = np.repeat(np.arange(12), 8), np.tile(np.arange(8), 12)
    y = rng.standard_normal(12)[g] + rng.standard_normal(8)[h] + rng.standard_normal(96)
    design = model_matrix(formula, pd.DataFrame({"g": g, "h": h, "y": y}).astype({"g": str, "h": str}))
    products = cross_products(as_request(design, as_family("gaussian"), estimator))[0]
    solver = closed_form(products) or Solver(products)
    gradient = solver.gradient(solver.start())[1]
    assert np.abs(gradient).max() < 1e-8
