"""Covariances of maps and moderators beside the dense information and sandwich, and what inference builds on."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from formula_neuro.errors import DataError
from formula_neuro_cbmr.joint import joint
from formula_neuro_cbmr.joint_engine import JointEngine
from formula_neuro_cbmr.smoothed_joint import joint_maps

sys.path.insert(0, str(Path(__file__).parent))
from cbmr_small import beside, fitted, tables

MODELS = {
    "cells": ("foci ~ s(group) + x", {}),
    "differences": ("foci ~ s(1) + s(group) + x", {}),
    "smoothed cells": ("foci ~ s(group) + x", {"smooth": 2.0}),
    "a number": ("foci ~ s(x) + scale(n)", {}),
    "a smoothed number": ("foci ~ s(x) + scale(n)", {"smooth": 2.0}),
    "nimare": ("foci ~ s(group) + x", {"basis": "nimare"}),
    "no moderators": ("foci ~ s(group)", {"snap": "voxel"}),
}
R = np.array([[1.0, 0.0], [1.0, -1.0], [0.3, 2.0]])
CLOSE = {"rtol": 1e-7, "atol": 1e-10}  # ill-conditioned information: 1e-16 times 1e6 or so


@cache
def both(name: str):
    formula, splines = MODELS[name]
    c = fitted(formula, **splines)
    weights = None
    if "number" in name or "differences" in name:
        patterns = c.engine.problem.patterns
        weights = patterns.T @ patterns * patterns.shape[1] / len(patterns)
    return c, beside(c, weights)


def dense_covariance(d, kind: str) -> np.ndarray:
    return d.robust() if kind == "robust" else d.inverse


@pytest.mark.parametrize("what", ["intensity", "shape"])
@pytest.mark.parametrize("kind", ["fisher", "observed", "robust"])
@pytest.mark.parametrize("name", MODELS)
def test_variances_of_maps_are_those_of_the_dense_fit(name, kind, what):
    c, d = both(name)
    expected = d.variance(R, dense_covariance(d, kind), what)
    assert np.allclose(c.engine.variance(R, kind, what), expected, **CLOSE)


@pytest.mark.parametrize("kind", ["fisher", "observed", "robust"])
@pytest.mark.parametrize("name", [name for name in MODELS if name != "no moderators"])
def test_covariances_of_moderators_are_those_of_the_dense_fit(name, kind):
    c, d = both(name)
    expected = dense_covariance(d, kind)[d.b.size :, d.b.size :]
    assert np.allclose(c.engine.moderator_covariance(kind), expected, **CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_scores_of_studies_are_those_of_the_dense_fit(name):
    c, d = both(name)
    expected = d.scores(c.request.cluster)
    assert np.allclose(c.engine.scores(), expected, atol=1e-6)  # of sums of tens of foci


@pytest.mark.parametrize("name", MODELS)
def test_scores_may_be_summed_by_other_numbers(name):
    c, d = both(name)
    each = np.arange(len(c.request.L))
    assert np.allclose(c.engine.scores(each), d.scores(each), atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_solving_is_by_the_dense_information(name):
    c, d = both(name)
    right = np.random.default_rng(0).normal(size=(len(d.found.A), 3))
    assert np.allclose(c.engine.solve(right), d.inverse @ right, rtol=1e-5, atol=1e-8)


def test_unpenalised_scores_sum_to_zero():
    c, _ = both("cells")
    assert np.abs(c.engine.scores().sum(axis=0)).max() < 1e-7


def test_robust_variances_are_the_squares_of_the_studies_influences():
    c, _ = both("a number")
    L = c.engine.expand(c.engine.influence(np.array([1.0, -1.0])).T)
    K = len(L)
    found = c.engine.variance(np.array([[1.0, -1.0]]), "robust")[:, 0, 0]
    assert np.allclose(found, K / (K - 1) * (L**2).sum(axis=0), rtol=1e-10)


def test_a_joint_engine_agrees_where_the_likelihood_splits():
    c, _ = both("smoothed cells")
    maps = joint_maps(joint(c.engine.problem))
    other = JointEngine(maps.model, maps.found)
    for kind in ("fisher", "robust"):
        for what in ("intensity", "shape"):
            assert np.allclose(other.variance(R, kind, what), c.engine.variance(R, kind, what), **CLOSE)
    assert np.allclose(other.scores(), c.engine.scores(), atol=1e-6)


def test_a_shared_moderator_correlates_the_groups():
    c, _ = both("cells")
    crossed = c.engine.variance(np.eye(2), "fisher")[:, 0, 1]
    alone = fitted("foci ~ s(group)").engine.variance(np.eye(2), "fisher")[:, 0, 1]
    assert (crossed != 0).all() and not alone.any()


def test_levels_of_a_clustered_fit_widen_intensities_and_not_shapes():
    foci, studies = tables(seed=2)
    extra = foci[foci.study.isin(studies.study[:6])]
    data = (pd.concat([foci, extra.assign(x=extra.x + 0.1)], ignore_index=True), studies)
    a, b = (fitted("foci ~ s(group)", data=data, family=f) for f in ("poisson", "clustered_negative_binomial"))
    assert max(b.alpha.values()) > 0
    for what, wider in (("intensity", True), ("shape", False)):
        ratio = (
            b.engine.variance(np.eye(2), "fisher", what)[:, 0, 0]
            / a.engine.variance(np.eye(2), "fisher", what)[:, 0, 0]
        )
        assert (ratio > 1.0001).all() == wider
    assert np.allclose(ratio, 1)


def test_an_unknown_covariance_is_refused_by_name():
    c, _ = both("cells")
    with pytest.raises(DataError, match=r"vcov='hc3' is not known; there are fisher, observed, robust"):
        c.engine.variance(np.eye(2), "hc3")


def test_a_predicted_total_of_a_cell_of_one_study_has_no_standard_error_over_studies():
    foci, studies = tables()
    studies["group"] = np.where(studies["study"] == "s01", "alone", "all")
    c = fitted("foci ~ s(group)", data=(foci, studies), smooth=1.0)
    assert (c.predict()["log_se"].isna() == (studies["group"] == "alone")).all()
    assert c.predict(vcov="fisher")["log_se"].notna().all()
