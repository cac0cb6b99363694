"""One sweep of the spatial model's sampler: its parts, and the distribution that it leaves as it is."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from formula_neuro_spatial.gibbs import target as targets
from formula_neuro_spatial.gibbs import triangles
from formula_neuro_spatial.gibbs.affine import Affine
from formula_neuro_spatial.gibbs.cells import Cells, moved
from formula_neuro_spatial.gibbs.diagnostics import effective_size
from formula_neuro_spatial.gibbs.field import Field
from formula_neuro_spatial.gibbs.streams import Streams
from formula_neuro_spatial.gibbs.sweep import Sampler
from formula_neuro_spatial.gibbs.target import Target
from formula_neuro_spatial.graph import MaskGraph
from formula_neuro_spatial.likelihood import Likelihood
from formula_neuro_spatial.model import Model
from formula_neuro_spatial.plain import latent
from formula_neuro_spatial.rows import Rows

sys.path.insert(0, str(Path(__file__).parent))
from spatial_lattices import Q, design, lattice


@pytest.fixture(autouse=True)
def _without_gradients():
    with torch.inference_mode():
        yield


def test_many_small_factors_are_those_of_each_matrix() -> None:
    rng = np.random.default_rng(1)
    A = rng.standard_normal((5, 3, 6))
    H, x = A @ A.transpose(0, 2, 1), rng.standard_normal((5, 3))
    i, j = np.tril_indices(3)
    L = triangles.factor(torch.from_numpy(H[:, i, j].T.copy()), 3)
    roots, there = np.linalg.cholesky(H), torch.from_numpy(x.T.copy())
    assert np.allclose(L.numpy().T, roots[:, i, j], rtol=1e-12)
    upper = roots.transpose(0, 2, 1)
    assert np.allclose(triangles.forward(L, there).numpy().T, np.linalg.solve(roots, x[:, :, None])[:, :, 0])
    assert np.allclose(triangles.backward(L, there).numpy().T, np.linalg.solve(upper, x[:, :, None])[:, :, 0])
    assert np.allclose(triangles.upper_times(L, there).numpy().T, (upper @ x[:, :, None])[:, :, 0])
    assert np.allclose(triangles.log_diagonal(L, 3).numpy(), 0.5 * np.linalg.slogdet(H)[1])


def _full(A: torch.Tensor, P: int) -> np.ndarray:
    out, (i, j) = np.empty((A.shape[1], P, P)), np.tril_indices(P)
    out[:, i, j] = out[:, j, i] = A.numpy().T
    return out


@pytest.mark.parametrize("kind", ["all rows", "nodes", "equal rows", "beyond the nodes", "far in the tails"])
def test_the_device_has_the_log_likelihood_of_the_plain_one(kind) -> None:
    model, Y = lattice((4, 3, 2), n=250)
    rows, rng = model.likelihood.rows, np.random.default_rng(1)
    if kind == "equal rows":
        matrix = np.column_stack([np.ones(250), np.arange(250) % 2])
        rows = Rows.of(matrix, np.zeros(250), ["a", "b"])
    plain = Likelihood(rows, model.likelihood.masks, len(Y))
    ours = plain if kind == "all rows" else Likelihood.of(rows, plain.masks, len(Y))
    b = np.column_stack([rng.normal(-1.5, 1, len(Y)), rng.normal(0, 0.3, len(Y))])
    if kind == "beyond the nodes":
        b[::3, 1] = 3.0
    if kind == "far in the tails":
        b[::4, 0] = [-45.0, 45.0, -33.0, 31.0, -38.5, 50.0][: len(b[::4])]
    target, exact = Target.of(ours), plain.derivatives(b)
    assert (target.counts is None) == (kind == "all rows")
    found = target.at(torch.from_numpy(b.T.copy()), torch.arange(len(b)))
    # products of different shapes round differently; nodes are good to 1e-9
    assert np.allclose(found.loglik.numpy(), exact.loglik, rtol=1e-8)
    assert np.allclose(found.gradient.numpy().T, exact.gradient, rtol=1e-7, atol=1e-7)
    assert np.allclose(_full(found.A, 2), exact.A, rtol=1e-7, atol=1e-7)
    share = stats.norm.cdf(b @ rows.X[rows.group].T).mean(axis=1)
    assert np.allclose(found.incidence.numpy(), share, atol=1e-9)


def test_a_pass_in_small_pieces_is_the_same_pass(monkeypatch) -> None:
    model, Y = lattice((5, 4, 3), n=40)
    b = np.random.default_rng(1).normal(-1, 0.3, (len(Y), 2))
    whole = Sampler.of(model).start(b, Q)
    monkeypatch.setattr(targets, "elements", lambda device: 7 * 40)
    pieces = Sampler.of(model).start(b, Q)
    one, two = (Sampler.of(model).sweep(state, Streams(1, 0), 4)[0] for state in (whole, pieces))
    assert np.allclose(one.b, two.b, rtol=1e-11) and np.allclose(one.Q, two.Q, rtol=1e-9)  # products round otherwise


def test_the_pull_of_neighbours_is_the_laplacian() -> None:
    model, Y = lattice((4, 3, 3), n=12)
    b = np.random.default_rng(1).standard_normal((len(Y), 2))
    some = torch.tensor([3, 0, 11])
    pull = Cells.of(model.graph, "cpu").pull(torch.from_numpy(b.T.copy()), some)
    assert np.allclose(pull.numpy().T, model.laplacian(b)[some.numpy()])


@pytest.mark.parametrize("side", [2, 3])
def test_blocks_of_one_colour_share_no_edge(side) -> None:
    model, _ = lattice((5, 4, 6), n=12)
    halves = Cells.of(model.graph, "cpu").blocks(side, torch.tensor([1, 0, 1]))
    label, colour = np.full(model.graph.size, -1), np.full(model.graph.size, -1)
    for number, half in enumerate(halves):
        label[half.voxels], colour[half.voxels] = half.cell, number
    s, t = model.graph.edges.T
    between = label[s] != label[t]
    assert (label >= 0).all() and (colour[s] != colour[t])[between].all() and (colour[s] == colour[t])[~between].all()
    leaving = np.bincount(np.r_[label[s][between], label[t][between]], minlength=len(halves[0].held))
    assert all(np.array_equal(half.leaving[half.held], leaving[half.held]) for half in halves)
    assert np.bincount(label).max() == side**3


def test_a_voxel_given_its_neighbours_has_its_conditional_distribution() -> None:
    # of one coefficient, by quadrature
    graph, rng = MaskGraph.of(np.arange(3), (3, 1, 1)), np.random.default_rng(1)
    rows = Rows.of(np.ones((6, 1)), np.zeros(6), ["a"])
    Y = np.array([[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0]], dtype=np.uint8)
    model = Model(Likelihood(rows, lambda first, last: Y[first:last], 3), graph, 2.0)
    target, cells, q = Target.of(model.likelihood), Cells.of(graph, "cpu"), torch.tensor([[0.7]], dtype=torch.float64)
    field, drawn = Field.of(target, np.array([[-0.5], [0.0], [-2.0]])), []
    for _ in range(1500):
        moved(field, cells, cells.voxels[1], q, rng)
        drawn.append(float(field.b[0, 1]))

    def density(x: float, power: int = 0) -> float:
        return x**power * stats.norm.sf(x) ** 6 * np.exp(-0.35 * ((x + 0.5) ** 2 + (x + 2.0) ** 2))

    whole = integrate.quad(density, -12, 6)[0]
    mean = integrate.quad(density, -12, 6, args=(1,))[0] / whole
    sd = np.sqrt(integrate.quad(density, -12, 6, args=(2,))[0] / whole - mean**2)
    x = np.array(drawn)
    assert abs(x.mean() - mean) < 4 * sd / np.sqrt(effective_size(x[None, :, None])[0])
    assert x.std() / sd == pytest.approx(1, abs=0.1)  # a standard deviation of 1,000 draws is known to 2.2 %


def test_the_prior_of_the_root_of_sigma_has_its_gradient() -> None:
    move, C = Affine.of(2, 3.0, False), np.array([[0.5, 0.0], [0.2, 0.8]])
    _, slope, _ = move.prior(C)
    for i, j in ((0, 0), (1, 0), (1, 1)):
        away = np.zeros((2, 2))
        away[i, j] = 1e-6
        numeric = (move.prior(C + away)[0] - move.prior(C - away)[0]) / 2e-6
        assert slope[i, j + 1] == pytest.approx(numeric, rel=1e-6)


def test_the_prior_of_the_root_of_sigma_is_that_of_a_wishart_precision() -> None:
    # the ratio of its density at two roots, times the volumes that C -> Q stretches: numerically
    def log_density(C: np.ndarray) -> float:
        i, j = np.tril_indices(2)

        def of(x: np.ndarray) -> np.ndarray:
            R = np.zeros((2, 2))
            R[i, j] = x
            return np.linalg.inv(R @ R.T)[i, j]

        x, step = C[i, j], 1e-6
        J = np.column_stack([(of(x + step * e) - of(x - step * e)) / (2 * step) for e in np.eye(3)])
        return stats.wishart.logpdf(np.linalg.inv(C @ C.T), 4.0, np.eye(2)) + np.linalg.slogdet(J)[1]

    one, two, move = np.array([[0.5, 0.0], [0.2, 0.8]]), np.array([[1.5, 0.0], [-0.6, 0.3]]), Affine.of(2, 4.0, False)
    assert move.prior(one)[0] - move.prior(two)[0] == pytest.approx(log_density(one) - log_density(two), rel=1e-6)


def test_the_precision_has_the_mean_of_its_wishart_distribution() -> None:
    model, Y = lattice((3, 2, 2), n=12)
    sampler, rng = Sampler.of(model), np.random.default_rng(1)
    b = rng.standard_normal((len(Y), 2))
    D = b[model.graph.edges[:, 0]] - b[model.graph.edges[:, 1]]
    df = 3 + len(Y) - 1
    exact = df * np.linalg.inv(np.eye(2) + D.T @ D)
    there = torch.from_numpy(b.T.copy())
    drawn = np.array([sampler.precision(there, rng) for _ in range(2000)])
    se = np.sqrt((exact**2 + np.outer(np.diag(exact), np.diag(exact))) / df / 2000)
    assert (np.abs(drawn.mean(axis=0) - exact) / se).max() < 4


def test_a_fixed_precision_stays() -> None:
    model, Y = lattice((4, 3, 2), n=12)
    sampler = Sampler.of(model, fixed=True)
    state = sampler.start(np.zeros((len(Y), 2)), Q)
    for number in range(3):
        state, _ = sampler.sweep(state, Streams(1, 0), number)
    assert np.array_equal(state.Q, Q) and not np.array_equal(state.b, np.zeros((len(Y), 2)))


# ---- the whole sweep -----------------------------------------------------------------------------
def _anchored(V: int = 8) -> tuple[Model, np.ndarray]:
    """Voxels of five subjects with a proper prior: the first voxel's b is N(0, I) besides."""
    rng, Y = np.random.default_rng(0), np.zeros((V, 5), dtype=np.uint8)
    rows = Rows.of(np.column_stack([np.ones(5), rng.standard_normal(5)]), np.zeros(5), ["a", "b"])
    likelihood = Likelihood(rows, lambda first, last: Y[first:last], V)
    return Model(likelihood, MaskGraph.of(np.arange(V), (V // 2, 2, 1)), 8.0), Y


def _proper(sampler: Sampler) -> Sampler:
    """For the masks as they are now, and with that prior."""
    likelihood = sampler.model.likelihood
    return replace(sampler, target=Target.of(likelihood, anchor=np.eye(likelihood.V)[0]))


def _prior_draw(model: Model, rng: np.random.Generator) -> SimpleNamespace:
    q = stats.wishart.rvs(model.prior_df, np.eye(2), random_state=rng)
    L = np.diag(model.graph.n_s) - model.adjacency.toarray()
    size, ways = np.linalg.eigh(L)
    z = rng.standard_normal((len(L) - 1, 2))
    field = (ways[:, 1:] / np.sqrt(size[1:])) @ z @ np.linalg.cholesky(np.linalg.inv(q)).T
    return SimpleNamespace(b=field - field[0] + rng.standard_normal(2), Q=q)


def _masks(b: np.ndarray, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (b @ X.T + rng.standard_normal((len(b), len(X))) > 0).astype(np.uint8)


def _told(state, Y: np.ndarray) -> np.ndarray:
    """Bounded functions of parameters and data, whose means both simulators must share."""
    b = state.b
    p, C = stats.norm.cdf(b), np.linalg.cholesky(state.Q)
    q = [np.log(C[0, 0]), np.log(C[1, 1]), np.tanh(C[1, 0])]
    spread = np.tanh(np.abs(b[1] - b[2]))
    return np.r_[p.ravel(), (p[:2] ** 2).ravel(), q, spread, p[0] * p[3], Y.mean(), Y[0].mean() * p[0, 0]]


def test_the_joint_distribution_is_that_of_prior_and_likelihood() -> None:
    # Geweke 2004: draws of (parameters, masks) from prior and likelihood, beside a chain that alternates a sweep
    # and new masks
    model, Y = _anchored()
    sampler, X, rng = Sampler.of(model), design(model), np.random.default_rng(5)
    direct = []
    for _ in range(2500):
        drawn = _prior_draw(model, rng)
        direct.append(_told(drawn, _masks(drawn.b, X, rng)))
    b, q, chain = drawn.b, drawn.Q, []
    Y[:] = _masks(b, X, rng)
    for number in range(500):
        again = _proper(sampler)
        state, _ = again.sweep(again.start(b, q), Streams(5, 0), number)
        b, q = state.b, state.Q
        Y[:] = _masks(b, X, rng)
        chain.append(_told(state, Y))
    one, two = np.array(direct), np.array(chain)
    variance = one.var(axis=0) / len(one) + two.var(axis=0) / effective_size(two[None])
    z = (one.mean(axis=0) - two.mean(axis=0)) / np.sqrt(variance)
    assert np.abs(z).max() < 4


def test_true_values_have_uniform_ranks_among_draws() -> None:
    # simulation-based calibration: parameters from the prior, masks from the model, a chain from the parameters
    model, Y = _anchored()
    sampler, X, rng, ranks = Sampler.of(model), design(model), np.random.default_rng(6), []
    for number in range(30):
        truth = _prior_draw(model, rng)
        Y[:] = _masks(truth.b, X, rng)
        again, draws = _proper(sampler), []
        state = again.start(truth.b, truth.Q)
        for sweep in range(16):
            state, _ = again.sweep(state, Streams(7, number), sweep)
            if sweep % 2 == 1:
                draws.append(_named(state))
        ranks.append((np.array(draws) < _named(truth)).sum(axis=0))
    found = np.array(ranks)  # of 0..8, mean 4 and variance 60/9; neighbouring draws' likeness widens both
    error = np.sqrt(60 / 9 / len(found))
    assert np.abs(found.mean(axis=0) - 4).max() < 4 * error
    assert np.abs((found < 4).mean(axis=0) - 4 / 9).max() < 4 * np.sqrt(20 / 81 / len(found))


def _named(state) -> np.ndarray:
    S = np.linalg.inv(state.Q)
    return np.r_[state.b[0], state.b[5], state.b.mean(axis=0), S[0, 0], S[1, 1], S[1, 0]]


@pytest.mark.parametrize("level", [-0.5, -1.5])
def test_long_chains_agree_with_the_sampler_of_latent_variables(level) -> None:
    model, Y = lattice((3, 3, 2), n=25, level=level)
    ours, other, rng = Sampler.of(model), latent.Sampler.of(model), np.random.default_rng(3)
    state, two = ours.start(np.zeros((len(Y), 2)), 10 * np.eye(2)), latent.State(np.zeros((len(Y), 2)), 10 * np.eye(2))
    x, y = [], []
    for number in range(250):
        state, _ = ours.sweep(state, Streams(2, 0), number)
        x.append(np.r_[state.b.ravel(), np.log(np.diag(state.Q))])
    for _ in range(2000):
        two = other.sweep(two, rng)
        y.append(np.r_[two.b.ravel(), np.log(np.diag(two.Q))])
    one, last = np.array(x)[50:], np.array(y)[200:]
    sizes = effective_size(one[None]), effective_size(last[None])
    error = np.sqrt(one.var(axis=0) / sizes[0] + last.var(axis=0) / sizes[1])
    assert (np.abs(one.mean(axis=0) - last.mean(axis=0)) / error).max() < 4
    spread = one.std(axis=0) / last.std(axis=0)
    assert np.abs(spread - 1).max() < 4 * np.sqrt((1 / sizes[0] + 1 / sizes[1]).max())


@pytest.mark.parametrize("columns", [1, 4])
def test_designs_of_any_width_are_swept(columns) -> None:
    model, Y = lattice((4, 3, 2), n=40)
    matrix = np.column_stack([np.ones(40), np.random.default_rng(2).standard_normal((40, 3))])[:, :columns]
    rows = Rows.of(matrix, np.zeros(40), list("abcd")[:columns])
    model = replace(model, likelihood=Likelihood.of(rows, model.likelihood.masks, len(Y)), prior_df=columns + 1.0)
    sampler = Sampler.of(model)
    state = sampler.start(np.zeros((len(Y), columns)), 10 * np.eye(columns))
    for number in range(6):
        state, _ = sampler.sweep(state, Streams(1, 0), number)
    exact = Likelihood(rows, model.likelihood.masks, len(Y)).derivatives(state.b)
    assert np.linalg.eigvalsh(state.Q).min() > 0
    # what is kept at the coefficients, in whichever move they were taken, is what the data say of them
    assert np.allclose(state.field.local.loglik.numpy(), exact.loglik, rtol=1e-9)
    assert np.allclose(state.field.local.gradient.numpy().T, exact.gradient, rtol=1e-8, atol=1e-8)
    assert np.allclose(_full(state.field.local.A, columns), exact.A, rtol=1e-8, atol=1e-8)
