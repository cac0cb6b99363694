"""Residual structures against nlme's varIdent and corAR1, live, by a script of R and by the cross-check."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r

CODE = """
library(nlme); t <- read.csv(file("stdin")); t$mouse <- factor(t$mouse); t$dose <- factor(t$dose)
# nlme's own stopping rules leave the fifth digit open
control <- lmeControl(tolerance = 1e-12, msTol = 1e-14, maxIter = 500, msMaxIter = 500)
show <- function(...) cat(format(c(...), digits = 17), "\\n")
fitted_by <- function(method) {
  a <- lme(y ~ x, t, ~1 | mouse, weights = varIdent(form = ~1 | dose), method = method, control = control)
  b <- lme(y ~ x, t, ~1 | mouse, correlation = corAR1(form = ~trial | mouse), method = method, control = control)
  c <- lme(y ~ x, t, ~1 | mouse, weights = varIdent(form = ~1 | dose), correlation = corAR1(form = ~trial | mouse),
           method = method, control = control)
  for (m in list(a, b, c)) show(logLik(m), fixef(m), sqrt(diag(vcov(m))))
}
fitted_by("REML"); fitted_by("ML")
"""
STRUCTURES = [
    fn.VarIdent("dose"),
    fn.AR1("trial", group="mouse"),
    [fn.VarIdent("dose"), fn.AR1("trial", group="mouse")],
]


@pytest.fixture(scope="module")
def series():
    """12 mice with most of 20 trials, in no order; residuals correlated in time, of twice the spread in one dose."""
    rng = np.random.default_rng(6)
    mouse, trial = np.repeat(np.arange(12), 20), np.tile(np.arange(20), 12)
    e = np.zeros((12, 20))
    for k in range(20):
        e[:, k] = (0.6 * e[:, k - 1] if k else 0.0) + rng.normal(size=12) * (0.8 if k else 1.0)
    d = pd.DataFrame({"mouse": mouse, "trial": trial, "x": rng.normal(size=240), "w": rng.uniform(0.5, 2, 240)})
    d["dose"], d["session"] = np.where(mouse % 2, "low", "high"), trial // 10
    d["y"] = 1 + 0.5 * d["x"] + rng.normal(size=12)[mouse] + e.ravel() * np.where(mouse % 2, 2.0, 1.0)
    return d[rng.random(240) < 0.9].sample(frac=1, random_state=1).reset_index(drop=True)


@pytest.fixture(scope="module")
def from_nlme(series):
    done = subprocess.run(["Rscript", "-e", CODE], input=series.to_csv(), capture_output=True, text=True, check=True)
    return [np.array(line.split(), dtype=float) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("case", range(6))
def test_nlme_itself_agrees(series, from_nlme, case):
    estimator = (fn.REML, fn.ML)[case // 3](residual=STRUCTURES[case % 3])
    m = fn.fit("y ~ x + (1|mouse)", series, estimator=estimator)
    loglik, coef, se = from_nlme[case][0], from_nlme[case][1:3], from_nlme[case][3:]
    assert m.loglik == pytest.approx(loglik, abs=1e-6)
    assert m.loglik > loglik - 1e-9
    # even so lme's optimiser stops where the criterion is flat: a millionth of it is a thousandth of theta
    assert np.allclose(m.coef, coef, rtol=1e-5) and np.allclose(m.se, se, rtol=1e-5)


@pytest.mark.parametrize(
    ("formula", "residual", "options"),
    [
        ("y ~ x * dose + (1|mouse)", fn.VarIdent("dose"), {"weights": "w"}),
        ("y ~ x + (1|mouse)", [fn.VarIdent("dose"), fn.AR1()], {"weights": "w"}),
        ("y ~ x + (1|mouse/session)", fn.AR1("trial"), {}),
        ("y ~ x + (1|mouse)", fn.AR1("trial", group="series"), {}),
    ],
)
def test_the_cross_check_is_by_nlme(series, formula, residual, options):
    data = series.assign(series=series["mouse"].astype(str) + "_" + series["session"].astype(str))
    for estimator in (fn.REML(residual=residual), fn.ML(residual=residual)):
        check = fn.crosscheck(fn.fit(formula, data, estimator=estimator, **options))
        assert check.ok and check.reference.startswith("nlme"), check
        assert "residual parameters" in set(check.to_frame()["quantity"])


def test_a_fit_by_nlme_tells_its_structure(series):
    m = fn.fit("y ~ x + (1|mouse)", series, estimator=fn.REML(residual=STRUCTURES[2]), backend="nlme")
    ours = fn.fit("y ~ x + (1|mouse)", series, estimator=fn.REML(residual=STRUCTURES[2]))
    assert m.residual == pytest.approx(ours.residual, abs=1e-4)
    assert m.sigma == pytest.approx(ours.sigma, rel=1e-4)  # of our first level, where nlme's is the first row's


def test_the_ketamine_cells_want_a_spread_for_each_treatment():
    """The stand-in for Example 1 of the teaching: the log-likelihood rises by over 100, as that of the real cells."""
    data = fn.datasets.pcreb()
    formula = "res ~ treatment_idx + (1|midx)"
    m = fn.fit(formula, data, estimator=fn.REML(residual=fn.VarIdent("treatment_idx")))
    assert m.loglik - fn.fit(formula, data).loglik > 100
    assert fn.crosscheck(m).ok
