"""Quantile residuals of mixed models: over new random effects, against simulation and closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import formula_neuro as fn


def grouped(seed=0, groups=30, rows=8):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    x = rng.normal(size=len(g))
    eta = 0.5 + 0.4 * x + 0.9 * rng.normal(size=groups)[g]
    table = pd.DataFrame({"g": g, "x": x, "w": rng.uniform(0.5, 2, len(g)), "m": rng.integers(2, 9, len(g))})
    table["y"] = eta + rng.normal(size=len(g)) / np.sqrt(table["w"])
    table["count"] = rng.poisson(np.exp(eta))
    table["hits"] = rng.binomial(table["m"], 1 / (1 + np.exp(-eta)))
    return table.assign(rest=table["m"] - table["hits"])


DATA = grouped()
MODELS = {
    "lmm": ("y ~ x + (x|g)", "gaussian", "w"),
    "counts": ("count ~ x + (1|g)", "poisson", None),
    "shares": ("cbind(hits, rest) ~ x + (1|g)", "binomial", None),
}


@pytest.fixture(scope="module")
def fits():
    return {name: fn.fit(f, DATA, family=family, weights=w) for name, (f, family, w) in MODELS.items()}


def test_those_of_a_linear_mixed_model_are_scaled_by_all_its_variances(fits):
    m = fits["lmm"]
    z = np.column_stack([np.ones(len(DATA)), DATA["x"]])
    variance = np.einsum("nk,kl,nl->n", z, m.random[0].covariance, z) + m.sigma**2 / DATA["w"]
    expected = (DATA["y"] - m.predict(random=False)) / np.sqrt(variance)
    np.testing.assert_allclose(m.residuals("quantile"), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", list(MODELS))
def test_they_are_the_ranks_among_simulated_responses(fits, name):
    m, n = fits[name], 2000
    simulated, y = m.simulate(n, seed=1).to_numpy(), m.request.y[:, None]
    low, high = (simulated < y - 1e-9).mean(axis=1), (simulated <= y + 1e-9).mean(axis=1)
    p = special.ndtr(m.residuals("quantile", seed=2).to_numpy())
    # 4.5 Monte-Carlo errors of a share of 2000, over 240 rows
    error = 4.5 * np.sqrt(np.maximum(p * (1 - p), 1e-3) / n)
    assert (p > low - error).all() and (p < high + error).all()


@pytest.mark.parametrize("name", list(MODELS))
def test_they_are_standard_normal_if_the_model_is_right(fits, name):
    m = fits[name]
    response = m.simulate(1, seed=5).iloc[:, 0].to_numpy()
    values = m.engine.refit(m.request.with_response(response)).residuals("quantile", seed=6)
    # rows of a group share its effect, so 240 rows are worth fewer than 240; a wrong scale moves p far below
    assert stats.kstest(values, "norm").pvalue > 0.01
    assert values.std() == pytest.approx(1, abs=0.15)


def test_taking_the_effects_as_estimated_makes_residuals_smaller(fits):
    m = fits["lmm"]
    assert m.residuals("quantile", random=True).std() < 0.97 < m.residuals("quantile").std()


def test_large_counts_need_many_nodes_and_get_them():
    # a Poisson mean of 1e4 is 1 % wide, the random effect 100 times as wide: the residual is nearly the effect's own
    rng = np.random.default_rng(3)
    effect = rng.normal(size=40)
    d = pd.DataFrame({"g": np.repeat(np.arange(40), 3), "u": np.repeat(effect, 3)})
    d["n"] = rng.poisson(np.exp(9.2 + d["u"]))
    m = fn.fit("n ~ 1 + (1|g)", d, family="poisson")
    expected = (np.log(d["n"]) - m.coef["(Intercept)"]) / np.sqrt(m.random[0].covariance[0, 0])
    # counts near 1e3 to 1e5 vary by up to 3 % about exp(effect)
    np.testing.assert_allclose(m.residuals("quantile", seed=1), expected, atol=0.02)


def test_random_belongs_to_quantile_residuals(fits):
    with pytest.raises(ValueError, match="goes with type='quantile'"):
        fits["lmm"].residuals("pearson", random=True)


def test_responses_can_be_simulated_with_the_effects_as_estimated(fits):
    m = fits["lmm"]
    given = m.simulate(400, seed=1, random=True)
    assert np.allclose(given.mean(axis=1), m.fitted, atol=4.5 * m.sigma / np.sqrt(0.5 * 400))
    new = m.simulate(400, seed=1)  # the means of new groups are the population's, and spread more
    assert (new.var(axis=1) > given.var(axis=1)).mean() > 0.95
