"""Robust covariances, influence, residuals and predictions equal live R's: sandwich, stats, MASS, in one run of R."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r


@dataclass(frozen=True)
class Model:
    formula: str
    family: str = "gaussian"
    r_family: str = "lm"
    weights: str | None = None


MODELS = {
    "lm": Model("y ~ x*f"),
    "lm, weights": Model("y ~ x + poly(z, 2)", weights="w"),
    "lm, zero weights": Model("y ~ x + f", weights="w0"),
    "lm, no intercept": Model("y ~ 0 + x + f + offset(z)"),
    "lm, aliased": Model("y ~ x + I(2 * x) + f + z"),
    "binomial": Model("b ~ x + f", "binomial", "binomial"),
    "binomial, aliased": Model("b ~ x + I(x + z) + z", "binomial", "binomial"),
    "binomial, trials": Model("cbind(s, n - s) ~ x + z", "binomial(probit)", "binomial('probit')"),
    "binomial, weights": Model("share ~ x + f", "binomial(cloglog)", "binomial('cloglog')", weights="n"),
    "poisson": Model("k ~ x + z + offset(log(n))", "poisson", "poisson"),
    "poisson, sqrt": Model("k ~ x + f", "poisson(sqrt)", "poisson('sqrt')"),
    "poisson, zero weights": Model("k ~ x + z", "poisson", "poisson", weights="w0"),
    "gaussian, log": Model("p ~ x", "gaussian(log)", "gaussian('log')", weights="w"),
    "Gamma": Model("p ~ x + f", "Gamma", "Gamma"),
    "Gamma, log": Model("p ~ x * f", "Gamma(log)", "Gamma('log')", weights="w"),
    "inverse.gaussian": Model("p ~ x", "inverse.gaussian(log)", "inverse.gaussian('log')"),
    "quasibinomial": Model("cbind(s, n - s) ~ x", "quasibinomial", "quasibinomial"),
    "quasipoisson": Model("k ~ x + f", "quasipoisson", "quasipoisson"),
    "negative binomial": Model("k ~ x + f", "nbinom2", "nb"),
}
# R prints 15 digits, and both have iterated until nothing moves; theta is found to 1e-7 or so, and all follows it
TOLERANCE = dict.fromkeys(MODELS, 1e-8) | {"negative binomial": 1e-6}
every = pytest.mark.parametrize("name", MODELS)
linear = pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("lm")])
generalized = pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("lm")])


def table() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    n = 72
    d = pd.DataFrame(
        {
            "x": rng.normal(size=n).round(3),
            "z": rng.normal(size=n).round(3),
            "f": rng.choice(list("abc"), n),
            "g": rng.choice([f"m{i}" for i in range(9)], n),
            "h": rng.choice([f"d{i}" for i in range(5)], n),
            "n": rng.integers(2, 9, n),
            "w": rng.uniform(0.5, 3, n).round(2),
        }
    )
    d["w0"] = np.where(rng.random(n) < 0.15, 0.0, d["w"].round())
    eta = 0.4 * d["x"] - 0.3 * d["z"] + 0.5 * (d["f"] == "b") + pd.factorize(d["g"])[0] / 10 - 0.3
    d["y"] = eta + rng.normal(size=n) * (1 + (d["f"] == "c"))
    d["b"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    d["s"] = rng.binomial(d["n"], 1 / (1 + np.exp(-eta)))
    d["share"] = d["s"] / d["n"]
    d["k"] = rng.negative_binomial(2, 2 / (2 + d["n"] * np.exp(eta / 2)))
    d["p"] = rng.gamma(3, np.exp(eta / 2) / 3) + 0.01
    return d


DATA = table()
NEW = DATA[["x", "z", "f", "n", "w"]].iloc[[3, 11, 20, 41, 60]].assign(x=[0.2, -0.4, 0.1, 0.9, -0.7])


@pytest.fixture(scope="module")
def fits():
    return {
        name: fn.fit(model.formula, DATA, family=model.family, weights=model.weights) for name, model in MODELS.items()
    }


@pytest.fixture(scope="module")
def in_r(tmp_path_factory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("rows")
    DATA.to_csv(folder / "data.csv", index=False)
    NEW.to_csv(folder / "new.csv", index=False)
    asked = {name: {**asdict(m), "family": m.r_family} for name, m in MODELS.items()}
    (folder / "models.json").write_text(
        json.dumps({k: {a: b for a, b in v.items() if b is not None} for k, v in asked.items()})
    )
    script = Path(__file__).with_name("rows_in_r.R")
    command = ["Rscript", str(script), *(str(folder / name) for name in ("data.csv", "new.csv", "models.json"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def numbers(value: Any) -> np.ndarray:
    return np.array(value, dtype=float)


def assert_equal(ours: Any, theirs: Any, name: str) -> None:
    """To a share of each number, or of the largest, so that what cancels to about 0 may differ by rounding."""
    ours, theirs, rtol = numbers(ours), numbers(theirs), TOLERANCE[name]
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.nanmax(np.abs(theirs), initial=0))


# ---- robust covariances ----------------------------------------------------------------------------
SANDWICHES: dict[str, Any] = {
    "HC0": "HC0",
    "HC1": "HC1",
    "HC2": "HC2",
    "HC3": "HC3",
    "default": {"cluster": "g"},
    "one_HC0": {"cluster": "g", "type": "HC0"},
    "one_HC1": {"cluster": "g", "type": "HC1"},
    "two_HC0": {"cluster": ["g", "h"], "type": "HC0"},
    "two_HC1": {"cluster": ["g", "h"], "type": "HC1"},
}


@every
@pytest.mark.parametrize("kind", SANDWICHES)
def test_standard_errors_are_those_of_sandwich(fits, in_r, name, kind):
    fit = fits[name]
    variances = np.diag(numbers(in_r[name]["sandwiches"][kind]))
    tidy = fit.tidy(vcov=SANDWICHES[kind])
    with np.errstate(invalid="ignore"):  # two ways of clustering can give a negative variance, here and there
        assert_equal(tidy["std_error"][~np.isnan(fit.beta)], np.sqrt(variances), name)
    assert tidy["std_error"][np.isnan(fit.beta)].isna().all()


@pytest.mark.parametrize("kind", ["one_HC2", "one_HC3"])
def test_leverages_of_clusters_are_those_of_sandwich_where_weights_are_equal(fits, in_r, kind):
    # with weights that differ within clusters sandwich 3.0 gives something else; see test_robust for those
    for name in ("lm", "lm, no intercept"):
        ours = fits[name].tidy(vcov={"cluster": "g", "type": kind[-3:]})["std_error"]
        assert_equal(ours, np.sqrt(np.diag(numbers(in_r[name]["sandwiches"][kind]))), name)


@every
def test_a_robust_contrast_uses_the_whole_covariance(fits, in_r, name):
    fit = fits[name]
    known = np.flatnonzero(~np.isnan(fit.beta))[:2]
    V = numbers(in_r[name]["sandwiches"]["HC3"])[:2, :2]
    L = np.zeros(len(fit.beta))
    L[known] = [1, -1]
    assert_equal(fn.contrast(fit, L, vcov="HC3").table["std_error"], [np.sqrt([1, -1] @ V @ [1, -1])], name)


# ---- influence -------------------------------------------------------------------------------------
@every
def test_influence_is_that_of_r(fits, in_r, name):
    fit = fits[name]
    used, known = fit.request.weights > 0, ~np.isnan(fit.beta)
    ours = fit.influence()[used]
    theirs = in_r[name]["influence"]
    for column in ("hat", "sigma", "std_residual", "studentized_residual", "cooks_distance", "dffits", "covratio"):
        assert_equal(ours[column], theirs[column], name)
    # R leaves out that deviance residuals turn round under a link that falls, see test_influence
    turned = -1 if fit.request.family.link.name == "inverse" else 1
    for kind in ("dfbeta", "dfbetas"):
        columns = [f"{kind}_{coefficient}" for coefficient in np.array(fit.names)[known]]
        assert_equal(ours[columns], turned * numbers(theirs[kind])[:, : len(columns)], name)


# ---- residuals -------------------------------------------------------------------------------------
@every
def test_residuals_are_those_of_r(fits, in_r, name):
    fit = fits[name]
    used = fit.request.weights > 0
    for kind, theirs in in_r[name]["residuals"].items():
        if kind == "partial" and not used.all():
            continue  # R's terms are centred over other rows once they are left out; see the predictions
        assert_equal(fit.residuals(kind)[used], theirs, name)


# ---- predictions -----------------------------------------------------------------------------------
@every
def test_terms_of_new_rows_are_those_of_r(fits, in_r, name):
    theirs, ours = in_r[name]["predict"]["terms"], fits[name].predict(NEW, type="terms", se=True)
    assert_equal(ours["fitted"], theirs["fit"], name)
    assert_equal(ours["std_error"], theirs["se"], name)
    assert ours.attrs["constant"] == pytest.approx(theirs["constant"], rel=TOLERANCE[name], abs=1e-8)


@every
def test_means_of_new_rows_and_their_standard_errors_are_those_of_r(fits, in_r, name):
    theirs, ours = in_r[name]["predict"]["response"], fits[name].predict(NEW, se=True)
    assert_equal(ours["fitted"], theirs["fit"], name)
    assert_equal(ours["std_error"], theirs["se"], name)


@generalized
def test_linear_predictors_of_new_rows_are_those_of_r(fits, in_r, name):
    theirs, ours = in_r[name]["predict"]["link"], fits[name].predict(NEW, type="link", se=True)
    assert_equal(ours["fitted"], theirs["fit"], name)
    assert_equal(ours["std_error"], theirs["se"], name)


@linear
def test_intervals_of_linear_models_are_those_of_r(fits, in_r, name):
    fit, theirs = fits[name], in_r[name]["predict"]
    columns = ["fitted", "conf_low", "conf_high"]
    for kind in ("confidence", "prediction"):
        assert_equal(fit.predict(NEW, interval=kind, conf_level=0.9)[columns], theirs[kind], name)
    assert_equal(fit.predict(NEW, interval="prediction", weights="w")[columns], theirs["weighted"], name)
