"""Covariance structures of random effects beside glmmTMB (us, diag, cs, ar1) and nlme (pdDiag, pdIdent, pdCompSymm).

Coefficients may differ by 1e-5 standard errors, and by what R's own search left open: a log-likelihood that is d lower
holds the coefficients to sqrt(2 d) standard errors.
"""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r

FAMILIES = {"y": "gaussian", "b": "binomial", "c": "poisson"}
# name of the model: its random term here, the reference and what it calls the term
TERMS = {
    "us": ("us(0 + day | mouse)", "glmmTMB", "us(0 + day | mouse)"),
    "diag": ("diag(0 + day | mouse)", "glmmTMB", "diag(0 + day | mouse)"),
    "diag of slopes": ("diag(1 + x | mouse)", "glmmTMB", "diag(1 + x | mouse)"),
    "cs": ("cs(0 + day | mouse)", "glmmTMB", "cs(0 + day | mouse)"),
    "cs with an intercept": ("cs(1 + day | mouse)", "glmmTMB", "cs(1 + day | mouse)"),
    "ar1": ("ar1(0 + day | mouse)", "glmmTMB", "ar1(0 + day | mouse)"),
    "ar1 and lab": ("ar1(0 + day | mouse) + (1 | lab)", "glmmTMB", "ar1(0 + day | mouse) + (1 | lab)"),
    "pdDiag": ("diag(0 + day | mouse)", "nlme", "pdDiag(~ 0 + day)"),
    "pdIdent": ("diag(0 + day | mouse, hom = TRUE)", "nlme", "pdIdent(~ 0 + day)"),
    "pdCompSymm": ("cs(0 + day | mouse, hom = TRUE)", "nlme", "pdCompSymm(~ 0 + day)"),
}
LINEAR = [(name, "y", how) for name in TERMS for how in ("REML", "ML")]
GENERALIZED = [(name, y, "ML") for y in ("b", "c") for name in ("diag", "cs", "ar1", "ar1 and lab")]
MODELS = [*LINEAR, *GENERALIZED]

START = """
suppressMessages({library(glmmTMB); library(nlme)})
d <- read.csv(file("stdin")); for (name in c("mouse", "day", "lab")) d[[name]] <- factor(d[[name]])
tight <- glmmTMBControl(optCtrl = list(iter.max = 5000, eval.max = 5000, rel.tol = 1e-15, x.tol = 1e-12))
strict <- lmeControl(tolerance = 1e-12, msTol = 1e-14, maxIter = 500, msMaxIter = 500, opt = "nlminb")
show <- function(...) cat(format(c(...), digits = 17), "\\n")
by_glmmTMB <- function(formula, reml, family = gaussian()) {
  m <- suppressWarnings(glmmTMB(formula, d, family, REML = reml, control = tight))
  V <- VarCorr(m)$cond$mouse
  show(logLik(m), fixef(m)$cond, V[1, 1], V[2, 1])
}
by_nlme <- function(pd, method) {
  m <- lme(y ~ x, d, list(mouse = pd), method = method, control = strict)
  V <- as.matrix(m$modelStruct$reStruct[[1]]) * m$sigma^2
  show(logLik(m), fixef(m), V[1, 1], V[2, 1])
}
"""


def line(name: str, y: str, how: str) -> str:
    """The call of R for one model."""
    _, reference, term = TERMS[name]
    if reference == "nlme":
        return f'by_nlme({term}, "{how}")'
    reml = str(how == "REML").upper()
    return f"by_glmmTMB({y} ~ x + {term}, {reml}, {FAMILIES[y]}())"


@pytest.fixture(scope="module")
def mice():
    """20 mice on 4 days, 4 trials on most of them; effects of days are correlated in time."""
    rng = np.random.default_rng(11)
    mouse, day = np.repeat(np.arange(20), 16), np.tile(np.repeat(np.arange(4), 4), 20)
    lag = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    effects = rng.multivariate_normal(np.zeros(4), 0.6**lag * np.outer([1, 1.2, 0.9, 1.4], [1, 1.2, 0.9, 1.4]), 20)
    d = pd.DataFrame({"mouse": [f"m{k:02}" for k in mouse], "day": [f"d{k}" for k in day], "x": rng.normal(size=320)})
    d["lab"] = [f"l{k}" for k in rng.integers(0, 7, 320)]
    eta = 0.5 * d["x"] + effects[mouse, day] + rng.normal(size=7)[d["lab"].str[1:].astype(int)] * 0.7
    d["y"], d["b"] = 1 + eta + rng.normal(size=320), rng.binomial(1, 1 / (1 + np.exp(-eta)))
    d["c"] = rng.poisson(np.exp(0.5 * eta))
    return d[rng.random(320) < 0.9].reset_index(drop=True)


@pytest.fixture(scope="module")
def theirs(mice):
    code = START + "\n".join(line(*model) for model in MODELS)
    done = subprocess.run(["Rscript", "-e", code], input=mice.to_csv(), capture_output=True, text=True, check=True)
    return {m: np.array(row.split(), dtype=float) for m, row in zip(MODELS, done.stdout.splitlines(), strict=True)}


@pytest.fixture(scope="module")
def ours(mice):
    found = {}
    for name, y, how in MODELS:
        options = {"estimator": how.lower()} if y == "y" else {"family": FAMILIES[y]}
        found[name, y, how] = fn.fit(f"{y} ~ x + {TERMS[name][0]}", mice, **options)
    return found


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_likelihood_is_at_least_theirs(ours, theirs, model):
    fit, loglik = ours[model], theirs[model][0]
    assert fit.converged
    assert fit.loglik >= loglik - 1e-8 * abs(loglik)
    assert fit.loglik == pytest.approx(loglik, rel=1e-6)  # and the same model: R stops a little lower


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_coefficients_are_theirs(ours, theirs, model):
    fit, (loglik, *coef) = ours[model], theirs[model][:3]
    lower = np.sqrt(2 * max(fit.loglik - loglik, 0.0))
    np.testing.assert_allclose((fit.coef - coef) / fit.se, 0, atol=1e-5 + lower)


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_covariances_are_theirs(ours, theirs, model):
    S = next(effect for effect in ours[model].random if effect.group == "mouse").covariance
    # of variances the likelihood tells less than of coefficients: 1e-9 of it is 1e-4 of their standard errors
    np.testing.assert_allclose([S[0, 0], S[1, 0]], theirs[model][3:], atol=2e-4 * S[0, 0])


@pytest.mark.parametrize(
    ("term", "reference"),
    [("cs(0 + day | mouse)", "glmmTMB"), ("ar1(0 + day | mouse)", "glmmTMB"), ("diag(0 + day | mouse)", "nlme")]
    + [(f"{tag}(0 + day | mouse, hom = TRUE)", "nlme") for tag in ("diag", "cs")],
)
def test_the_cross_check_takes_structures(mice, term, reference):
    check = fn.crosscheck(fn.fit(f"y ~ x + {term}", mice), reference=reference)
    assert check.ok, check


@pytest.mark.parametrize("y", ["b", "c"])
def test_the_cross_check_of_generalized_models_is_by_glmmtmb(mice, y):
    fit = fn.fit(f"{y} ~ x + ar1(0 + day | mouse)", mice, family=FAMILIES[y])
    check = fn.crosscheck(fit)
    assert check.ok and check.reference.startswith("glmmTMB"), check
