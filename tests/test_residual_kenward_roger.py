"""Kenward and Roger's tests beside unequal residual variances, against the paper's formulas with n x n matrices."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import formula_neuro as fn
from formula_neuro.errors import Unable
from formula_neuro.result import Fit

MODELS = ("y ~ t + x + (1 | g)", "y ~ t + x + (x | g)", "y ~ t * x + (1 | g) + (1 | h)", "y ~ t + (1 | g/k)")


@functools.cache
def data() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(9), 8)
    d = pd.DataFrame({"g": g, "h": np.tile(np.arange(6), 12), "k": np.tile([0, 0, 1, 1], 18), "x": rng.normal(size=72)})
    d["t"] = rng.choice(list("abc"), 72)
    sd = d["t"].map({"a": 0.5, "b": 1.0, "c": 2.5})
    d["y"] = d.x + rng.normal(size=9)[g] + 0.5 * rng.normal(size=6)[d.h] + sd * rng.normal(size=72)
    d["w"] = rng.uniform(0.5, 2.0, 72)
    return d.drop(index=[3, 17, 40]).reset_index(drop=True)


@functools.cache
def fitted(formula: str, weights: str | None = None) -> Fit:
    return fn.fit(formula, data(), weights=weights, estimator=fn.REML(fn.VarIdent("t")))


def components(m: Fit) -> tuple[list[np.ndarray], np.ndarray]:
    """The G_i (n, n) of the user's own coordinates and their variances: V = sum gam_i G_i."""
    G, gamma = [], []
    levels, codes = np.unique(data()["t"], return_inverse=True)
    ratios = np.array([1.0, *m.residual.values()])
    for j in range(len(levels)):
        G.append(np.diag((codes == j) / m.request.weights))
        gamma.append((m.sigma * ratios[j]) ** 2)
    for term, effect in zip(m.request.design.random, m.random, strict=True):
        same = term.codes[:, None] == term.codes
        for a in range(len(term.columns)):
            for b in range(a + 1):
                D = np.zeros((len(term.columns),) * 2)
                D[a, b] = D[b, a] = 1.0
                G.append(np.where(same, term.basis @ D @ term.basis.T, 0.0))
                gamma.append(effect.covariance[a, b])
    return G, np.array(gamma)


def by_the_paper(m: Fit, L: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Phi_A, lambda and m of Kenward & Roger (1997), equations 3 to 7, step by step."""
    X, (G, gamma) = m.request.design.matrix, components(m)
    k = len(G)
    Vi = np.linalg.inv(np.tensordot(gamma, np.array(G), 1))
    Phi = np.linalg.inv(X.T @ Vi @ X)
    P = [-X.T @ Vi @ A @ Vi @ X for A in G]
    Q = [[X.T @ Vi @ A @ Vi @ B @ Vi @ X for B in G] for A in G]
    information = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            information[i, j] = np.trace(Vi @ G[i] @ Vi @ G[j]) - np.trace(2 * Phi @ Q[i][j] - Phi @ P[i] @ Phi @ P[j])
    W = np.linalg.inv(information / 2)
    pairs = [(i, j) for i in range(k) for j in range(k)]
    adjusted = Phi + 2 * Phi @ sum(W[i, j] * (Q[i][j] - P[i] @ Phi @ P[j]) for i, j in pairs) @ Phi
    q = len(L)
    T = L.T @ np.linalg.inv(L @ Phi @ L.T) @ L
    one = [np.trace(T @ Phi @ A @ Phi) for A in P]
    A1 = sum(W[i, j] * one[i] * one[j] for i, j in pairs)
    A2 = sum(W[i, j] * np.trace(T @ Phi @ P[i] @ Phi @ T @ Phi @ P[j] @ Phi) for i, j in pairs)
    B = (A1 + 6 * A2) / (2 * q)
    f = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c1, c2, c3 = (c / (3 * q + 2 * (1 - f)) for c in (f, q - f, q + 2 - f))
    E, V = 1 / (1 - A2 / q), 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = V / (2 * E**2)
    df = 4 + (q + 2) / (q * rho - 1)
    return adjusted, df / (E * (df - 2)), df


@pytest.mark.parametrize("formula", MODELS)
def test_adjusted_covariances_and_tests_are_those_of_the_paper(formula):
    m = fitted(formula)
    L = np.eye(len(m.beta))[1:3]  # the treatment
    adjusted, scale, df = by_the_paper(m, L)
    found = m.engine.kenward_roger(m)
    # the paper's sums of n x n matrices keep nine digits here
    assert np.allclose(found.covariance, adjusted, rtol=1e-7, atol=1e-10)
    row = fn.anova(m, df="kenward-roger").set_index("term").loc["t"] if formula != MODELS[2] else None
    F = scale * (L @ m.beta) @ np.linalg.solve(L @ adjusted @ L.T, L @ m.beta) / 2
    assert np.allclose(found.f_test(L, L @ m.beta), (F, df), rtol=1e-7)
    assert row is None or np.allclose([row["statistic"], row["df_resid"]], [F, df], rtol=1e-7)


def test_prior_weights_are_part_of_the_residual_variances():
    m = fitted(MODELS[0], "w")
    adjusted, _, df = by_the_paper(m, np.eye(len(m.beta))[1:2])
    assert np.allclose(m.engine.kenward_roger(m).covariance, adjusted, rtol=1e-7, atol=1e-10)
    assert m.tidy(df="kenward-roger")["df"][1] == pytest.approx(df, rel=1e-7)


def test_p_values_follow_from_the_adjusted_covariance():
    m = fitted(MODELS[0])
    table = m.tidy(df="kenward-roger")
    assert np.allclose(table["std_error"], np.sqrt(np.diag(m.engine.kenward_roger(m).covariance)))
    assert np.allclose(table["p_value"], 2 * stats.t.sf(np.abs(table["statistic"]), table["df"]))


def test_blocks_of_rows_need_not_stand_together():
    shuffled = data().sample(frac=1, random_state=1)
    other = fn.fit(MODELS[0], shuffled, estimator=fn.REML(fn.VarIdent("t")))
    assert np.allclose(
        other.tidy(df="kenward-roger")["df"], fitted(MODELS[0]).tidy(df="kenward-roger")["df"], rtol=1e-5
    )


def test_rows_of_weight_zero_take_no_part():
    d = data().assign(w=np.where(data().index < 5, 0.0, 1.0))
    how = fn.REML(fn.VarIdent("t"))
    without, zero = fn.fit(MODELS[0], d[5:], estimator=how), fn.fit(MODELS[0], d, weights="w", estimator=how)
    assert np.allclose(zero.tidy(df="kenward-roger")["df"], without.tidy(df="kenward-roger")["df"], rtol=1e-5)


def test_correlated_residuals_have_no_such_tests():
    m = fn.fit("y ~ x + (1 | g)", data(), estimator=fn.REML(fn.AR1()))
    with pytest.raises(Unable, match="AR1's phi makes it none; df='satterthwaite'"):
        m.tidy(df="kenward-roger")


def test_maximum_likelihood_has_no_such_tests():
    m = fn.fit("y ~ x + (1 | g)", data(), estimator=fn.ML(fn.VarIdent("t")))
    with pytest.raises(Unable, match="of REML estimates"):
        m.tidy(df="kenward-roger")
