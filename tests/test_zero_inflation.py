"""Zero-inflated mixed models: derivatives, an independent likelihood, what is shown, and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

import formula_neuro as fn
from formula_neuro.family import as_family
from formula_neuro.fitting import as_request, model_matrix
from formula_neuro_mixed.glmm.inner import inner
from formula_neuro_mixed.glmm.marginal import Marginal


def inflated(seed=1, family="poisson", levels=15, size=12, p=0.3, slope=0.8):
    """Counts of cells in mice, some of which are 0 for another reason than their mean."""
    rng = np.random.default_rng(seed)
    n = levels * size
    g, x, z = np.repeat(np.arange(levels), size), rng.normal(size=n), rng.normal(size=n)
    mu = np.exp(1 + 0.4 * x + rng.normal(size=levels)[g] / 2)
    drawn = {
        "poisson": lambda: rng.poisson(mu),
        "nbinom2": lambda: rng.negative_binomial(2, 2 / (2 + mu)),
        "nbinom1": lambda: rng.negative_binomial(mu / 1.5, 1 / 2.5),
    }
    y = drawn.get(family, drawn["poisson"])()
    y = np.where(rng.random(n) < special.expit(special.logit(p) + slope * z), 0, y)
    part = np.where(rng.random(n) < p, 0, rng.binomial(6, special.expit(0.3 * x + rng.normal(size=levels)[g])))
    return pd.DataFrame({"y": y, "part": part / 6, "m": 6, "x": x, "z": z, "g": g, "h": rng.integers(0, 6, n)})


def zip_of(data, formula="y ~ x + (1|g)", family="poisson", zeros="~ z", **options):
    return fn.fit(formula, data, family=family, estimator=fn.Laplace(zero_inflation=zeros), **options)


# ---- derivatives ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "family", ["poisson", "poisson(sqrt)", "nbinom1", "nbinom2", "binomial", "binomial(cloglog)", "betabinomial"]
)
@pytest.mark.parametrize("bars", ["(1|g)", "(x|g) + (1|h)"])
def test_gradient_and_hessian_are_those_of_the_value(family, bars):
    data = inflated(levels=8, size=8)
    name, weights = ("part", "m") if "binomial" in family else ("y", "m" if bars == "(1|g)" else None)
    design = model_matrix(f"{name} ~ x + {bars}", data, weights=weights)
    problem = inner(as_request(design, as_family(family), fn.Laplace(zero_inflation="~ z")))
    marginal, model, rng = Marginal(problem.model), problem.model, np.random.default_rng(2)
    theta = rng.uniform(0.1, 0.4, model.n_theta)
    b = {"poisson(sqrt)": [1.6, 0.1], "binomial": [0.2, 0.1], "betabinomial": [0.2, 0.1]}.get(family, [0.7, 0.2])
    tau = [0.4] if model.rows.shaped else []
    psi = np.concatenate([theta, np.array(b) * np.sign(model.X[0, 0]), [-0.8, 0.3], tau])
    _, slope, H = marginal.derivatives(psi)
    scale = np.abs(H).max()
    np.testing.assert_allclose(Marginal(model).gradient(psi)[1], slope, atol=1e-9 * scale)
    steps = np.diag(1e-5 * np.maximum(np.abs(psi), 0.01))
    value = [(marginal.value(psi + e) - marginal.value(psi - e)) / (2 * e.sum()) for e in steps]
    gradient = [(marginal.gradient(psi + e)[1] - marginal.gradient(psi - e)[1]) / (2 * e.sum()) for e in steps]
    # rounding 1e-13 of some 1000 over steps of 1e-7
    np.testing.assert_allclose(slope, value, atol=2e-6 * scale)
    np.testing.assert_allclose(H, gradient, atol=2e-6 * scale)


def test_a_probability_of_nearly_0_gives_the_model_without_inflation():
    data = inflated()
    design = model_matrix("y ~ x + (1|g)", data)
    problem = inner(as_request(design, as_family("nbinom2"), fn.Laplace(zero_inflation="~ 1")))
    plain = inner(as_request(design, as_family("nbinom2")))
    psi = np.array([0.5, 1.0, 0.2, 0.3])
    at = np.insert(psi, 3, -45.0 * np.sign(problem.model.rows.Z[0, 0]))
    one, other = Marginal(problem.model), Marginal(plain.model)
    assert one.value(at) == pytest.approx(other.value(psi), abs=1e-9)
    np.testing.assert_allclose(np.delete(one.derivatives(at)[1], 3), other.derivatives(psi)[1], atol=1e-8)
    own = np.delete(np.delete(one.derivatives(at)[2], 3, axis=0), 3, axis=1)
    np.testing.assert_allclose(own, other.derivatives(psi)[2], atol=1e-7)
