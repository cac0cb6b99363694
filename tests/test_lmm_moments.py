"""Traces and products of V^-1 with changes of the covariance, against their definitions with n x n matrices."""

from __future__ import annotations

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.asking import as_request
from formula_neuro.design import model_matrix
from formula_neuro.family import as_family
from formula_neuro_mixed.lmm.fitting import cross_products
from formula_neuro_mixed.lmm.moments import moments
from formula_neuro_mixed.lmm.profiled import solve
from formula_neuro_mixed.terms import model_matrix as random_matrix

DIRECTIONS = [(0, np.array([[1.0, 0], [0, 0]])), (0, np.array([[0, 1.0], [1, 0]])), (1, np.array([[1.0]]))]


def example():
    """Products of a crossed model with weights, its dense X, Z, y in inner coordinates, and a theta."""
    rng = np.random.default_rng(4)
    g, h = rng.integers(0, 7, 80), rng.integers(0, 5, 80)
    data = {"y": rng.normal(size=80), "x": rng.normal(size=80), "g": g.astype(str), "h": h.astype(str)}
    design = model_matrix("y ~ x + (x|g) + (1|h)", data, weights=rng.uniform(0.5, 2, 80))
    request = as_request(design, as_family("gaussian"), "reml")
    products, basis, _ = cross_products(request)
    root = np.sqrt(request.weights)
    Z = random_matrix(products.terms, [np.eye(term.K) for term in products.terms], root).toarray()
    y = root * request.y
    return products, basis.Q, Z, y, np.array([1.1, 0.3, 0.7, 0.9])


def dense(products, Z, theta):
    """V, and B_i of every direction, (80, 80)."""
    blocks = [np.kron(np.eye(t.levels), t.template(theta) @ t.template(theta).T) for t in products.terms]
    V = np.eye(len(Z))
    for term, S in zip(products.terms, blocks, strict=True):
        V += Z[:, term.columns] @ S @ Z[:, term.columns].T
    B = []
    for t, D in DIRECTIONS:
        term = products.terms[t]
        B.append(Z[:, term.columns] @ np.kron(np.eye(term.levels), D) @ Z[:, term.columns].T)
    return V, np.array(B)


def test_every_moment_is_its_definition():
    products, X, Z, y, theta = example()
    V, B = dense(products, Z, theta)
    inverse = np.linalg.inv(V)
    C = np.linalg.inv(X.T @ inverse @ X)
    P = inverse - inverse @ X @ C @ X.T @ inverse
    found = moments(products, theta, DIRECTIONS)
    close = {"rtol": 1e-9, "atol": 1e-11}  # an inverse of condition 1e3
    np.testing.assert_allclose(found.trace, np.einsum("ab,iba->i", inverse, B), **close)
    VB = inverse @ B
    np.testing.assert_allclose(found.traces, np.einsum("iab,jba->ij", VB, VB), **close)
    np.testing.assert_allclose(found.P, X.T @ VB @ inverse @ X, **close)
    Q = [[X.T @ one @ two @ inverse @ X for two in VB] for one in VB]
    np.testing.assert_allclose(found.Q, Q, **close)
    Py = P @ y
    np.testing.assert_allclose(found.linear, Py @ B @ Py, **close)
    np.testing.assert_allclose(found.quadratic, [[Py @ one @ P @ two @ Py for two in B] for one in B], **close)


def test_the_solution_at_hand_gives_the_same_moments():
    products, _, _, _, theta = example()
    one, two = moments(products, theta, DIRECTIONS), moments(products, theta, DIRECTIONS, solve(products, theta))
    np.testing.assert_array_equal(one.Q, two.Q)


@pytest.mark.parametrize("estimator", ["reml", "ml"])
def test_a_fit_hands_on_what_the_moments_need(estimator):
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(8), 6)
    data = {"y": rng.normal(size=48) + rng.normal(size=8)[g], "x": rng.normal(size=48), "g": g.astype(str)}
    m = fn.fit("y ~ x + (1|g)", data, estimator=estimator)
    engine = m.engine
    assert engine.s2 == pytest.approx(m.sigma**2)
    np.testing.assert_allclose(engine.s2 * engine.basis.covariance(engine.C), m.covariance)
    slope = moments(engine.products, engine.theta, [(0, np.eye(1))])
    # at an inner optimum the derivative in the variance vanishes: tr(T B) = y'PBPy / s2, T = P or V^-1
    trace = slope.trace[0] - (np.trace(engine.C @ slope.P[0]) if estimator == "reml" else 0.0)
    assert trace == pytest.approx(slope.linear[0] / engine.s2, rel=1e-6)
