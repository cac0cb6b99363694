"""Profile intervals beside residual structures: at their ends the deviance has risen by the chi-squared quantile."""

from __future__ import annotations

import functools
import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import formula_neuro as fn
from formula_neuro.result import Fit

RISE = float(stats.chi2.ppf(0.95, 1))


@functools.cache
def data() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    g = np.repeat(np.arange(9), 6)
    d = pd.DataFrame({"g": g, "m": np.tile(np.arange(6), 9), "x": rng.normal(size=54)})
    d["t"] = rng.choice(list("ab"), 54)
    d["y"] = 1 + d.x + rng.normal(size=9)[g] + d["t"].map({"a": 0.5, "b": 1.5}) * rng.normal(size=54)
    return d


@functools.cache
def spread() -> Fit:
    return fn.fit("y ~ x + (1 | g)", data(), estimator=fn.ML(fn.VarIdent("t")))


@functools.cache
def series() -> Fit:
    return fn.fit("y ~ x + (1 | g)", data(), estimator=fn.ML(fn.AR1("m", "g")))


@functools.cache
def ends(model) -> pd.DataFrame:
    names = ["sd_(Intercept)|g", "sigma", "x", *model().residual]
    return fn.confint(model(), names, method="profile").set_index("term")


def deviance(model, sd_g: float, sigma: float, shape: float, slope: float | None) -> float:
    """-2 log-likelihood with an n x n covariance, the coefficients at their best, the slope of x perhaps held."""
    d = data()
    if model is spread:
        R = np.diag(np.where(d["t"] == "b", shape, 1.0) ** 2)
    else:
        R = shape ** np.abs(d["m"].to_numpy()[:, None] - d["m"].to_numpy()) * (
            d["g"].to_numpy()[:, None] == d["g"].to_numpy()
        )
    V = sigma**2 * R + sd_g**2 * (d["g"].to_numpy()[:, None] == d["g"].to_numpy())
    X, y = np.column_stack([np.ones(54), d["x"]]), d["y"].to_numpy()
    X, y = (X, y) if slope is None else (X[:, :1], y - slope * X[:, 1])
    Vi = np.linalg.inv(V)
    r = y - X @ np.linalg.solve(X.T @ Vi @ X, X.T @ Vi @ y)
    return float(np.linalg.slogdet(V)[1] + r @ Vi @ r + 54 * np.log(2 * np.pi))


def least(model, **held: float) -> float:
    """The deviance minimised over what is not held."""
    names = [name for name in ("sd_g", "sigma", "shape") if name not in held]
    bounds = {"sd_g": (1e-3, 20), "sigma": (1e-2, 20), "shape": (0.05, 20) if model is spread else (-0.95, 0.95)}
    start = {"sd_g": 1.0, "sigma": 0.8, "shape": 1.5 if model is spread else 0.1}
    found = optimize.minimize(
        lambda v: deviance(model, **{"slope": None, **dict(zip(names, v, strict=True)), **held}),
        [start[name] for name in names],
        bounds=[bounds[name] for name in names],
        method="L-BFGS-B",
        options={"ftol": 1e-13, "gtol": 1e-7},
    )
    return float(found.fun)


PARAMETERS = [("sd_(Intercept)|g", "sd_g"), ("sigma", "sigma"), ("x", "slope")]


@pytest.mark.parametrize("model, own", [(spread, ("sd b / a", "shape")), (series, ("phi", "shape"))])
@pytest.mark.parametrize("end", ["conf_low", "conf_high"])
def test_the_deviance_rises_by_the_quantile_at_each_end(model, own, end):
    best = least(model)
    assert best == pytest.approx(model().criterion, abs=1e-5)
    for name, held in [*PARAMETERS, own]:
        # differences of the dense deviance leave about 1e-5 of it
        assert least(model, **{held: ends(model).loc[name, end]}) - best == pytest.approx(RISE, abs=1e-4), name


def test_reml_fits_are_profiled_by_maximum_likelihood():
    table = fn.confint(fn.refit(spread(), estimator=fn.REML(fn.VarIdent("t"))), "sd b / a", method="profile")
    assert table["conf_low"][0] == pytest.approx(ends(spread).loc["sd b / a", "conf_low"], rel=1e-5)
    assert "refitted by ML" in table.attrs["messages"][0]


def test_theta_names_the_parameters_of_the_residuals_too():
    assert fn.confint(series(), "theta_", method="profile")["term"].tolist() == ["sd_(Intercept)|g", "phi", "sigma"]


R = """
suppressMessages(library(nlme))
d <- read.csv("DATA"); d$g <- factor(d$g)
phi <- function(v) logLik(lme(y ~ x, d, ~1 | g, correlation = corAR1(v, ~m | g, fixed = TRUE), method = "ML"))
ratio <- function(v) logLik(lme(y ~ x, d, ~1 | g, weights = varIdent(form = ~1 | t, fixed = c(b = v)), method = "ML"))
cat(sprintf("[%.10f, %.10f, %.10f, %.10f]", phi(PLOW), phi(PHIGH), ratio(RLOW), ratio(RHIGH)))
"""


@pytest.mark.r
def test_nlme_falls_by_half_the_quantile_where_it_holds_our_ends(tmp_path):
    data().to_csv(tmp_path / "d.csv", index=False)
    phi, ratio = ends(series).loc["phi"], ends(spread).loc["sd b / a"]
    script = R.replace("DATA", str(tmp_path / "d.csv"))
    for word, row in (("P", phi), ("R", ratio)):
        script = script.replace(f"{word}LOW", repr(float(row["conf_low"])))
        script = script.replace(f"{word}HIGH", repr(float(row["conf_high"])))
    done = subprocess.run(["Rscript", "-e", script], capture_output=True, text=True, check=True)
    theirs = np.array(json.loads(done.stdout))
    ours = np.repeat([series().loglik, spread().loglik], 2)
    assert np.allclose(ours - theirs, RISE / 2, atol=1e-4)  # nlme's own convergence
