"""How many foci: the regression of totals against R's glm, and what quasi-Poisson and the sandwich make of it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import poisson

from formula_neuro.errors import FitError
from formula_neuro.foci.request import Located
from formula_neuro_cbmr import quasi, scale
from formula_neuro_cbmr.totals import poisson_level, robust, scores, small_sample

from .cbmr_totals_by_hand import table, totals

R_CODE = """
suppressMessages(library(jsonlite)); suppressMessages(library(sandwich))
d <- fromJSON(file("stdin")); d <- as.data.frame(d); d$group <- factor(d$group)
tight <- glm.control(epsilon = 1e-15, maxit = 100)
p <- glm(t ~ 0 + group + x + year + offset(offset), poisson, d, control = tight)
q <- glm(t ~ 0 + group + x + year + offset(offset), quasipoisson, d, control = tight)
cat(toJSON(list(coef = coef(p), vcov = vcov(p), loglik = c(logLik(p)), phi = summary(q)$dispersion, df = q$df.residual,
  robust = vcovCL(p, cluster = d$study, type = "HC0", cadjust = TRUE)), digits = NA))
"""


@pytest.fixture(scope="module")
def r():
    given = json.dumps({name: values.tolist() for name, values in table(1).items()})
    done = subprocess.run(["Rscript", "-e", R_CODE], input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return {name: np.array(values).squeeze() for name, values in json.loads(done.stdout).items()}


@pytest.mark.r
def test_coefficients_are_those_of_glm(r):
    level = poisson_level(totals(table(1)))
    se = np.sqrt(np.diagonal(r["vcov"]))
    np.testing.assert_allclose(level.theta / se, r["coef"] / se, rtol=0, atol=1e-7)  # a year beside an intercept: 1e7


@pytest.mark.r
def test_covariance_is_that_of_glm(r):
    level = poisson_level(totals(table(1)))
    np.testing.assert_allclose(level.fisher, r["vcov"], rtol=1e-7)


@pytest.mark.r
def test_loglikelihood_with_its_constant_is_that_of_glm(r):
    d = table(1)
    assert np.isclose(poisson_level(totals(d)).loglik - gammaln(d["t"] + 1).sum(), r["loglik"], rtol=1e-12)


@pytest.mark.r
def test_dispersion_is_that_of_quasipoisson(r):
    d = table(1)
    found = quasi.dispersion(d["t"], poisson_level(totals(d)).means, 4)
    assert found.df == r["df"]
    assert np.isclose(found.phi, r["phi"], rtol=1e-9)


@pytest.mark.r
def test_sandwich_over_studies_is_that_of_the_package_sandwich(r):
    one = totals(table(1))
    np.testing.assert_allclose(robust(one, poisson_level(one)), r["robust"], rtol=1e-6)  # of variances near 1e4


def test_fitted_totals_of_a_group_are_its_observed_ones():
    d = table(2)
    level = poisson_level(totals(d))
    for g in (0, 1):  # up to the rounding of a hundred numbers near 10
        assert np.isclose(level.means[d["group"] == g].sum(), d["t"][d["group"] == g].sum(), rtol=1e-11)


def test_scores_sum_to_nothing_over_studies():
    one = totals(table(3))
    u = scores(one, poisson_level(one))
    np.testing.assert_allclose(u.sum(axis=0) / np.abs(u).sum(axis=0), 0, atol=1e-9)  # of numbers near 2,000 x 10


def test_sandwich_ignores_how_studies_are_numbered():
    d = table(4)
    one, other = totals(d), totals({**d, "study": d["study"].max() - d["study"]})
    np.testing.assert_allclose(robust(one, poisson_level(one)), robust(other, poisson_level(other)), rtol=1e-9)


def test_a_group_without_foci_is_named():
    d = table(5)
    with pytest.raises(FitError, match=r"a \(-infinity\)"):
        poisson_level(totals({**d, "t": np.where(d["group"] == 0, 0.0, d["t"])}))


def test_columns_that_depend_on_each_other_are_named():
    d = table(5)
    with pytest.raises(FitError, match="cannot tell year from the columns before"):
        poisson_level(totals({**d, "year": 2 * d["x"] + d["group"]}))


def test_one_study_has_no_sandwich():
    with pytest.raises(FitError, match="two of them at least"):
        small_sample(1)


def test_dispersion_needs_a_degree_of_freedom():
    with pytest.raises(FitError, match="4 analyses, 4 columns"):
        quasi.dispersion(np.ones(4), np.ones(4), 4)


@pytest.mark.parametrize(("phi", "words"), [(4.0, "2 times too small"), (0.1, "fixed by design"), (1.2, None)])
def test_what_is_said_of_the_dispersion(phi, words):
    said = quasi.about(quasi.Dispersion(phi, 20))
    assert said == () if words is None else words in said[0]


def test_factorials_count_foci_of_one_analysis_in_one_voxel():
    rng = np.random.default_rng(6)
    y = rng.poisson(0.7, (5, 8))
    analysis, voxel = (np.repeat(index, y.ravel()) for index in np.indices(y.shape).reshape(2, -1))
    located = Located(np.zeros((len(voxel), 3)), voxel, analysis)
    assert np.isclose(scale.log_factorials(located, 8), gammaln(y + 1).sum())


def test_places_and_level_add_up_to_the_likelihood_of_all_counts():
    d = table(7)
    one = totals(d)
    level = poisson_level(one)
    rng = np.random.default_rng(7)
    pi = rng.dirichlet(np.ones(6), 2)[d["group"]]
    y = np.array([rng.multinomial(int(t), p) for t, p in zip(d["t"], pi, strict=True)])
    whole = poisson.logpmf(y, level.means[:, None] * pi).sum()
    assert np.isclose((y * np.log(pi)).sum() + level.loglik - gammaln(y + 1).sum(), whole, rtol=1e-12)


def test_moderators_do_not_depend_on_the_unit_of_the_offset():
    d = table(9)
    one, other = totals(d), replace(totals(d), offset=d["offset"] + 5.0)
    np.testing.assert_allclose(poisson_level(one).gamma, poisson_level(other).gamma, rtol=1e-9)
