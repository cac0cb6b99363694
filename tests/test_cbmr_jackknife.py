"""Covariances of moderators by leaving out studies, against leaving them out."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from formula_neuro.family import as_foci_family
from formula_neuro_cbmr.clustered import clustered_level
from formula_neuro_cbmr.clustered_fitting import clustered_fit
from formula_neuro_cbmr.fitting import fit
from formula_neuro_cbmr.jackknife import jackknife, of_level
from formula_neuro_cbmr.problem import problem
from formula_neuro_cbmr.totals import poisson_level, robust

from .cbmr_totals_by_hand import table, totals
from .test_cbmr_clustered_maps import ESTIMATORS, asked


def test_each_study_moves_the_estimate_by_one_newton_step_of_the_fit_without_it():
    one = totals(table(21, studies=20))
    level = poisson_level(one)
    D, r = one.columns, len(one.names)
    moved = np.empty((20, r))
    for k in range(20):
        rest = one.study != k
        information = D[rest].T @ (level.means[rest, None] * D[rest])
        moved[k] = np.linalg.solve(information, D[rest].T @ (one.t - level.means)[rest])
    V = 19 / 20 * moved.T @ moved
    scale = np.sqrt(np.diagonal(V))
    np.testing.assert_allclose(
        jackknife(of_level(one, level)) / np.outer(scale, scale), V / np.outer(scale, scale), atol=1e-7
    )


def test_it_nears_that_of_refits_without_each_study():
    d = table(22, studies=60, alpha=0.3)
    one = totals({**d, "year": d["year"] - 2010})
    level = poisson_level(one)
    refits = []
    for k in range(60):
        rest = one.study != k
        part = replace(one, t=one.t[rest], group=one.group[rest], Z=one.Z[rest], offset=one.offset[rest],
                       study=one.study[rest], unit=np.arange(rest.sum()))  # fmt: skip
        refits.append(poisson_level(part).theta)
    moved = np.array(refits) - level.theta
    ours = jackknife(of_level(one, level))
    np.testing.assert_allclose(np.diagonal(ours), np.diagonal(59 / 60 * moved.T @ moved), rtol=0.15)  # second order


@pytest.mark.parametrize("find", [poisson_level, clustered_level])
def test_it_is_larger_than_the_sandwich(find):
    d = table(23, studies=25)
    one = totals({**d, "year": d["year"] - 2010}, shared=find is clustered_level)
    level = find(one)
    assert (np.diagonal(jackknife(of_level(one, level))) > np.diagonal(robust(one, level))).all()


def test_with_many_studies_it_is_the_sandwich():
    d = table(24, studies=3000)
    one = totals({**d, "year": d["year"] - 2010})
    level = poisson_level(one)
    ratio = np.diagonal(jackknife(of_level(one, level))) / np.diagonal(robust(one, level))
    np.testing.assert_allclose(ratio, 1, atol=0.01)  # leverages of 4 columns over 3,000 studies


def test_a_group_of_one_study_leaves_moderators_finite():
    d = table(25, studies=30)
    group = (d["study"] == 3).astype(int)
    one = totals({**d, "group": group, "year": d["year"] - 2010})
    V = jackknife(of_level(one, poisson_level(one)))
    assert np.isfinite(V).all()
    assert (np.diagonal(V)[2:] > 0).all()


@pytest.mark.parametrize("family", ["poisson", "clustered_negative_binomial"])
def test_tidy_takes_it_where_studies_have_several_analyses(family):
    one = fit(replace(asked(ESTIMATORS["analysis"]), family=as_foci_family(family)))
    default, named = one.tidy(), one.tidy(vcov="jackknife")
    np.testing.assert_array_equal(default.std_error, named.std_error)
    assert (default.df == one.n_studies - 3).all()


@pytest.mark.parametrize("name", ["analysis", "study"])
def test_both_searches_give_the_same(name):
    given = asked(ESTIMATORS[name])
    split, joint = fit(given), clustered_fit(problem(given), time.perf_counter())
    np.testing.assert_allclose(joint.engine.jackknife(), split.engine.jackknife(), rtol=1e-6)
