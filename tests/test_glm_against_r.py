"""Maximum-likelihood GLMs of every family and link equal live R's to 1e-7, where glm() itself is let go that far.

By default glm() stops when the deviance changes by less than 1e-8 of itself, which leaves coefficients up to 1e-4
standard errors from the maximum. Here it starts again a dozen times from where it ended, glm.nb() too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.result import Fit
from formula_neuro_r import fits

pytestmark = pytest.mark.r


@dataclass(frozen=True)
class Model:
    formula: str
    family: str
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return f"{self.formula}, {self.family}{''.join(f', {value}' for value in self.options.values())}"


# Right sides that bring, in turn: covariates and factors, other contrasts, interactions, aliased columns, no
# intercept, an ordered factor, an offset.
RIGHT = ["x + f", "x + C(f, contr.sum)", "x*s", "x + I(2*x) + f", "0 + f", "o + x", "x + f + offset(t)"]
PLAIN = ["x + f", "0 + f", "x + I(2*x)"]  # where an offset or a slope easily leaves the range

SHARES = [f"binomial({link})" for link in ("logit", "probit", "cloglog", "cauchit")]
LINKS = {
    "b": [*SHARES, *(f"quasi{family}" for family in SHARES), "quasi(probit, mu(1-mu))"],
    "c": ["poisson", "poisson(sqrt)", "quasipoisson", "quasi(log, mu)", "nbinom2(log, theta=2)"],
    "g": ["Gamma", "Gamma(log)", "gaussian(log)", "quasi(log, mu^2)", "quasi(log, mu^3)", "inverse.gaussian(log)"],
}
NARROW = {
    "c": ["poisson(identity)", "quasi(identity, mu)", "nbinom2(sqrt, theta=2)", "nbinom2(identity, theta=2)"],
    "g": [
        *("Gamma(identity)", "inverse.gaussian", "inverse.gaussian(inverse)", "inverse.gaussian(identity)"),
        *("gaussian(inverse)", "quasi(inverse, mu^2)", "quasi(1/mu^2, mu^3)", "quasi(sqrt, mu^2)"),
    ],
    "rare": ["binomial(log)", "quasibinomial(log)"],
}
WEIGHTED = ["binomial", "poisson", "Gamma(log)", "inverse.gaussian(log)", "quasipoisson", "gaussian(log)", "nbinom2"]
RESPONSE = {"binomial": "b", "poisson": "c", "quasipoisson": "c", "nbinom2": "c"}

MODELS = [
    *(Model(f"{y} ~ {right}", family) for y, families in LINKS.items() for family in families for right in RIGHT),
    *(Model(f"{y} ~ {right}", family) for y, families in NARROW.items() for family in families for right in PLAIN),
    *(Model(f"cbind(k, m - k) ~ {right}", family) for family in ("binomial", "quasibinomial") for right in RIGHT),
    *(Model("I(k/m) ~ x + f", family, {"weights": "m"}) for family in SHARES),
    Model("cbind(k, m - k) ~ x", "binomial", {"weights": "w"}),
    Model("cbind(k, m - k) ~ x", "binomial(cloglog)", {"weights": "u"}),
    *(
        Model(f"{RESPONSE.get(family, 'g')} ~ x + f", family, {"weights": weights, "offset": "t"})
        for family in WEIGHTED
        for weights in ("w", "u")
    ),
    *(Model(f"c ~ {right}", "nbinom2") for right in RIGHT),
    Model("c ~ x", "nbinom2(sqrt)"),
    Model("c ~ f", "nbinom2(identity)"),
    Model("b ~ x + s", "binomial", {"contrasts": {"s": "contr.helmert"}}),
    Model("c ~ s*f", "poisson", {"contrasts": {"s": "contr.sum", "f": "contr.treatment"}}),
    Model("c ~ 1", "poisson", {"offset": "t"}),
    Model("c ~ 0", "poisson", {"offset": "t"}),
    Model("b ~ 0", "binomial"),
    Model("b ~ poly(x, 3)", "binomial", {"subset": "t > -0.5"}),
]

DIVERGING = Model("b ~ x*s", "quasi(probit, mu(1-mu))")  # glm() runs away from its start, to slopes of 1e15
MODELS = [model for model in MODELS if str(model) != str(DIVERGING)]


@cache
def table() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 90
    d = pd.DataFrame({"x": rng.uniform(-1, 1, n), "f": rng.choice(list("abc"), n), "s": rng.choice(["u", "v"], n)})
    d["o"] = pd.Categorical(rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"], ordered=True)
    d["t"], d["w"], d["u"] = rng.uniform(-0.7, 0.7, n), rng.integers(0, 4, n), rng.uniform(0.2, 3, n)
    # the weights of 0 and the fractions lie apart from the trials
    mu = np.exp(0.8 + 0.3 * d.x + 0.2 * (d.f == "b"))
    d["m"] = rng.integers(2, 9, n)
    d["k"] = rng.binomial(d.m, 1 / (1 + np.exp(-d.x)))
    return d.assign(
        b=(rng.random(n) < 1 / (1 + np.exp(-0.3 - d.x))).astype(int),
        rare=(rng.random(n) < 0.25).astype(int),
        c=rng.negative_binomial(2, 2 / (2 + mu)),
        g=rng.gamma(8, mu / 8),
    )


@cache
def both(model: Model) -> tuple[Fit, Fit]:
    ours = fn.fit(model.formula, table(), family=model.family, **model.options)
    assert ours.backend == "native-glm"
    return ours, fits.glm(ours.request, rounds=8)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_every_number_of_the_fit_equals_rs(model):
    ours, r = both(model)
    assert ours.converged, ours.messages
    assert ours.aliased == r.aliased
    # 1e-7 of the coefficient, or of its standard error where the coefficient is smaller
    unit = np.fmax(np.abs(r.beta), r.se)
    np.testing.assert_allclose(ours.beta / unit, r.beta / unit, rtol=0, atol=1e-7)
    np.testing.assert_allclose(ours.se, r.se, rtol=1e-7)
    np.testing.assert_allclose(ours.eta, r.eta, rtol=1e-7, atol=1e-7)
    # of second order in what the coefficients are apart
    np.testing.assert_allclose([ours.deviance, ours.dispersion], [r.deviance, r.dispersion], rtol=1e-8)
    if np.isfinite(r.null_deviance):  # not where it is that of means of 0
        assert ours.null_deviance == pytest.approx(r.null_deviance, rel=1e-8)
    assert (ours.df_resid, ours.n_parameters) == (r.df_resid, r.n_parameters)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_likelihood_equals_rs_or_is_missing_as_there(model):
    ours, r = both(model)
    if model.family == "gaussian(log)" and model.options.get("weights") == "w":
        assert r.loglik == -np.inf and np.isfinite(ours.loglik)  # R takes the logarithm of a weight of 0
        return
    np.testing.assert_allclose([ours.loglik, ours.aic, ours.bic], [r.loglik, r.aic, r.bic], rtol=1e-9)
    assert np.isnan(ours.loglik) == ours.request.family.name.startswith("quasi")


@pytest.mark.parametrize(
    "model", [m for m in MODELS if m.family.startswith("nbinom2") and "theta" not in m.family], ids=str
)
def test_theta_and_its_standard_error_equal_mass(model):
    ours, r = both(model)
    # theta.ml() ends its Newton iterations at a step of 1e-4, of which the square is left; its information is older
    assert ours.request.family.theta == pytest.approx(r.request.family.theta, rel=1e-6)
    assert ours.request.family.theta_se == pytest.approx(r.request.family.theta_se, rel=1e-3)


def test_a_fit_that_runs_away_in_r_is_found_here():
    ours, r = both(DIVERGING)
    likewise = fn.fit("b ~ x*s", table(), family="binomial(probit)")  # the same estimating equations
    np.testing.assert_allclose(ours.beta, likewise.beta, rtol=1e-9)
    assert r.deviance > 2 * ours.deviance
    assert fn.crosscheck(ours).ok  # R stays where it is when it starts from here


def test_there_are_enough_models():
    assert len({str(model) for model in MODELS}) >= 150


@pytest.mark.parametrize("family", sorted({model.family for model in MODELS}))
def test_the_crosscheck_with_rs_own_settings_agrees(family):
    model = next(m for m in MODELS if m.family == family)
    check = fn.crosscheck(both(model)[0])
    assert check.ok, f"\n{check}"
