"""Totals whose analyses, or studies, share a gamma frailty, against glmmTMB and an independent maximiser."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import nbinom

from formula_neuro.foci.inference.dispersion import edge_logp, edge_p
from formula_neuro_cbmr import frailty
from formula_neuro_cbmr.clustered import clustered_level
from formula_neuro_cbmr.dispersion import of_totals
from formula_neuro_cbmr.frailty import Counts
from formula_neuro_cbmr.totals import Totals, frailty_units, poisson_level

from .cbmr_totals_by_hand import table, totals

R_CODE = """
suppressMessages(library(jsonlite)); suppressMessages(library(glmmTMB))
d <- fromJSON(file("stdin")); d <- as.data.frame(d); d$group <- factor(d$group); d$year <- d$year - 2010
m <- glmmTMB(t ~ 0 + group + x + year + offset(offset), dispformula = ~ 0 + group, family = nbinom2, data = d)
cat(toJSON(list(coef = fixef(m)$cond, se = sqrt(diag(vcov(m, full = TRUE))), theta = fixef(m)$disp,
  loglik = c(logLik(m))), digits = NA))
"""


def centred(d):
    return {**d, "year": d["year"] - 2010}


@pytest.fixture(scope="module")
def r():
    given = json.dumps({name: values.tolist() for name, values in table(1).items()})
    done = subprocess.run(["Rscript", "-e", R_CODE], input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {name: np.array(values).squeeze() for name, values in json.loads(done.stdout).items()}


@pytest.mark.r
def test_estimates_are_those_of_glmmtmb(r):
    level = clustered_level(totals(centred(table(1))))
    se = r["se"][:4]
    np.testing.assert_allclose(level.theta / se, r["coef"] / se, rtol=0, atol=1e-3)  # where nlminb stops
    np.testing.assert_allclose(np.log(level.alpha), -r["theta"], rtol=0, atol=1e-3)


@pytest.mark.r
def test_likelihood_is_that_of_glmmtmb_or_better(r):
    from scipy.special import gammaln

    d = table(1)
    ours = clustered_level(totals(centred(d))).loglik - gammaln(d["t"] + 1).sum()
    assert np.isclose(ours, r["loglik"], rtol=1e-8)
    assert ours > r["loglik"] - 1e-9


@pytest.mark.r
def test_standard_errors_are_those_of_glmmtmb(r):
    level = clustered_level(totals(centred(table(1))))
    ours = np.r_[np.sqrt(np.diagonal(level.observed)), level.alpha_se]
    np.testing.assert_allclose(ours, r["se"], rtol=2e-3)  # glmmTMB differentiates its gradient numerically


# ---- the frailty ---------------------------------------------------------------------------------
T, L = np.array([0.0, 1, 5, 40]), np.array([0.5, 3, 4, 20.0])


@pytest.mark.parametrize("alpha", [1e-3, 0.004, 0.006, 0.3, 5.0])
def test_loglikelihood_is_the_negative_binomials(alpha):
    from scipy.special import gammaln

    ours = frailty.loglik(Counts(T), L, np.full(4, alpha)) + T * np.log(L) - gammaln(T + 1)
    np.testing.assert_allclose(ours, nbinom.logpmf(T, 1 / alpha, 1 / (1 + alpha * L)), rtol=0, atol=1e-11)


@pytest.mark.parametrize("alpha", [0.0, 1e-9, 1e-3, 0.004, 0.006, 0.3, 5.0])
def test_derivatives_are_those_of_differences(alpha):
    at, counts = np.full(4, alpha), Counts(T)
    h = 1e-5 * max(alpha, 0.1)

    def difference(f, by_mean=False):  # one-sided to the second order, as alpha may be 0
        steps = [(at, L + k * h) if by_mean else (at + k * h, L) for k in range(3)]
        low, middle, high = (f(counts, means, a) for a, means in steps)
        return (-3 * low + 4 * middle - high) / (2 * h)

    close = {"rtol": 2e-4, "atol": 2e-4}  # h^2 times third derivatives, and the rounding of l over h
    np.testing.assert_allclose(frailty.slope(counts, L, at), difference(frailty.loglik), **close)
    np.testing.assert_allclose(frailty.curvature(counts, L, at), difference(frailty.slope), **close)
    np.testing.assert_allclose(frailty.cross(counts, L, at), difference(frailty.slope, by_mean=True), **close)


def test_an_alpha_near_0_gives_poisson():
    near, zero = (frailty.loglik(Counts(T), L, np.full(4, alpha)) for alpha in (1e-12, 0.0))
    np.testing.assert_allclose(near, zero, rtol=0, atol=1e-9)  # alpha times t^2


# ---- the fit -------------------------------------------------------------------------------------
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("seed", [11, 12])
def test_nothing_near_the_estimate_is_likelier(shared, seed):
    one = totals(centred(table(seed)), shared)
    level = clustered_level(one)

    def negative(theta):
        means = one.by_unit(np.exp(one.columns @ theta[:4] + one.offset))
        eta = one.columns @ theta[:4] + one.offset
        return -(
            frailty.loglik(Counts(one.by_unit(one.t)), means, np.exp(theta[4:])[one.unit_group]).sum() + one.t @ eta
        )

    found = minimize(negative, np.r_[level.theta, np.log(level.alpha)] + 0.05, method="BFGS")
    assert level.converged
    assert level.loglik >= -found.fun - 1e-9
    np.testing.assert_allclose(np.r_[level.theta, np.log(level.alpha)], found.x, atol=2e-4)  # where BFGS stops


def test_observed_covariance_is_that_of_numerical_second_differences():
    one = totals(centred(table(13)), shared=True)
    level = clustered_level(one)
    at, h = np.r_[level.theta, np.log(level.alpha)], 1e-4
    scale = np.r_[np.ones(3), 0.1, np.ones(2)]  # years are of the size of 10

    def value(theta):
        eta = one.columns @ theta[:4] + one.offset
        means = one.by_unit(np.exp(eta))
        return frailty.loglik(Counts(one.by_unit(one.t)), means, np.exp(theta[4:])[one.unit_group]).sum() + one.t @ eta

    H = np.empty((6, 6))
    e = np.diag(scale * h)
    for i in range(6):
        for j in range(6):
            signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
            terms = [a * b * value(at + a * e[i] + b * e[j]) for a, b in signs]
            H[i, j] = sum(terms) / (4 * h * h * scale[i] * scale[j])
    V = np.linalg.inv(-H)
    np.testing.assert_allclose(np.diagonal(level.observed), np.diagonal(V)[:4], rtol=1e-3)  # h^2, rounding over h^2
    np.testing.assert_allclose(level.alpha_se, np.sqrt(np.diagonal(V)[4:]), rtol=1e-3)


def test_totals_of_poisson_or_less_end_at_alpha_0_and_say_so():
    d = table(14, alpha=0.0)
    even = {**d, "t": np.round(np.exp(2 + 0.3 * d["group"] + 0.2 * d["x"] + d["offset"]))}
    level, plain = clustered_level(totals(even)), poisson_level(totals(even))
    np.testing.assert_array_equal(level.alpha, 0.0)
    assert "alpha is 0 in a, b" in level.messages[0]
    np.testing.assert_allclose(level.theta, plain.theta, rtol=1e-9)
    np.testing.assert_allclose(level.fisher, plain.fisher, rtol=1e-9)
    assert np.isclose(level.loglik, plain.loglik, rtol=1e-13)


def test_totals_that_vary_exactly_as_poissons_end_at_alpha_0():
    t, group = np.array([2.0, 6.0, 1.0, 9.0, 30.0]), np.array([0, 0, 1, 1, 1])
    Z, number = np.empty((5, 0)), np.arange(5)
    level = clustered_level(Totals(t, group, Z, np.log(np.array([3.0, 3.0, 1, 1, 1])), number, number, ("a", "b")))
    assert level.alpha[0] == 0 and level.dispersions == 1
    assert frailty.best(Counts(t[:2]), np.array([4.0, 4.0])) == 0


def test_one_group_may_be_overdispersed_and_the_other_not():
    d = table(15)
    even = np.round(np.exp(2 + 0.3 * d["group"] + 0.2 * d["x"] + d["offset"]))
    level = clustered_level(totals(centred({**d, "t": np.where(d["group"] == 0, even, d["t"])})))
    assert level.alpha[0] == 0.0
    assert level.alpha[1] > 0.3
    assert np.isnan(level.alpha_se[0])
    assert level.dispersions == 1


def test_analyses_of_a_study_in_one_group_share_a_frailty_by_their_sums():
    """Without covariates, units of two analyses are one analysis of twice the exposure."""
    rng = np.random.default_rng(16)
    K = 40
    pairs = rng.poisson(8 * rng.gamma(2, 0.5, K)[:, None], (K, 2)).astype(float)
    study, none = np.repeat(np.arange(K), 2), np.zeros(2 * K, dtype=np.intp)
    both = Totals(pairs.ravel(), none, np.empty((2 * K, 0)), np.zeros(2 * K), study, study, ("a",))
    sums = Totals(pairs.sum(axis=1), none[:K], np.empty((K, 0)), np.full(K, np.log(2)), study[::2], study[::2], ("a",))
    one, other = clustered_level(both), clustered_level(sums)
    np.testing.assert_allclose(one.theta, other.theta, rtol=1e-9)
    np.testing.assert_allclose(one.alpha, other.alpha, rtol=1e-7)
    np.testing.assert_allclose(one.observed, other.observed, rtol=1e-6)


def test_a_study_in_two_groups_has_a_unit_in_each():
    unit = frailty_units(np.array([0, 1, 0, 1]), np.array([0, 0, 0, 1]), shared=True)
    assert unit[0] == unit[2]
    assert len(set(unit.tolist())) == 3


def test_frailties_of_studies_are_likelier_than_of_analyses_where_studies_share_them():
    d = centred(table(17, studies=80, each=4))
    assert clustered_level(totals(d, shared=True)).loglik > clustered_level(totals(d)).loglik + 10


# ---- whether alpha is 0 --------------------------------------------------------------------------
def test_likelihood_ratio_test_halves_the_p_value():
    from scipy.stats import chi2

    one = totals(centred(table(18, studies=25, alpha=0.15)))
    level = clustered_level(one)
    found = of_totals(one, level)
    for g in (0, 1):
        without = clustered_level(one, poisson=np.arange(2) == g)
        statistic = 2 * (level.loglik - without.loglik)
        assert np.isclose(found.statistic[g], statistic, rtol=1e-9)
        assert np.isclose(edge_p(found.statistic)[g], chi2.sf(statistic, 1) / 2)


def test_test_of_alpha_keeps_its_size_under_poisson():
    rejected = 0
    for seed in range(60):
        one = totals(centred(table(1000 + seed, studies=40, alpha=0.0, each=1)))
        rejected += int((edge_p(of_totals(one, clustered_level(one)).statistic) < 0.05).sum())
    assert rejected <= 12  # of 120: binomial(120, .05) exceeds it with probability .01; at .1 it would by half


def test_logp_of_alpha_goes_on_where_p_underflows():
    statistic = np.array([0.0, 4.0, 5000.0])
    p, logp = edge_p(statistic), edge_logp(statistic)
    np.testing.assert_allclose(logp[:2], -np.log10(p[:2]), rtol=1e-12)
    assert p[2] == 0.0
    assert 1080 < logp[2] < 1095  # of the order of statistic / (2 log 10)
