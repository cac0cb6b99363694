"""The plain samplers with latent variables: their full conditionals one by one, and one against the other."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from formula_neuro_spatial.gibbs.diagnostics import effective_size
from formula_neuro_spatial.plain import gibbs as plain
from formula_neuro_spatial.plain.latent import Sampler, State, departures

sys.path.insert(0, str(Path(__file__).parent))
from spatial_lattices import Q, design, lattice


def test_latent_variables_are_quantiles_of_truncated_normals() -> None:
    eta = np.array([-6.0, -2.0, 0.0, 1.5, 6.0, -3.0, 4.0])
    events = np.array([1, 1, 1, 1, 0, 0, 0], dtype=np.uint8)
    for u in (0.01, 0.5, 0.99):
        away, t = departures(eta, events, np.full(7, u))
        low, high = np.where(events > 0, -eta, -np.inf), np.where(events > 0, np.inf, -eta)
        exact = np.where(
            events > 0, stats.truncnorm.isf(u, low, high), stats.truncnorm.ppf(u, low, high)
        )  # the tail that holds u is the one away from 0
        assert np.allclose(away, exact, rtol=1e-7)
        assert np.allclose(t, np.where(events > 0, stats.norm.cdf(eta), stats.norm.sf(eta)), rtol=1e-12)


def test_latent_variables_keep_their_side_far_in_the_tails() -> None:
    eta = np.array([-45.0, 45.0, -20.0, 20.0])
    away, _ = departures(eta, np.array([1, 0, 1, 0], dtype=np.uint8), np.full(4, 0.3))
    assert (eta + away)[[0, 2]].min() > 0 and (eta + away)[[1, 3]].max() < 0
    assert (eta + away)[0] == pytest.approx(-np.log(0.3) / 45, rel=2e-3)  # nearly exponential, of rate 45


def test_the_level_has_its_conditional_mean_and_covariance() -> None:
    model, Y = lattice((3, 2, 2), n=12)
    sampler, rng = Sampler.of(model), np.random.default_rng(1)
    b, Z = rng.standard_normal((len(Y), 2)), rng.standard_normal(Y.shape)
    X = design(model)
    moves = np.array([sampler.level(b, Z @ X, rng)[0] - b[0] for _ in range(4000)])
    stacked, rest = np.tile(X, (len(Y), 1)), (Z - b @ X.T).ravel()  # least squares of the residuals on the design
    mean, *_ = np.linalg.lstsq(stacked, rest)
    C = np.linalg.inv(stacked.T @ stacked)
    assert (np.abs(moves.mean(axis=0) - mean) / np.sqrt(np.diag(C) / 4000)).max() < 4
    assert np.abs(np.cov(moves.T) / np.sqrt(np.outer(np.diag(C), np.diag(C))) - _correlation(C)).max() < 0.1


def _correlation(C: np.ndarray) -> np.ndarray:
    return C / np.sqrt(np.outer(np.diag(C), np.diag(C)))


def test_a_voxel_given_its_neighbours_has_its_conditional_mean_and_covariance() -> None:
    model, Y = lattice((3, 3, 2), n=12)
    sampler, rng = Sampler.of(model), np.random.default_rng(1)
    b, Z = rng.standard_normal((len(Y), 2)), rng.standard_normal(Y.shape)
    X, s = design(model), int(np.flatnonzero(model.graph.parity == 0)[2])  # the first half to be drawn
    drawn = np.array([sampler.field(b, Z @ X, Q, rng)[s] for _ in range(4000)])
    near = [t for e in model.graph.edges for t in e if s in e and t != s]
    V_s = np.linalg.inv(X.T @ X + len(near) * Q)
    mean = V_s @ (X.T @ Z[s] + Q @ b[near].sum(axis=0))
    assert (np.abs(drawn.mean(axis=0) - mean) / np.sqrt(np.diag(V_s) / 4000)).max() < 4
    # a variance of 4,000 draws has a standard error of 2 %
    assert np.abs(np.cov(drawn.T) / np.sqrt(np.outer(np.diag(V_s), np.diag(V_s))) - _correlation(V_s)).max() < 0.1


def test_the_second_half_sees_the_first_one_as_drawn() -> None:
    model, Y = lattice((3, 3, 2), n=12)
    sampler, rng = Sampler.of(model), np.random.default_rng(1)
    b, xz = rng.standard_normal((len(Y), 2)), rng.standard_normal((len(Y), 2))
    odd = model.graph.parity == 1
    other = np.where(odd[:, None], 7.0, b)  # what the second half was does not matter to itself
    one, two = (sampler.field(x, xz, 1e-9 * Q, np.random.default_rng(2)) for x in (b, other))
    assert np.allclose(one, two, atol=1e-6)


def test_the_checkerboard_agrees_with_one_voxel_after_another() -> None:
    model, Y = lattice((3, 2, 2), n=15)
    rng, X, sampler = np.random.default_rng(3), design(model), Sampler.of(model)
    state, b, q = State(np.zeros((len(Y), 2)), 10 * np.eye(2)), np.zeros((len(Y), 2)), 10 * np.eye(2)
    one, two = [], []
    for _ in range(700):
        state = sampler.sweep(state, rng)
        b, q = plain.sweep(b, q, Y, X, model.graph.edges, model.df, rng)
        one.append(np.r_[state.b.ravel(), np.log(np.diag(state.Q))])
        two.append(np.r_[b.ravel(), np.log(np.diag(q))])
    x, y = np.array(one)[100:], np.array(two)[100:]
    error = np.sqrt(x.var(axis=0) / effective_size(x[None]) + y.var(axis=0) / effective_size(y[None]))
    assert (np.abs(x.mean(axis=0) - y.mean(axis=0)) / error).max() < 4
