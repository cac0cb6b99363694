"""nlme and glmmTMB as second opinions on mixed models."""

from __future__ import annotations

import subprocess

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import NoBackend
from formula_neuro.registry import installed

pytestmark = pytest.mark.r
SLEEP = ["Reaction ~ Days + (Days|Subject)", "Reaction ~ Days + (Days||Subject)", "Reaction ~ 1 + (1|Subject)"]


R_CODE = """
suppressMessages({library(glmmTMB); library(nlme)})
show <- function(...) cat(format(c(...), digits = 17), "\\n")
t <- read.csv(file("stdin"))
t$dose <- factor(t$dose, c("low", "mid", "high"))
t$site <- factor(t$site)
spread <- function(formula) show(VarCorr(suppressWarnings(glmmTMB(formula, t, REML = TRUE)))$cond[[1]])
spread(y ~ dose + diag(0 + dose | site))
spread(y ~ dose + cs(0 + dose | site))
spread(y ~ dose + ar1(0 + dose | site))
data(grouseticks, package = "lme4")
m <- glmmTMB(TICKS ~ YEAR + (1 | BROOD), grouseticks, nbinom2)
show(sigma(m), fixef(m)$cond, logLik(m))
df <- function(model) show(summary(model)$tTable[, "DF"])
df(lme(Reaction ~ Days, lme4::sleepstudy, ~ Days | Subject))
df(lme(yield ~ nitro * Variety, Oats, ~ 1 | Block / Variety))
"""


@pytest.fixture(scope="module")
def from_r(trials):
    """What R says of these models itself, in one run."""
    done = subprocess.run(["Rscript", "-e", R_CODE], input=trials.to_csv(), capture_output=True, text=True, check=True)
    rows = [np.array(line.split(), dtype=float) for line in done.stdout.splitlines()]
    return dict(zip(["diag", "cs", "ar1", "nbinom2", "sleepstudy", "Oats"], rows, strict=True))


@pytest.fixture(scope="module")
def cbpp(rdata):
    return rdata("lme4", "cbpp").assign(rest=lambda t: t["size"] - t["incidence"])


@pytest.fixture(scope="module")
def trials():
    """Subjects in sites, with weights and an offset."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"site": np.repeat(np.arange(6), 12), "subject": np.repeat(np.arange(24) % 4, 3)})
    table["x"], table["w"], table["o"] = rng.normal(size=72), rng.uniform(0.5, 2, 72), rng.normal(size=72)
    table["dose"] = pd.Categorical(np.tile(["low", "mid", "high"], 24), ["low", "mid", "high"])
    effect = rng.normal(size=6)[table["site"]] + rng.normal(size=24)[table["site"] * 4 + table["subject"]]
    return table.assign(y=1 + table["x"] + effect + rng.normal(size=72) / np.sqrt(table["w"]))


# ---- agreement -----------------------------------------------------------------------------------
@pytest.mark.parametrize("reference", ["nlme", "glmmTMB"])
@pytest.mark.parametrize(("formula", "estimator"), [(SLEEP[0], "reml"), (SLEEP[1], "reml"), (SLEEP[2], "ml")])
def test_linear_mixed_models_agree(rdata, formula, estimator, reference):
    check = fn.crosscheck(fn.fit(formula, rdata("lme4", "sleepstudy"), estimator=estimator), reference=reference)
    assert check.ok, check


@pytest.mark.parametrize("reference", ["nlme", "glmmTMB"])
@pytest.mark.parametrize("formula", ["y ~ x*dose + (1|site/subject)", "y ~ scale(x) + (x|site) + (1|site:subject)"])
def test_nested_groups_agree(trials, formula, reference):
    check = fn.crosscheck(fn.fit(formula, trials), reference=reference)
    assert check.ok, check


def test_weights_agree_with_nlme(trials):
    check = fn.crosscheck(fn.fit("y ~ x + (1|site/subject)", trials, weights="w"), reference="nlme")
    assert check.ok, check


def test_an_offset_agrees_with_glmmtmb(trials):
    check = fn.crosscheck(fn.fit("y ~ x + offset(o) + (1|site)", trials), reference="glmmTMB")
    assert check.ok, check


def test_crossed_groups_agree_with_glmmtmb(rdata):
    check = fn.crosscheck(
        fn.fit("diameter ~ 1 + (1|plate) + (1|sample)", rdata("lme4", "Penicillin")), reference="glmmTMB"
    )
    assert check.ok, check


def test_a_binomial_model_agrees_with_glmmtmb_closely(cbpp):
    fit = fn.fit("cbind(incidence, rest) ~ period + (1|herd)", cbpp, family="binomial")
    other = fn.fit("cbind(incidence, rest) ~ period + (1|herd)", cbpp, family="binomial", backend="glmmTMB")
    # both have exact derivatives, and stop where the likelihood changes by 1e-10 of itself
    assert np.allclose(fit.beta, other.beta, rtol=1e-5) and np.allclose(fit.se, other.se, rtol=1e-5)
    assert other.loglik == pytest.approx(fit.loglik, abs=1e-8)


def test_shares_with_trials_as_weights_agree_with_glmmtmb(cbpp):
    fit = fn.fit("incidence / size ~ period + (1|herd)", cbpp, weights="size", family="binomial")
    assert fn.crosscheck(fit, reference="glmmTMB").ok


def test_a_poisson_model_agrees_with_glmmtmb(rdata):
    fit = fn.fit("TICKS ~ YEAR + (1|BROOD)", rdata("lme4", "grouseticks"), family="poisson")
    check = fn.crosscheck(fit, reference="glmmTMB")
    assert check.ok, check


def test_standard_errors_that_mean_something_else_are_not_compared(trials):
    check = fn.crosscheck(fn.fit("y ~ x + (1|site)", trials), reference="glmmTMB")
    assert "standard errors" not in set(check.to_frame()["quantity"])
    assert "Standard errors are not compared: glmmTMB's hold the uncertainty of the variances too." in check.notes


def test_both_leave_the_choice_to_others():
    known = {b.name: b for b in installed().backends}
    assert known["nlme"].rank < known["lme4"].rank and known["glmmTMB"].rank < known["lme4"].rank


# ---- what only they have -------------------------------------------------------------------------
def test_an_overdispersed_count_keeps_its_theta(rdata, from_r):
    fit = fn.fit("TICKS ~ YEAR + (1|BROOD)", rdata("lme4", "grouseticks"), family="nbinom2", backend="glmmTMB")
    # of the optimiser's stop
    assert np.allclose([fit.request.family.theta, *fit.beta, fit.loglik], from_r["nbinom2"], rtol=1e-4)


@pytest.mark.parametrize("structure", ["diag", "cs", "ar1"])
def test_structures_of_glmmtmb_are_fitted(trials, from_r, structure):
    fit = fn.fit(f"y ~ dose + {structure}(0 + dose | site)", trials, backend="glmmTMB")
    theirs = from_r[structure].reshape(3, 3)
    assert np.allclose(fit.random[0].covariance, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())


@pytest.mark.parametrize(
    ("formula", "package", "name"),
    [
        ("Reaction ~ Days + (Days|Subject)", "lme4", "sleepstudy"),
        ("yield ~ nitro*Variety + (1|Block/Variety)", "nlme", "Oats"),
    ],
)
def test_degrees_of_freedom_are_lmes(rdata, from_r, formula, package, name):
    fit = fn.fit(formula, rdata(package, name), backend="nlme")
    assert np.array_equal(fit.tidy()["df"], from_r[name])
    assert np.array_equal(fit.tidy(df="containment")["df"], from_r[name])


def test_lme_knows_containment_alone(rdata):
    fit = fn.fit("Reaction ~ Days + (1|Subject)", rdata("lme4", "sleepstudy"), backend="nlme")
    with pytest.raises(ValueError, match="'satterthwaite' is not known to lme; there is containment"):
        fit.tidy(df="satterthwaite")


def test_an_aliased_coefficient_of_lme_stays_as_nan(rdata):
    table = rdata("lme4", "sleepstudy").assign(hours=lambda t: 24 * t["Days"])
    fit = fn.fit("Reaction ~ Days + hours + (1|Subject)", table, backend="nlme")
    assert fit.aliased == ("hours",) and fit.tidy()["df"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("backend", ["nlme", "glmmTMB"])
def test_a_fit_refits_another_response(rdata, backend):
    fit = fn.fit("Reaction ~ Days + (1|Subject)", rdata("lme4", "sleepstudy"), backend=backend)
    again = fit.engine.refit(fit.request.with_response(2 * fit.request.y + 1))
    assert np.allclose(again.beta, 2 * fit.beta + [1, 0], rtol=1e-5)  # of the optimiser's stop


# ---- what they refuse ----------------------------------------------------------------------------
def test_crossed_groups_are_refused_by_name(rdata):
    with pytest.raises(NoBackend, match="nested; sample and plate are crossed"):
        fn.fit("diameter ~ 1 + (1|plate) + (1|sample)", rdata("lme4", "Penicillin"), backend="nlme")


def test_an_offset_is_refused_by_name(trials):
    with pytest.raises(NoBackend, match="takes no offset; subtract it"):
        fn.fit("y ~ x + offset(o) + (1|site)", trials, backend="nlme")


def test_weights_that_glmmtmb_reads_otherwise_are_refused(trials):
    with pytest.raises(NoBackend, match="numbers of equal rows, which they are not for gaussian"):
        fn.fit("y ~ x + (1|site)", trials, weights="w", backend="glmmTMB")


def test_a_given_theta_is_refused(rdata):
    with pytest.raises(NoBackend, match="estimates theta; leave it out"):
        fn.fit("TICKS ~ 1 + (1|BROOD)", rdata("lme4", "grouseticks"), family="nbinom2(theta=2)", backend="glmmTMB")
