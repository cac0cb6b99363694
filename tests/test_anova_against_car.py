"""Analyses of variance of types II and III equal car's Anova, interactions and likelihood ratios included."""

from __future__ import annotations

import subprocess
from functools import cache

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r

# name: formula, R's call, our options
MODELS = {
    "lm": ("y ~ f*g + x", "lm(y ~ f*g + x, d)", {}),
    "lm of three": ("y ~ f*x*g", "lm(y ~ f*x*g, d)", {}),
    "lm weighted": ("y ~ f*g", "lm(y ~ f*g, d, weights = w)", {"weights": "w"}),
    "lm nested": ("y ~ f/x", "lm(y ~ f/x, d)", {}),
    "logit": ("b ~ f*g + x", "glm(b ~ f*g + x, binomial, d)", {"family": "binomial"}),
    "poisson": ("k ~ f*x + g", "glm(k ~ f*x + g, poisson, d)", {"family": "poisson"}),
    "poisson of three": (
        "k ~ f*g*x", "glm(k ~ f*g*x, poisson, d, weights = w)", {"family": "poisson", "weights": "w"}
    ),
    "quasipoisson": ("k ~ f*g + x", "glm(k ~ f*g + x, quasipoisson, d)", {"family": "quasipoisson"}),
    "Gamma": ("h ~ f*x", "glm(h ~ f*x, Gamma('log'), d)", {"family": "Gamma(log)"}),
}  # fmt: skip
ASKED = [(name, type, "F") for name in MODELS for type in ("II", "III") if name.startswith(("lm", "quasi", "Gamma"))]
ASKED += [(name, type, "LR") for name in MODELS for type in ("II", "III") if not name.startswith("lm")]


@cache
def data() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    n = 60
    d = pd.DataFrame({"x": rng.normal(size=n), "f": rng.choice(list("abc"), n), "g": rng.choice(list("pq"), n)})
    d = d.assign(w=rng.uniform(0.2, 2, n), b=(rng.random(n) < 1 / (1 + np.exp(-d.x))).astype(int))
    return d.assign(
        y=d.x + (d.f == "b") + rng.normal(size=n),
        k=rng.poisson(np.exp(1 + 0.3 * d.x)),
        h=np.exp(0.3 * d.x) * rng.gamma(2.0, 0.5, n),
    )


@cache
def by_car() -> pd.DataFrame:
    """One row a term: model, type, test, term, statistic, p."""
    shown = "\n".join(
        f"show({name!r}, {type!r}, {test!r}, {MODELS[name][1]}, {str(name.startswith('lm')).upper()})"
        for name, type, test in ASKED
    )
    code = f"""
    d <- read.csv(file("stdin"), stringsAsFactors = TRUE)
    show <- function(name, type, test, call, linear) {{
      options(contrasts = c(if (type == "III") "contr.sum" else "contr.treatment", "contr.poly"))
      call <- substitute(call)
      if (!linear) call$control <- glm.control(epsilon = 1e-14, maxit = 100)
      m <- eval(call)
      a <- if (linear) car::Anova(m, type = type) else car::Anova(m, type = type, test.statistic = test)
      at <- grep("^F|Chisq", names(a))[1]
      for (i in which(!is.na(a[[at]])))
        cat(name, type, test, trimws(rownames(a)[i]),
            sprintf("%.17g", a[[at]][i]), sprintf("%.17g", a[[ncol(a)]][i]), sep = "\\t", fill = FALSE, "\\n")
    }}
    {shown}
    """
    done = subprocess.run(["Rscript", "-e", code], input=data().to_csv(), capture_output=True, text=True, check=True)
    rows = [line.split("\t")[:6] for line in done.stdout.splitlines()]
    table = pd.DataFrame(rows, columns=["model", "type", "test", "term", "statistic", "p"])
    return table.astype({"statistic": float, "p": float})


@pytest.mark.parametrize(("name", "type", "test"), ASKED)
def test_every_term_has_cars_statistic_and_p(name, type, test):
    formula, _, options = MODELS[name]
    right = formula.split("~")[1]
    contrasts = {factor: "contr.sum" for factor in "fg" if factor in right} if type == "III" else None
    m = fn.fit(formula, data(), contrasts=contrasts, **options)
    ours = fn.anova(m, type=type, test="Chisq" if test == "LR" else "F").set_index("term")
    cars = by_car().query("model == @name and type == @type and test == @test and term != '(Intercept)'")
    assert len(cars) > 1 and set(cars.term) == set(ours.index[ours.statistic.notna()])
    # car refits by glm.fit at R's default tolerance, whose deviances stop 1e-8 of themselves short of the minimum
    np.testing.assert_allclose(ours.loc[cars.term, "statistic"], cars.statistic, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.loc[cars.term, "p_value"], cars.p, rtol=1e-4)
