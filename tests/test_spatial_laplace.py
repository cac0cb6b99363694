"""Laplace's approximation of the spatial model: the sparse parts beside dense ones, and the whole on lesions."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from formula_neuro_spatial.draws import Moments, Noise
from formula_neuro_spatial.foretold import Counted, counted
from formula_neuro_spatial.graph import MaskGraph
from formula_neuro_spatial.laplace import covariances, laplace
from formula_neuro_spatial.likelihood import Likelihood
from formula_neuro_spatial.model import Model
from formula_neuro_spatial.newton import mode
from formula_neuro_spatial.plain import laplace as plain
from formula_neuro_spatial.precision import coordinates, fixed_point, matrix_of, wishart
from formula_neuro_spatial.rows import Rows
from formula_neuro_spatial.system import System
from formula_neuro_spatial.tails import Tails

sys.path.insert(0, str(Path(__file__).parent))
from spatial_lattices import Q, design, lattice


@pytest.fixture(scope="module")
def small() -> tuple[Model, np.ndarray]:
    return lattice()


def laplacian(model: Model) -> np.ndarray:
    return plain.laplacian(model.graph.edges, model.graph.size)


def test_neighbours_are_the_voxels_that_share_a_face_within_the_mask() -> None:
    mask = np.random.default_rng(1).random((6, 5, 4)) < 0.6
    graph = MaskGraph.of(np.flatnonzero(mask.ravel()), mask.shape)
    at = np.argwhere(mask)
    apart = np.abs(at[:, None] - at[None]).sum(axis=2)
    assert {tuple(e) for e in graph.edges.tolist()} == {tuple(e) for e in np.argwhere(np.triu(apart == 1)).tolist()}
    assert np.array_equal(graph.n_s, (apart == 1).sum(axis=1))


def test_voxels_of_one_parity_have_no_edge_among_themselves() -> None:
    mask = np.random.default_rng(1).random((6, 5, 4)) < 0.6
    graph = MaskGraph.of(np.flatnonzero(mask.ravel()), mask.shape)
    assert (graph.parity[graph.edges[:, 0]] != graph.parity[graph.edges[:, 1]]).all()


def test_components_are_those_of_an_image_and_the_largest_is_the_first() -> None:
    from scipy import ndimage

    mask = np.random.default_rng(1).random((7, 6, 5)) < 0.35
    graph = MaskGraph.of(np.flatnonzero(mask.ravel()), mask.shape)
    label, count = ndimage.label(mask)
    assert len(graph.components) == count
    assert sorted(graph.components.tolist(), reverse=True) == graph.components.tolist()
    pairs = {(int(a), int(b)) for a, b in zip(graph.component, label[mask], strict=True)}
    assert len(pairs) == count  # one name of ours for every name of theirs


def test_standardised_rows_are_the_design_times_t(small) -> None:
    rows = small[0].likelihood.rows
    assert np.allclose(rows.X[rows.group].mean(axis=0), [1, 0]) and np.allclose(rows.X[rows.group].std(axis=0), [0, 1])


def test_equal_rows_are_counted_together_without_a_change_of_the_likelihood() -> None:
    rng = np.random.default_rng(4)
    matrix = np.column_stack([np.ones(30), rng.integers(0, 3, 30)])
    Y = (rng.random((6, 30)) < 0.3).astype(np.uint8)
    rows = Rows.of(matrix, np.zeros(30), ["a", "b"])
    b = rng.standard_normal((6, 2))
    alone = special.log_ndtr(np.where(Y > 0, 1, -1) * (b @ rows.X[rows.group].T)).sum(axis=1)
    assert rows.shape[0] == 3
    assert np.allclose(Likelihood(rows, lambda f, l: Y[f:l], 6).loglik(b), alone, rtol=1e-12)


def test_the_likelihood_and_its_derivatives_are_those_of_scipy(small) -> None:
    model, Y = small
    b = np.random.default_rng(2).standard_normal((len(Y), 2))
    ours = model.likelihood.derivatives(b)
    gradient, A = plain.derivatives(b, Y, design(model))
    assert np.allclose(ours.gradient, gradient, rtol=1e-10) and np.allclose(ours.A, A, rtol=1e-9)


def test_expected_derivatives_are_those_of_fifteen_nodes(small) -> None:
    model, Y = small
    b = np.random.default_rng(2).standard_normal((len(Y), 2))
    own = np.broadcast_to([[0.1, 0.02], [0.02, 0.05]], (len(Y), 2, 2))
    ours = model.likelihood.expected(b, own)
    C = np.einsum("st,spq->sptq", np.eye(len(Y)), own).reshape(2 * len(Y), -1)
    gradient, A = plain.derivatives(b, Y, design(model), C)
    # three nodes are exact to degree 5, so that little is left of what the variances change
    assert np.abs(ours.gradient - gradient).max() < 0.01 * np.abs(gradient).max()
    away = np.abs(model.likelihood.derivatives(b).A - A).max()
    assert np.abs(ours.A - A).max() < 0.1 * away


def test_tails_are_exact_where_probabilities_underflow() -> None:
    eta = np.array([-60.0, -9.0, 0.0, 9.0, 60.0])
    u = Tails.of(eta)
    assert np.allclose(u.log1, special.log_ndtr(eta), rtol=1e-13, atol=1e-300)
    assert np.allclose(u.log0, special.log_ndtr(-eta), rtol=1e-13, atol=1e-300)
    assert u.r1[0] == pytest.approx(60 + 1 / 60, rel=1e-4) and u.r1[-1] == 0  # phi/Phi is |eta| + 1/|eta| - ...


def test_blocks_of_voxels_change_nothing_but_rounding(small) -> None:
    from dataclasses import replace

    model, Y = small
    b = np.random.default_rng(2).standard_normal((len(Y), 2))
    few = replace(model.likelihood, at_once=7 * Y.shape[1])
    assert np.allclose(few.derivatives(b).A, model.likelihood.derivatives(b).A, rtol=1e-12)


def test_conjugate_gradients_solve_the_dense_system(small) -> None:
    model, Y = small
    A = model.likelihood.derivatives(np.zeros((len(Y), 2))).A
    system = System(A, Q, model.halves)
    r = np.random.default_rng(3).standard_normal((len(Y), 2, 3))
    H = plain.precision(A, laplacian(model), Q)
    exact = np.linalg.solve(H, r.reshape(-1, 3)).reshape(r.shape)
    assert np.abs(system.solve(r) - exact).max() < 1e-7 * np.abs(exact).max()  # residuals are solved to 1e-8


def test_the_mode_is_that_of_dense_newton_steps(small) -> None:
    model, Y = small
    found = mode(model, Q, np.zeros((len(Y), 2)), 1e-14)
    exact, _ = plain.mode(Y, design(model), laplacian(model), Q, np.zeros((len(Y), 2)))
    assert np.abs(found.b - exact).max() < 1e-6  # 1e-14 of the log posterior is its root of a coefficient


def test_perturbations_have_the_covariance_of_the_precision(small) -> None:
    model, Y = small
    A = model.likelihood.derivatives(np.zeros((len(Y), 2))).A
    system = System(A, Q, model.halves)
    H = plain.precision(A, laplacian(model), Q)
    r = Noise.of(model.graph, 2, range(4000), 5).perturbation(system).reshape(len(H), -1)
    scale = np.sqrt(np.outer(np.diag(H), np.diag(H)))
    # 4,000 draws: a correlation has a standard error of 0.016, of 13,000 entries the largest is some 4.5 of them
    assert np.abs((r @ r.T / 4000 - H) / scale).max() < 0.09


def test_standard_deviations_from_16_draws_are_within_a_tenth_of_the_exact_ones(small) -> None:
    model, Y = small
    A = model.likelihood.derivatives(np.zeros((len(Y), 2))).A
    system = System(A, Q, model.halves)
    C = np.linalg.inv(plain.precision(A, laplacian(model), Q)).reshape(len(Y), 2, len(Y), 2)
    exact = np.sqrt(np.einsum("vpvp->vp", C))
    ours = np.sqrt(np.diagonal(covariances(model, system, 16, 1), axis1=1, axis2=2))
    error = ours / exact - 1
    assert np.sqrt(np.mean(error**2)) < 0.04 and np.abs(error).max() < 0.15  # the specification has measured 2.7 % rms


def test_the_mean_given_q_is_that_of_dense_expectations(small) -> None:
    model, Y = small
    exact, C, scatter = plain.expected(Y, design(model), laplacian(model), Q)
    own = np.einsum("vpvq->vpq", C.reshape(len(Y), 2, len(Y), 2))
    found = mode(model, Q, np.zeros((len(Y), 2)), 1e-14, own)
    assert (np.abs(found.b - exact) / np.sqrt(np.einsum("vpp->vp", own))).max() < 2e-3  # 3 nodes for 15
    noise = Noise.of(model.graph, 2, range(400), 1)
    drawn = found.system.solve(noise.perturbation(found.system))
    edges = model.scatter(found.b) + Moments.of(found.system, drawn).scatter
    assert np.abs(edges / scatter - 1)[np.eye(2, dtype=bool)].max() < 0.03  # of 400 draws


def test_the_mean_lies_beyond_the_mode_where_events_are_rare() -> None:
    model, Y = lattice(n=60, level=-1.8)
    at_mode = mode(model, Q, np.zeros((len(Y), 2)), 1e-12)
    mean, C, _ = plain.expected(Y, design(model), laplacian(model), Q)
    sd = np.sqrt(np.diag(C)).reshape(len(Y), 2)
    assert ((mean - at_mode.b) / sd)[:, 0].mean() < -0.05  # the mode is nearer 0 than the mean


@pytest.mark.parametrize("level", [-0.8, -1.6])
def test_em_on_draws_ends_near_em_on_dense_matrices(level) -> None:
    model, Y = lattice(n=60, level=level)
    ours = laplace(model, draws=64)
    exact, C, q = plain.em(Y, design(model), laplacian(model), 10 * np.eye(2), model.df)
    sd = np.sqrt(np.diag(C)).reshape(len(Y), 2)
    # 64 draws of the edges' covariance leave some per cent of Q, and some per cent of a standard deviation
    assert np.abs((ours.mean - exact) / sd).max() < 0.1
    assert np.abs(np.sqrt(np.diagonal(ours.covariance, axis1=1, axis2=2)) / sd - 1).max() < 0.15
    assert np.abs(np.diag(ours.sigma.mean(axis=0)) / np.diag(np.linalg.inv(q)) - 1).max() < 0.3


def test_coordinates_of_a_precision_go_there_and_back() -> None:
    assert np.allclose(matrix_of(coordinates(Q), 2), Q, rtol=1e-13)


def test_wishart_draws_have_their_mean_and_variance() -> None:
    rng = np.random.default_rng(1)
    draws = np.array([wishart(7.5, Q, rng) for _ in range(20_000)])
    se = np.sqrt((Q**2 + np.outer(np.diag(Q), np.diag(Q))) * 7.5 / 20_000)
    assert (np.abs(draws.mean(axis=0) - 7.5 * Q) / se).max() < 4
    variance = 7.5 * (Q**2 + np.outer(np.diag(Q), np.diag(Q)))
    assert np.abs(draws.var(axis=0) / variance - 1).max() < 0.1  # kurtosis of some 2 gives a standard error of 0.014


def test_a_search_goes_on_where_moves_grow_on_the_way_to_the_fixed_point() -> None:
    found = fixed_point(lambda x: x + 0.02 * (1 + x) * (4 - x), np.zeros(1), 1e-6, 60)  # -1 repels, 4 attracts
    assert found.theta[0] == pytest.approx(4.0, abs=1e-4)  # the last move, by a slope of .1


def test_an_accelerated_search_ends_at_the_fixed_point_of_a_slow_map() -> None:
    slow = np.array([[0.95, 0.1], [0.0, 0.9]])
    found = fixed_point(lambda x: slow @ (x - 3.0) + 3.0, np.zeros(2), 1e-9, 60)
    assert np.allclose(found.theta, 3.0, atol=1e-6) and found.steps < 15


@pytest.mark.parametrize(("level", "n"), [(-2.4, 25), (-2.8, 40)])
def test_the_search_ends_where_hardly_a_voxel_has_an_event(level, n) -> None:
    model, Y = lattice((5, 5, 4), n=n, level=level)
    found = laplace(model)
    assert (Y.sum(axis=1) == 0).mean() > 0.7
    assert found.converged and np.isfinite(found.mean).all()


def test_standard_deviations_that_are_too_small_are_announced() -> None:
    # a third of the voxels have an event in all images: of such masks standard deviations were .6 to .9 of long chains'
    model, Y = lattice((5, 4, 3), n=30)
    assert not any("skewed" in note for note in laplace(model, draws=8).notes)
    Y[:20] = 1
    assert any("skewed" in note for note in laplace(model, draws=8).notes)


@pytest.mark.parametrize("steps", [3, 200])
def test_a_search_is_told_in_shares_that_never_exceed_the_whole(steps: int) -> None:
    told: list[int] = []
    search = Counted(lambda theta: theta, told.append, left=57)
    for _ in range(steps):
        search(np.zeros(3))
    assert told[:3] == [1, 2, 2] and sum(told) + search.left == 57 and search.left >= 1


def test_the_plan_of_a_search_has_its_memory(capsys) -> None:
    with counted(lambda theta: theta, (10_000, 2), True) as search:
        search(np.zeros(3))
    assert capsys.readouterr().err.splitlines()[0] == "spatial model, about 32 MB"
