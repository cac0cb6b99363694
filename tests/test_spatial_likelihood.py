"""The probit likelihood of masks at nodes beside that of all rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from formula_neuro_spatial.likelihood import Likelihood
from formula_neuro_spatial.nodes import Nodes
from formula_neuro_spatial.rows import Rows

V, N = 300, 300


def design(kind: str, n: int = N) -> Rows:
    rng = np.random.default_rng(1)
    age, sex = rng.uniform(40, 80, n), rng.integers(0, 2, n)
    columns = {
        "age": [age],
        "age + sex": [age, sex],
        "age * sex": [age, sex, age * sex],
        "poly(age, 2)": [age, age**2],
        "offset": [age],
    }[kind]
    offset = 0.3 * np.sin(age) if kind == "offset" else np.zeros(n)
    matrix = np.column_stack([np.ones(n), *columns])
    return Rows.of(matrix, offset, [str(j) for j in range(matrix.shape[1])])


def both(kind: str, steep: float = 0.3) -> tuple[Likelihood, Likelihood, np.ndarray]:
    """At nodes and at all rows, with coefficients."""
    rng, rows = np.random.default_rng(2), design(kind)
    b = rng.uniform(-steep, steep, (V, rows.shape[1]))
    b[:, 0] = rng.uniform(-5, 2, V)
    eta = b @ rows.X[rows.group].T + rows.offset[rows.group]
    Y = (eta + rng.standard_normal(eta.shape) > 0).astype(np.uint8)
    return Likelihood.of(rows, lambda f, l: Y[f:l], V), Likelihood(rows, lambda f, l: Y[f:l], V), b


@pytest.mark.parametrize("kind", ["age", "age + sex", "age * sex", "poly(age, 2)", "offset"])
def test_nodes_give_the_sums_over_all_rows(kind) -> None:
    few, all_, b = both(kind)
    one, two = few.derivatives(b), all_.derivatives(b)
    size = np.abs(two.A).max(axis=(1, 2)) + 1e-3 * N  # of a voxel's sums; where nothing is known, of TINY for each row
    assert few.nodes is not None and len(few.nodes.X) <= N / 2
    assert np.allclose(one.loglik, two.loglik, rtol=1e-10, atol=1e-10)
    assert (np.abs(one.gradient - two.gradient).max(axis=1) / size).max() < 1e-10
    assert (np.abs(one.A - two.A).max(axis=(1, 2)) / size).max() < 1e-9  # a curvature is a degree of x further
    assert np.allclose(few.loglik(b), one.loglik, rtol=1e-12)


def test_expectations_at_nodes_are_those_of_all_rows() -> None:
    few, all_, b = both("age")
    covariance = np.broadcast_to([[0.3, 0.1], [0.1, 0.2]], (V, 2, 2))
    assert np.allclose(few.incidence(b, covariance), all_.incidence(b, covariance), rtol=0, atol=1e-9)
    one, two = few.expected(b, covariance), all_.expected(b, covariance)
    # a deviation of eta that differs from row to row takes the nodes a little further
    assert np.allclose(one.loglik, two.loglik, rtol=1e-8) and np.allclose(one.A, two.A, rtol=1e-7, atol=1e-7)


def test_expectations_over_wide_distributions_take_all_rows() -> None:
    few, all_, b = both("age")
    covariance = np.random.default_rng(4).uniform(0, 3, V)[:, None, None] * np.array([[1.0, 0.3], [0.3, 1.0]])
    assert np.allclose(few.incidence(b, covariance), all_.incidence(b, covariance), rtol=0, atol=1e-8)
    one, two = few.expected(b, covariance), all_.expected(b, covariance)
    # errors in deviations of the gradient: 1e-8 where nodes do, 1e-2 where they would be asked too much
    sd = np.sqrt(np.diagonal(two.A, axis1=1, axis2=2))
    assert (np.abs(one.gradient - two.gradient) / sd).max() < 1e-6


def test_voxels_beyond_the_reach_of_nodes_take_all_rows() -> None:
    few, all_, b = both("age", steep=4.0)
    one, two = few.derivatives(b), all_.derivatives(b)
    far = np.ptp(b @ few.rows.X.T, axis=1) > 4.2
    assert 0.3 < far.mean() < 0.9
    assert np.allclose(one.gradient[far], two.gradient[far], rtol=1e-13, atol=1e-13)
    assert np.allclose(one.gradient, two.gradient, rtol=1e-8, atol=1e-9)


def test_nodes_that_would_be_no_fewer_are_left_out() -> None:
    assert Nodes.of(design("age", 40)) is None
    rows = Rows.of(np.column_stack([np.ones(90), np.arange(90) % 3]), np.zeros(90), ["a", "b"])
    assert Nodes.of(rows) is None  # three distinct rows


def test_threads_and_blocks_change_no_number_but_by_rounding() -> None:
    few, _, b = both("age")
    one = replace(few, threads=1).derivatives(b)
    assert np.array_equal(replace(few, threads=3).derivatives(b).A, one.A)
    assert np.allclose(replace(few, at_once=1000).derivatives(b).A, one.A, rtol=1e-12)
    counted_anew = replace(few, held=None)
    assert np.allclose(counted_anew.derivatives(b).A, one.A, rtol=1e-12)


@pytest.mark.parametrize("which", [0, 1])
def test_a_part_has_the_likelihood_of_its_voxels(which) -> None:
    likelihood, voxels = both("age")[which], np.flatnonzero(np.arange(V) % 3 == 1)
    b = both("age")[2]
    assert np.allclose(likelihood.part(voxels).loglik(b[voxels]), likelihood.loglik(b)[voxels], rtol=1e-12)


def test_nodes_of_many_rows_do_for_the_outermost_too() -> None:
    rng = np.random.default_rng(3)
    matrix = np.column_stack([np.ones(5000), rng.standard_normal((5000, 1))])
    rows = Rows.of(matrix, np.zeros(5000), ["a", "b"])
    nodes = Nodes.of(rows)
    assert nodes is not None and len(nodes.X) < 40 and np.abs(nodes.L).max() < 3
    assert np.isclose(nodes.trials.sum(), 5000) and np.allclose(nodes.L @ nodes.X, rows.X, atol=1e-8)
