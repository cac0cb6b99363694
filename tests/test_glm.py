"""The native generalized linear model against live R and an independent maximiser, and where ML does not exist."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import formula_neuro as fn

LINKS = ["logit", "probit", "cloglog", "cauchit"]


def table(n=120, seed=3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"x": rng.normal(size=n), "f": rng.choice(list("abc"), n), "m": rng.integers(1, 9, n)})
    p = 1 / (1 + np.exp(-(0.3 + 0.8 * d.x - 0.6 * (d.f == "b"))))
    d["k"] = rng.binomial(d.m, p)
    return d.assign(
        y=(rng.random(n) < p).astype(int),
        count=rng.poisson(np.exp(0.5 + 0.4 * d.x)),
        t=rng.uniform(0.5, 2, n),
        w=rng.integers(0, 3, n),
    )


MODELS = [
    *[("y ~ x + f", f"binomial({link})", {}) for link in LINKS],
    ("cbind(k, m - k) ~ x*f", "binomial", {}),
    ("I(k/m) ~ x", "binomial", {"weights": "m"}),
    ("count ~ x + f + offset(log(t))", "poisson", {}),
    ("count ~ x", "poisson(sqrt)", {}),
    ("count ~ x", "poisson", {"weights": "w"}),
    ("count ~ x + I(2*x) + f", "poisson", {}),
]


@pytest.mark.r
@pytest.mark.parametrize(("formula", "family", "options"), MODELS)
def test_estimates_equal_rs(formula, family, options):
    ours, r = (fn.fit(formula, table(), family=family, backend=b, **options) for b in ("native-glm", "r-glm"))
    # R stops at a relative change of the deviance of 1e-8, ours at rounding: glm's own distance to the optimum is left,
    # largest under cauchit, where scoring converges slowly: 1e-4 of a standard error
    np.testing.assert_allclose(ours.coef / r.se, r.coef / r.se, rtol=0, atol=2e-4)  # NaN where aliased, in both
    np.testing.assert_allclose(ours.se, r.se, rtol=1e-4)
    assert ours.loglik >= r.loglik - 1e-10 * abs(r.loglik)
    np.testing.assert_allclose([ours.loglik, ours.deviance, ours.aic], [r.loglik, r.deviance, r.aic], rtol=1e-8)
    assert (ours.df_resid, ours.n_parameters) == (r.df_resid, r.n_parameters)
    assert fn.crosscheck(ours).ok


@pytest.mark.parametrize("link", LINKS)
def test_nothing_near_the_estimate_is_likelier(link):
    d = table()
    m = fn.fit("y ~ x + f", d, family=f"binomial({link})")
    X, y, family = m.request.design.matrix, m.request.y, m.request.family

    def deviance(b):
        return family.deviance(y, family.link.inverse(X @ b), np.ones(len(y))).sum()

    found = minimize(deviance, m.beta + 0.05, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert m.deviance <= found.fun + 1e-9  # the simplex ends within its own tolerance
    np.testing.assert_allclose(m.beta, found.x, atol=1e-4)  # a flat bottom: the root of that tolerance


def test_units_and_origin_of_a_covariate_do_not_matter():
    d = table()
    plain = fn.fit("y ~ x", d, family="binomial")
    moved = fn.fit("y ~ x", d.assign(x=1e9 + 1e3 * d.x), family="binomial")
    assert np.isclose(moved.loglik, plain.loglik, rtol=1e-9)
    # 1e9 beside 1e3 leaves 10 of 16 digits of x; its slope keeps about as many
    assert np.isclose(moved.coef["x"] * 1e3, plain.coef["x"], rtol=1e-8)


def test_separation_is_named_with_its_direction():
    d = pd.DataFrame({"x": [-2.0, -1, -0.5, 0.5, 1, 2], "z": [1.0, 2, 1, 2, 1, 2], "y": [0, 0, 0, 1, 1, 1]})
    m = fn.fit("y ~ x + z", d, family="binomial")
    assert not m.converged
    assert any("separation" in message and "x (+infinity)" in message for message in m.messages)


def test_an_empty_cell_of_counts_is_named():
    d = pd.DataFrame({"f": list("aaabbb"), "y": [2, 3, 1, 0, 0, 0]})
    m = fn.fit("y ~ f", d, family="poisson")
    assert any("fb (-infinity)" in message for message in m.messages)


def test_aliased_columns_stay_as_nan():
    d = table()
    m = fn.fit("y ~ x + I(2*x) + f", d, family="binomial")
    assert m.aliased == ("I(2 * x)",) and np.isnan(m.se["I(2 * x)"])
    assert np.isclose(m.loglik, fn.fit("y ~ x + f", d, family="binomial").loglik)


def test_nested_models_are_compared_by_their_likelihoods():
    d = table()
    small, large = fn.fit("y ~ x", d, family="binomial"), fn.fit("y ~ x + f", d, family="binomial")
    compared = fn.anova(small, large)
    assert np.isclose(compared.statistic[1], small.deviance - large.deviance)
    assert compared.df[1] == 2
