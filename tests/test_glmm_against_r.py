"""Generalized linear mixed models beside glmmTMB and lme4, in one live run of R."""

from __future__ import annotations

import subprocess
from functools import cache

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

pytestmark = pytest.mark.r


@cache
def trials():
    """Responses of every family, with an intercept and a slope that vary by g, and a crossed factor h."""
    rng = np.random.default_rng(8)
    n = 240
    g, h, x = rng.integers(0, 15, n), rng.integers(0, 6, n), rng.normal(size=n)
    eta = 0.4 + 0.5 * x + 0.5 * rng.normal(size=15)[g] + 0.3 * rng.normal(size=15)[g] * x + 0.4 * rng.normal(size=6)[h]
    mu, p, size = np.exp(eta), 1 / (1 + np.exp(-eta)), rng.integers(1, 12, n)
    data = pd.DataFrame({"x": x, "g": g, "h": h, "o": rng.normal(size=n) / 3, "w": rng.integers(1, 4, n), "size": size})
    data["y"] = rng.binomial(1, p)
    data["count"] = rng.negative_binomial(2.0, 2.0 / (2.0 + mu))
    data["spread"] = rng.negative_binomial(mu / 1.5, 1 / 2.5)
    data["share"] = np.clip(rng.beta(6 * p, 6 * (1 - p)), 1e-4, 1 - 1e-4)
    data["hits"] = rng.binomial(size, rng.beta(5 * p, 5 * (1 - p)))
    data["rest"] = size - data["hits"]
    data["time"] = rng.gamma(3.0, mu / 3.0)
    data["level"] = np.abs(mu + 0.3 * rng.normal(size=n)) + 0.5
    return data


# formula, family, what glmmTMB's family is called, weights
MODELS = [
    ("count ~ x + (1|g)", "nbinom2", "nbinom2()", None),
    ("count ~ x + offset(o) + (x|g)", "nbinom2", "nbinom2()", None),
    ("count * 3 + 9 ~ x + (1|g) + (1|h)", "nbinom2(sqrt)", "nbinom2('sqrt')", None),  # means near 0 have a kink
    ("count ~ x + (1|g)", "nbinom2", "nbinom2()", "w"),
    ("spread ~ x + (1|g)", "nbinom1", "nbinom1()", None),
    ("spread ~ x + (x||g) + (1|h)", "nbinom1", "nbinom1()", None),
    ("share ~ x + (1|g)", "beta", "beta_family()", None),
    ("share ~ x + (x|g)", "beta", "beta_family()", "w"),
    ("share ~ x + (1|g) + (1|h)", "beta(probit)", "beta_family('probit')", None),
    ("cbind(hits, rest) ~ x + (1|g)", "betabinomial", "betabinomial()", None),
    ("cbind(hits, rest) ~ x + (1|g) + (1|h)", "betabinomial(cloglog)", "betabinomial('cloglog')", None),
    ("time ~ x + (1|g)", "Gamma(log)", "Gamma('log')", None),
    ("time ~ x + (x|g) + (1|h)", "Gamma(log)", "Gamma('log')", None),
    ("time ~ 1 + (1|g)", "Gamma(inverse)", "Gamma('inverse')", None),
    ("time ~ x + (1|g)", "Gamma(log)", "Gamma('log')", "w"),
    ("level ~ x + (1|g)", "gaussian(log)", "gaussian('log')", None),
    ("y ~ x + (1|g) + (1|h)", "binomial(probit)", "binomial('probit')", None),
    ("y ~ x + (x|g)", "binomial(cloglog)", "binomial('cloglog')", None),
    ("count ~ x + (1|g) + (1|h)", "poisson", "poisson()", None),
    ("count + 9 ~ x + (1|g)", "poisson(sqrt)", "poisson('sqrt')", None),
]

R_CODE = """
suppressMessages(library(glmmTMB))
d <- read.csv("DATA"); d$g <- factor(d$g); d$h <- factor(d$h)
show <- function(...) cat(format(c(...), digits = 17), "\\n")
tight <- glmmTMBControl(optCtrl = list(iter.max = 2000, eval.max = 4000, rel.tol = 1e-14, x.tol = 1e-12))
fit <- function(call) {
  m <- tryCatch(suppressWarnings(call), error = function(e) NULL)
  if (is.null(m)) return(cat("NA\\n"))
  s <- summary(m)$coefficients$cond
  show(logLik(m), sigma(m), s[, 1], s[, 2])
}
"""


@pytest.fixture(scope="module")
def from_r(tmp_path_factory):
    """glmmTMB's log-likelihood, sigma(), coefficients and standard errors of every model."""
    path = tmp_path_factory.mktemp("glmm") / "trials.csv"
    trials().to_csv(path, index=False, float_format="%.17g")
    calls = []
    for formula, _, family, weights in MODELS:
        given = f", weights = {weights}" if weights else ""
        formula = formula.replace("(x||g)", "(1|g) + (0+x|g)")
        calls.append(f"fit(glmmTMB({formula}, d, family = {family}, control = tight{given}))")
    code = R_CODE.replace("DATA", str(path)) + "\n".join(calls)
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
    return [np.array(line.replace("NA", "nan").split(), dtype=float) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("index", range(len(MODELS)), ids=[f"{m[1]}: {m[0]}" for m in MODELS])
def test_glmmtmb_finds_the_same_maximum(from_r, index):
    formula, family, _, weights = MODELS[index]
    # glmmTMB's weights in log|A| are the observed ones, for binomial and Poisson as well
    observed = fn.Laplace(weights="observed") if family.startswith(("binomial", "poisson")) else None
    m = fn.fit(formula, trials(), family=family, weights=weights, estimator=observed, backend="native-glmm")
    loglik, sigma, *rest = from_r[index]
    coefficients, errors = np.split(np.array(rest), 2)
    assert m.converged
    # nlminb ends up to 1e-6 below the maximum; never above ours but for rounding
    assert -1e-8 < m.loglik - loglik < 2e-6
    shape = m.sigma if m.family.shape is None else m.family.shape[1]
    assert shape == pytest.approx(sigma, rel=1e-5)
    np.testing.assert_allclose(m.coef, coefficients, atol=1e-5)
    np.testing.assert_allclose(m.se, errors, rtol=5e-5)  # both exact; glmmTMB's at estimates that far off


LME4 = """
suppressMessages(library(lme4))
d <- read.csv("DATA"); d$g <- factor(d$g); d$h <- factor(d$h)
show <- function(...) cat(format(c(...), digits = 17), "\\n")
fit <- function(formula, family, nodes = 1L, tight = FALSE, data = d, w = NULL) {
  settings <- list(algorithm = "NLOPT_LN_BOBYQA", xtol_abs = 1e-10, ftol_abs = 1e-12, maxeval = 1e5)
  control <- if (tight) glmerControl("nloptwrap", tolPwrss = 1e-13, optCtrl = settings) else glmerControl()
  data$w <- w
  environment(formula) <- environment()
  m <- suppressMessages(suppressWarnings(glmer(formula, data, family, nAGQ = nodes, control = control)))
  show(logLik(m), fixef(m), sqrt(diag(as.matrix(vcov(m)))))
}
herds <- cbind(incidence, size - incidence) ~ period + (1 | herd)
fit(herds, binomial, data = cbpp)
fit(herds, binomial, data = cbpp, nodes = 10L)
fit(herds, binomial("probit"), data = cbpp, tight = TRUE)
fit(herds, binomial("cloglog"), data = cbpp, tight = TRUE)
"""
QUOTE = "'"
BESIDE_LME4 = [
    ("y ~ x + (1|g)", "binomial"),
    ("y ~ x + (x|g)", "binomial"),
    ("y ~ x + (1|g) + (1|h)", "binomial(probit)"),
    ("y ~ x + offset(o) + (1|g)", "binomial(cloglog)"),
    ("cbind(hits, rest) ~ x + (x|g)", "binomial"),
    ("cbind(hits, rest) ~ x + (1|g) + (1|h)", "binomial(cauchit)"),
    ("count ~ x + (1|g)", "poisson"),
    ("count ~ x + offset(o) + (x|g) + (1|h)", "poisson"),
    ("count ~ x + (1|g:h)", "poisson"),
    ("count ~ x + (0+x|g)", "poisson"),
]


@pytest.fixture(scope="module")
def from_lme4(tmp_path_factory):
    path = tmp_path_factory.mktemp("glmer") / "trials.csv"
    trials().to_csv(path, index=False, float_format="%.17g")
    calls = [
        f"fit({formula}, {family.replace('(', '(link = ' + QUOTE).replace(')', QUOTE + ')')}, tight = TRUE)"
        for formula, family in BESIDE_LME4
    ]
    code = LME4.replace("DATA", str(path)) + "\n".join(calls)
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
    rows = [np.array(line.split(), dtype=float) for line in done.stdout.splitlines()]
    return [(row[0], *np.split(row[1:], 2)) for row in rows]


HERDS = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def test_glmers_default_standard_errors_of_cbpp_are_off_by_a_percent(rdata, from_lme4):
    m = fn.fit(HERDS, rdata("lme4", "cbpp"), family="binomial")
    loglik, coefficients, errors = from_lme4[0]
    np.testing.assert_allclose(m.se, [0.2325, 0.3066, 0.3266, 0.4274], atol=5e-5)  # two codes agree to 7 digits
    off = np.asarray(errors / m.se - 1)
    assert 0.005 < np.abs(off).max() < 0.02
    np.testing.assert_allclose(errors, [0.2312, 0.3032, 0.3228, 0.4221], atol=1.5e-4)  # what glmer prints
    np.testing.assert_allclose(m.coef, coefficients, atol=1e-3)  # its estimates are fine
    assert m.loglik > loglik


def test_a_quadratures_likelihood_is_lme4s_on_laplaces_scale(rdata, from_lme4):
    cbpp = rdata("lme4", "cbpp")
    m = fn.fit(HERDS, cbpp, family="binomial", estimator="AGQ(10)")
    share, size = cbpp["incidence"] / cbpp["size"], cbpp["size"]
    saturated = m.family.loglik(share.to_numpy(), np.clip(share.to_numpy(), 1e-300, 1 - 1e-16), size.to_numpy(), 1.0)
    assert m.loglik - saturated == pytest.approx(from_lme4[1][0], abs=2e-3)  # glmer's default settings
    assert m.loglik - saturated > from_lme4[1][0] - 1e-6


@pytest.mark.parametrize(("index", "family"), [(2, "binomial(probit)"), (3, "binomial(cloglog)")])
def test_expected_weights_are_lme4s_and_the_default(rdata, from_lme4, index, family):
    m = fn.fit(HERDS, rdata("lme4", "cbpp"), family=family)
    assert m.loglik == pytest.approx(from_lme4[index][0], abs=1e-6)
    observed = fn.fit(HERDS, rdata("lme4", "cbpp"), family=family, estimator=fn.Laplace(weights="observed"))
    assert observed.loglik > m.loglik + 0.02  # nearer to the integral, where that is -.054 or so


@pytest.mark.parametrize("index", range(len(BESIDE_LME4)), ids=[f"{f}: {m}" for m, f in BESIDE_LME4])
def test_glmer_finds_no_more_likelihood_by_tight_settings(from_lme4, index):
    formula, family = BESIDE_LME4[index]
    m = fn.fit(formula, trials(), family=family, backend="native-glmm")
    loglik, coefficients, _ = from_lme4[index + 4]
    assert m.loglik > loglik - 1e-7
    # BOBYQA stops up to 1e-4 short of the maximum where a correlation is near 1
    assert m.loglik == pytest.approx(loglik, abs=5e-4)
    np.testing.assert_allclose(m.coef, coefficients, atol=5e-3 * np.asarray(m.se).max())


@pytest.mark.parametrize(
    ("formula", "family"),
    [("spread ~ x + (1|g)", "nbinom1"), ("share ~ x + (1|g)", "beta"), ("time ~ x + (1|g)", "Gamma(log)")],
)
def test_the_cross_check_of_a_shape_is_by_glmmtmb(formula, family):
    check = fn.crosscheck(fn.fit(formula, trials(), family=family))
    assert check.ok, check
    assert "glmmTMB" in check.reference
