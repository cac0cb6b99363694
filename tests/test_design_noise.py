"""Designs under noise that is not white: whitening, and what is lost where it is left out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro_design.constraints import first_columns
from formula_neuro_design.family import Family
from formula_neuro_design.noise import Noise, ar1, covariance
from formula_neuro_design.objective import estimator, objective
from formula_neuro_design.solver import solve

from .infusion_designs import infusion


def solved_in(noise: Noise, family: Family, B: Array) -> tuple[Array, Array, float]:
    constraints = first_columns(B, 4, np.eye(4)[0])
    found = solve(noise.family(family), noise.constraints(constraints))
    return noise.colour(found.Z), found.c, found.objective


def test_autoregressive_noise_has_its_covariance():
    noise = ar1(6, -0.4)
    np.testing.assert_allclose(noise.root @ noise.root.T, linalg.toeplitz((-0.4) ** np.arange(6.0)), atol=1e-15)


def test_white_noise_changes_nothing():
    family, B = infusion()
    plain = solve(family, first_columns(B, 4, np.eye(4)[0])).objective
    assert solved_in(ar1(598, 0.0), family, B)[2] == pytest.approx(plain, rel=1e-12)
    assert solved_in(covariance(np.eye(598), 598), family, B)[2] == pytest.approx(plain, rel=1e-12)


def test_the_fixed_columns_come_back_as_they_were():
    family, B = infusion()
    Z, _, _ = solved_in(ar1(598, 0.3), family, B)
    np.testing.assert_allclose(Z[:, :2], B, atol=1e-11)  # whitened and back: two products of 598 terms


def test_the_objective_is_that_of_generalised_least_squares():
    rng = np.random.default_rng(1)
    root = rng.standard_normal((20, 20))
    V = root @ root.T + 5 * np.eye(20)
    X = rng.standard_normal((20, 2))
    v = X @ rng.standard_normal((2, 5))
    family = Family(v + 0.3 * rng.standard_normal((20, 5)), np.ones(5), np.full(5, 0.3), np.ones(5))
    Z, c, value = solved_in(covariance(V, 20), family, X)
    weight = np.linalg.inv(V)
    K = np.linalg.inv(Z.T @ weight @ Z)
    a, left = weight @ Z @ K @ c, family.v - Z @ (K @ (Z.T @ weight @ family.v))
    misfit = np.einsum("im,ij,jm->m", left, weight, left)
    expected = (0.6 * (c @ K @ c) * (1 + misfit / 16) + 1.4 * (a @ family.v - 1) ** 2).sum()
    assert value == pytest.approx(expected, rel=1e-9)
    assert covariance(V, 20).variance(a) == pytest.approx(c @ K @ c, rel=1e-9)


def test_a_slow_design_claims_too_small_a_variance_and_whitening_alone_mends_it():
    family, B = infusion()
    noise, constraints = ar1(598, 0.3), first_columns(B, 4, np.eye(4)[0])
    white = solve(family, constraints)
    a = estimator(white.Z, white.c)
    # (1 + rho) / (1 - rho) = 1.857 at frequency 0, and 1.85 for this estimator, to two digits
    assert noise.variance(a) / (a @ a) == pytest.approx(1.85, abs=0.01)
    kept = objective(noise.whiten(white.Z), white.c, noise.family(family))
    best = solve(noise.family(family), noise.constraints(constraints)).objective
    assert 0 < 1 - best / kept < 0.01  # a better design gains less than a hundredth


@pytest.mark.parametrize(
    ("V", "said"),
    [
        (np.eye(3), r"has the shape \(3, 3\); 4 by 4"),
        (np.triu(np.ones((4, 4))), "not symmetric"),
        (np.full((4, 4), np.nan), "not symmetric, or has values that are missing"),
        (np.ones((4, 4)), "all above 0 are expected"),
    ],
)
def test_covariances_that_are_none_are_refused(V: Array, said: str):
    with pytest.raises(DataError, match=said):
        covariance(V, 4)


@pytest.mark.parametrize("rho", [1.0, -1.5, np.nan])
def test_autocorrelations_that_are_none_are_refused(rho: float):
    with pytest.raises(DataError, match="between -1 and 1"):
        ar1(5, rho)
