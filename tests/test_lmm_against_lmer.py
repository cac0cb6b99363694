"""Linear mixed models of every structure beside live lmer: its criterion at our theta, and the one it reaches itself.

At the same theta both do linear algebra alone, so coefficients, standard errors and modes agree to the digits that
R's has; that lmer's own search ends no lower shows that our theta is the better one.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r

FORMULAS = [
    "y ~ x + (1|a)",
    "y ~ x + (x|a)",
    "y ~ 1 + (x + z|a)",
    "y ~ x + (x||a)",
    "y ~ x + (1|a) + (0 + z|a)",
    "y ~ x * t + (1|a/b)",
    "y ~ x + (x|a/b)",
    "y ~ x + (x|a) + (1|b)",
    "y ~ x + (1|a/b) + (1|h)",
    "y ~ x + (1|b) + (1|h)",
    "y ~ x + (x|b) + (z|h)",
    "y ~ x + (1|b) + (1|h) + (1|t)",
    "y ~ x + z + offset(o) + (x|h)",
]
WAYS = [(0, True, ""), (1, False, ""), (2, True, "w"), (3, False, "w")]  # seed, REML, weights
SCRIPT = r"""
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
asked <- fromJSON(file("stdin"), simplifyDataFrame = FALSE)
tables <- lapply(asked$tables, function(t) {
  d <- as.data.frame(t)
  for (g in c("a", "b", "h", "t")) d[[g]] <- factor(d[[g]])
  d
})
control <- lmerControl(calc.derivs = FALSE, check.nobs.vs.nRE = "ignore", check.nobs.vs.nlev = "ignore")
one <- function(model) {
  d <- tables[[model$table]]
  d$weight <- if (model$weights == "w") d$w else 1
  make <- function(only) suppressMessages(suppressWarnings(
    lmer(as.formula(model$formula), d, REML = model$reml, weights = weight, control = control, devFunOnly = only)))
  m <- make(FALSE)
  devfun <- make(TRUE)
  own <- -2 * c(logLik(m))
  value <- devfun(model$theta)
  e <- environment(devfun)
  df <- nrow(d) - if (model$reml) length(e$pp$beta(1)) else 0
  sigma <- sqrt((e$resp$wrss() + e$pp$sqrL(1)) / df)
  se <- sigma * sqrt(diag(e$pp$unsc()))
  list(own = own, value = value, beta = e$pp$beta(1), se = se, sigma = sigma, b = e$pp$b(1))
}
cat(toJSON(lapply(asked$models, one), digits = NA, auto_unbox = TRUE))
"""


def table(seed):
    """Unbalanced groups, b within a but with levels of one row, a variance of 0 in every other table."""
    rng = np.random.default_rng(seed)
    n = 240
    a = rng.choice(8, n, p=np.arange(2, 10) / 44)
    b, h, t = a * 4 + rng.integers(0, 2 + a % 3, n), rng.integers(0, 7, n), rng.integers(0, 4, n)
    b[:4] = 100 + np.arange(4)
    x, z = rng.normal(size=n), 10 + 3 * rng.normal(size=n)
    y = x + rng.normal(size=8)[a] * (1 + 0.4 * x) + 0.8 * (seed % 2) * rng.normal(size=200)[b]
    y += 0.6 * rng.normal(size=7)[h] + rng.normal(size=n)
    groups = {name: [f"{name}{i:03d}" for i in codes] for name, codes in (("a", a), ("b", b), ("h", h), ("t", t))}
    return pd.DataFrame({"y": y, "x": x, "z": z, "o": rng.normal(size=n), "w": rng.uniform(0.3, 3, n), **groups})


@dataclass(frozen=True)
class Case:
    formula: str
    seed: int
    reml: bool
    weights: str

    def __str__(self):
        return f"{self.formula}, {'REML' if self.reml else 'ML'}{', weights' * bool(self.weights)}"


CASES = [Case(formula, *way) for formula in FORMULAS for way in WAYS]


@cache
def fitted():
    tables = {seed: table(seed) for seed, _, _ in WAYS}
    return tables, [
        fn.fit(
            case.formula,
            tables[case.seed],
            estimator="reml" if case.reml else "ml",
            weights=case.weights or None,
            backend="native-lmm",
        )
        for case in CASES
    ]


@cache
def lmer():
    tables, fits = fitted()
    models = [
        {
            "table": case.seed + 1,
            "formula": case.formula,
            "reml": case.reml,
            "weights": case.weights,
            "theta": m.theta.tolist(),
        }
        for case, m in zip(CASES, fits, strict=True)
    ]
    given = {"tables": [t.to_dict("list") for t in tables.values()], "models": models}
    said = subprocess.run(
        ["Rscript", "-e", SCRIPT], input=json.dumps(given), capture_output=True, text=True, check=True
    ).stdout
    return json.loads(said)


@pytest.mark.parametrize("i", range(len(CASES)), ids=map(str, CASES))
def test_lmer_agrees_at_our_theta_and_does_not_find_a_better_one(i):
    m, r = fitted()[1][i], lmer()[i]
    assert m.converged
    assert m.criterion == pytest.approx(r["value"], abs=1e-9)
    assert m.criterion <= r["own"] + 1e-9
    np.testing.assert_allclose(m.coef, np.atleast_1d(r["beta"]), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(m.se, np.atleast_1d(r["se"]), rtol=1e-7)
    assert m.sigma == pytest.approx(r["sigma"], rel=1e-8)
    modes = np.concatenate([effect.modes.ravel() for effect in m.random])
    np.testing.assert_allclose(modes, r["b"], atol=1e-7)
