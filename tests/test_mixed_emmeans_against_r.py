"""Marginal means of mixed models beside R's emmeans, of the same coefficients and covariance, in one run of R.

glmer's own standard errors are up to 1.3 % off, so that emmeans is given ours: what is compared is all that follows.
"""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.inference.marginal.multivariate_t import LargestT

pytestmark = pytest.mark.r

FORMULA = "fires ~ dose * layer + sex + depth + (1|g)"
ADJUST = ["tukey", "sidak", "bonferroni", "holm", "hochberg", "fdr", "BY", "scheffe", "none", "dunnettx"]
WEIGHTS = ["equal", "proportional", "outer", "cells", "flat"]
CONTRASTS = ["pairwise", "revpairwise", "eff", "consec", "poly", "trt.vs.ctrl", "trt.vs.ctrlk"]
T, DF = [0.7, 1.6, 2.4, 3.3], 12

R_CODE = """
suppressMessages(library(emmeans)); emm_options(msg.interaction = FALSE)
given <- jsonlite::fromJSON(file("stdin"))
d <- as.data.frame(given$data); for (f in c("dose", "layer", "sex")) d[[f]] <- factor(d[[f]])
V <- matrix(given$vcov, length(given$coef)); names(given$coef) <- given$names
dimnames(V) <- list(given$names, given$names)
rg <- qdrg(~ dose * layer + sex + depth, data = d, coef = given$coef, vcov = V, df = Inf, link = "logit")
logit <- make.link("logit")
rg <- update(rg, tran = "logit", inv.lbl = "prob")
plain <- function(x) unname(as.list(as.data.frame(x)))
p <- function(e, method, ...) as.data.frame(contrast(e, method, ...))$p.value
out <- list()
e <- emmeans(rg, "dose")
out$weights <- lapply(given$weights, function(w) {
  s <- as.data.frame(emmeans(rg, "dose", weights = w)); cbind(s$emmean, s$SE) })
out$adjust <- lapply(given$adjust, function(a) p(emmeans(rg, c("dose", "layer")), "pairwise", adjust = a))
out$limits <- lapply(given$adjust, function(a) {
  s <- as.data.frame(confint(contrast(e, "pairwise", adjust = a))); cbind(s$asymp.LCL, s$asymp.UCL) })
out$contrasts <- lapply(given$contrasts, function(m) {
  s <- as.data.frame(contrast(e, m, adjust = "none")); cbind(s$estimate, s$SE) })
out$control <- p(emmeans(rg, "dose", by = "layer"), "trt.vs.ctrl", ref = 2)
s <- as.data.frame(summary(e, type = "response", bias.adj = TRUE, sigma = given$sigma))
out$bias <- cbind(s$prob, s$SE, s$asymp.LCL, s$asymp.UCL)
largest <- function(t) 1 - mvtnorm::pmvt(rep(-t, 6), rep(t, 6), df = given$df, corr = given$correlation,
                                         algorithm = mvtnorm::GenzBretz(5e5, 1e-5, 0))[1]
set.seed(1)
out$mvt <- vapply(given$t, largest, 0)
cat(jsonlite::toJSON(out, digits = NA))
"""


@pytest.fixture(scope="module")
def glmm():
    rng = np.random.default_rng(5)
    n = 240
    t = pd.DataFrame({"g": rng.integers(0, 12, n), "depth": rng.normal(3, 1, n), "sex": rng.choice(["F", "M"], n)})
    t["dose"], t["layer"] = rng.choice(["high", "low", "none"], n, p=[0.5, 0.3, 0.2]), rng.choice(["l2", "l5"], n)
    eta = rng.normal(size=12)[t.g] + (t.dose == "high") - 0.5 * (t.layer == "l5") + 0.3 * (t.sex == "M")
    t["fires"] = (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(int)
    return fn.fit(FORMULA, t.assign(g=t.g.map("g{}".format)), family="binomial")


def correlation():
    """Six contrasts of rank 4, of unequal means."""
    W = np.array(
        [[1, -1, 0, 0, 0], [1, 0, -1, 0, 0], [0, 1, -1, 0, 0], [0, 0, 1, -1, 0], [0, 0, 0, 1, -1], [1, 0, 0, 0, -1]]
    )
    V = W @ np.diag([1, 0.5, 2, 1.5, 0.7]) @ W.T
    return V / np.sqrt(np.outer(np.diag(V), np.diag(V)))


@pytest.fixture(scope="module")
def theirs(glmm):
    asked = {
        "data": glmm.request.design.data.drop(columns=["fires"]).to_dict("list"),
        "coef": glmm.beta.tolist(), "names": list(glmm.names), "vcov": glmm.covariance.ravel().tolist(),
        "weights": WEIGHTS, "adjust": ADJUST, "contrasts": CONTRASTS, "sigma": 0.9,
        "t": T, "df": DF, "correlation": correlation().tolist(),
    }  # fmt: skip
    done = subprocess.run(["Rscript", "-e", R_CODE], input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("place", range(len(WEIGHTS)), ids=WEIGHTS)
def test_weighted_means(glmm, theirs, place):
    means = fn.emmeans(glmm, "dose", weights=WEIGHTS[place]).means[["estimate", "std_error"]]
    np.testing.assert_allclose(means, theirs["weights"][place], rtol=1e-9)


@pytest.mark.parametrize("place", range(len(ADJUST)), ids=ADJUST)
def test_adjusted_p_values(glmm, theirs, place):
    found = fn.emmeans(glmm, ["dose", "layer"], "pairwise", adjust=ADJUST[place].lower()).contrasts["p_value"]
    np.testing.assert_allclose(found, theirs["adjust"][place], rtol=1e-6, atol=1e-8)  # R's ptukey


@pytest.mark.parametrize("place", range(len(ADJUST)), ids=ADJUST)
def test_adjusted_limits(glmm, theirs, place):
    found = fn.emmeans(glmm, "dose", "pairwise", adjust=ADJUST[place].lower()).contrasts[["conf_low", "conf_high"]]
    np.testing.assert_allclose(found, theirs["limits"][place], atol=3e-4)  # qtukey stops at 1e-4, uniroot at 1e-5


@pytest.mark.parametrize("place", range(len(CONTRASTS)), ids=CONTRASTS)
def test_contrasts(glmm, theirs, place):
    found = fn.emmeans(glmm, "dose", CONTRASTS[place]).contrasts[["estimate", "std_error"]]
    np.testing.assert_allclose(found, theirs["contrasts"][place], rtol=1e-9)


def test_comparisons_with_a_control_of_ones_own(glmm, theirs):
    found = fn.emmeans(glmm, "dose | layer", "trt.vs.ctrl(2)").contrasts["p_value"]
    np.testing.assert_allclose(found, theirs["control"], rtol=1e-6)


def test_means_over_random_effects_by_the_series(glmm, theirs):
    found = fn.emmeans(glmm, "dose", type="response", bias_adjust=True, sigma=0.9).means
    found = found[["estimate", "std_error", "conf_low", "conf_high"]]
    np.testing.assert_allclose(found, theirs["bias"], rtol=1e-5)  # emmeans differentiates numerically


def test_the_multivariate_t_is_mvtnorms(theirs):
    largest = LargestT(correlation(), float(DF))
    np.testing.assert_allclose([largest.tail(t) for t in T], theirs["mvt"], atol=2e-5)  # 1e-5 of either
