"""What must not matter to a voxel: blocks, equal rows, nodes in place of subjects, units of a covariate."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import ndtr

from formula_neuro.errors import DataError
from formula_neuro.estimator import as_estimator
from formula_neuro.family import as_family
from formula_neuro_glm.voxels import compress
from formula_neuro_glm.voxels.problem import Problem

NUMBERS = ["coef", "se", "covariance", "loglik", "deviance"]


def problem(X: np.ndarray, family: str = "binomial(probit)", estimator: str = "mean_br", **options: object) -> Problem:
    return Problem.of(X, as_family(family), as_estimator(estimator), **options)


def subjects(n: int = 300, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([np.ones(n), rng.uniform(40, 80, n), rng.integers(0, 2, n)])


def lesions(X: np.ndarray, voxels: int = 8, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    eta = np.linspace(-0.5, -2.3, voxels)[:, None] + 0.03 * (X[:, 1] - 60)
    return (rng.random((voxels, len(X))) < ndtr(eta)).astype(np.uint8)


def same(one: dict, other: dict, tolerance: float) -> None:
    for name in NUMBERS:
        np.testing.assert_allclose(one[name], other[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("estimator", ["ml", "mean_br"])
def test_a_block_equals_its_parts(estimator):
    X = subjects()
    Y = lesions(X, 9)
    p = pickle.loads(pickle.dumps(problem(X, estimator=estimator)))
    whole, parts = p.fit(Y), [p.fit(Y[:2]), p.fit(Y[2:])]
    for name, values in whole.items():
        joined = np.concatenate([part[name] for part in parts])
        np.testing.assert_allclose(joined, values, rtol=1e-12, atol=1e-12, err_msg=name)  # rounding of other products


@pytest.mark.parametrize("estimator", ["ml", "mean_br", "median_br", "jeffreys"])
@pytest.mark.parametrize("link", ["probit", "logit", "cloglog"])
def test_nodes_stand_for_the_rows_of_one_covariate(link, estimator, monkeypatch):
    X = subjects()[:, :2]
    Y = lesions(X)
    p = problem(X, f"binomial({link})", estimator)
    assert not compress.compressed(p.rows).exact
    with_nodes = p.fit(Y)
    monkeypatch.setattr(compress, "MANY", 1000)
    assert compress.compressed(p.rows).exact
    same(with_nodes, p.fit(Y), 1e-8)  # the search ends within 1e-10 standard errors, the nodes within 1e-10 of the sums


def test_a_slope_beyond_the_nodes_takes_all_rows():
    X = subjects()[:, :2]
    X[:, 1] = (X[:, 1] - 60) / 10
    Y = (np.random.default_rng(0).random((3, len(X))) < ndtr(6 * X[:, 1])).astype(np.uint8)
    p = problem(X)
    answer = p.fit(Y)
    assert (np.abs(answer["coef"][:, 1]) > 3).all() and answer["converged"].all()
    assert not compress.compressed(p.rows).near(answer["coef"] @ p.rows.R.T).any()


def test_equal_rows_are_one_of_many_trials(monkeypatch):
    X = subjects()
    X[:, 1] = X[:, 1].round(-1)
    Y = lesions(X)
    p = problem(X)
    assert len(compress.plain(p.rows).Q) == 10
    together = p.fit(Y)
    monkeypatch.setattr(compress, "WORTH", 0.0)
    assert len(compress.plain(p.rows).Q) == len(X)
    same(together, p.fit(Y), 1e-8)


def test_whole_weights_are_repeated_subjects():
    X = subjects(80)
    Y, w = lesions(X), np.arange(80) % 3
    again = np.repeat(np.arange(80), w)
    same(problem(X, weights=w).fit(Y), problem(X[again]).fit(Y[:, again]), 1e-8)


def test_units_and_origins_of_a_covariate_do_not_matter():
    X = subjects()
    Y = lesions(X)
    moved = X * [1, 1e-3, 1] + [0, 5e3, 0]
    one, other = problem(X).fit(Y), problem(moved).fit(Y)
    # 5000 beside a spread of 0.01 leaves ten digits of the covariate
    np.testing.assert_allclose(other["coef"][:, 1] * 1e-3, one["coef"][:, 1], rtol=1e-6)
    np.testing.assert_allclose(other["se"][:, 1] * 1e-3, one["se"][:, 1], rtol=1e-6)


def test_an_aliased_column_is_nan_and_changes_nothing():
    X = subjects()
    Y = lesions(X)
    one, other = problem(X).fit(Y), problem(np.column_stack([X[:, :2], X[:, 1] * 2, X[:, 2]])).fit(Y)
    assert np.isnan(other["coef"][:, 2]).all() and np.isnan(other["se"][:, 2]).all()
    np.testing.assert_allclose(other["coef"][:, [0, 1, 3]], one["coef"], rtol=1e-9)
    assert np.isnan(other["covariance"]).sum(axis=1).tolist() == [4] * len(Y)


def test_voxels_of_one_pattern_have_one_answer():
    X = subjects()
    Y = lesions(X, 2)[[0, 1, 0, 0, 1]]
    answer = problem(X).fit(Y)
    assert (answer["coef"][[0, 0, 1]] == answer["coef"][[2, 3, 4]]).all()


def test_a_level_without_events_has_an_infinite_coefficient_and_the_others_their_limits():
    X = subjects()
    Y = lesions(X)
    Y[:, X[:, 2] == 1] = 0
    answer = problem(X, estimator="ml").fit(Y)
    men = X[:, 2] == 0
    alone = problem(X[men][:, :2], estimator="ml").fit(Y[:, men])
    assert (answer["class"] == 1).all() and not answer["converged"].any()
    assert (answer["separated"] == [0, 0, -1]).all()
    assert np.isneginf(answer["coef"][:, 2]).all() and np.isposinf(answer["se"][:, 2]).all()
    np.testing.assert_allclose(answer["coef"][:, :2], alone["coef"], rtol=1e-8)
    np.testing.assert_allclose(answer["se"][:, :2], alone["se"], rtol=1e-8)
    np.testing.assert_allclose(answer["loglik"], alone["loglik"], rtol=1e-10)


def test_constant_voxels_are_fitted_by_bias_reduction_alone():
    X = subjects()
    Y = np.stack([np.zeros(len(X)), np.ones(len(X))]).astype(np.uint8)
    ml, reduced = problem(X, estimator="ml").fit(Y), problem(X).fit(Y)
    assert ml["class"].tolist() == reduced["class"].tolist() == [3, 4]
    assert np.isnan(ml["coef"]).all() and not ml["converged"].any()
    assert reduced["converged"].all() and (reduced["coef"][0] * reduced["coef"][1] < 0).all()


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(DataError, match="cuda:77"):
        problem(subjects(), device="cuda:77")
