"""The numerical files that the plugins share: R's rank rule, templates, scoring, separation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from formula_neuro.errors import FitError
from formula_neuro.family import as_family
from formula_neuro.kernels.irls import irls
from formula_neuro.kernels.rank import MANY, aliased, independent_columns, orthonormal_basis
from formula_neuro.kernels.separation import infinite, separation
from formula_neuro.kernels.templates import lower_factor, positions, template, vech


def columns(n=30, p=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


# ---- rank ----------------------------------------------------------------------------------------
def test_of_dependent_columns_the_later_one_goes():
    X = columns()
    X[:, 1] = X[:, 0] + X[:, 3]
    assert independent_columns(X).tolist() == [0, 1, 2]


def test_the_rank_rule_is_the_same_for_any_units():
    X = columns()
    X[:, 2] = X[:, 0] - 2 * X[:, 1]
    assert independent_columns(X * [1e-150, 1e8, 1e150, 1]).tolist() == [0, 1, 3]


@pytest.mark.parametrize(("part", "kept"), [(2e-7, 3), (5e-8, 2)])
def test_a_column_goes_when_less_than_1e_7_of_it_is_new(part, kept):
    Q = np.linalg.qr(columns(p=3))[0]
    X = np.column_stack([Q[:, 0], Q[:, 1], Q[:, 0] + part * Q[:, 2]])
    assert len(independent_columns(X)) == kept


def test_a_dropped_column_does_not_help_to_drop_a_later_one():
    # the third differs from the first by a hair that a QR without dropping would count as a direction
    Q = np.linalg.qr(columns(p=2))[0]
    hair = Q[:, 0] + 1e-9 * Q[:, 1]
    assert independent_columns(np.column_stack([Q[:, 0], hair, Q[:, 1]])).tolist() == [0, 2]


def test_there_are_never_more_kept_columns_than_rows():
    assert independent_columns(columns(n=3, p=5)).tolist() == [0, 1, 2]


def test_a_column_of_zeros_goes():
    X = columns()
    X[:, 0] = 0
    assert independent_columns(X).tolist() == [1, 2, 3]


def test_a_design_without_columns_has_rank_0():
    assert orthonormal_basis(np.empty((5, 0))).rank == 0


def test_the_basis_reproduces_the_kept_columns():
    X = columns()
    X[:, 1] = 3 * X[:, 0]
    basis = orthonormal_basis(X)
    np.testing.assert_allclose(basis.Q @ basis.R, X[:, [0, 2, 3]], atol=1e-14)  # rounding of a product
    np.testing.assert_allclose(basis.Q.T @ basis.Q, np.eye(3), atol=1e-14)


@pytest.mark.parametrize("origin", [0.0, 1e3, 1e6])
def test_the_basis_of_many_rows_is_as_orthonormal_as_that_of_few(origin):
    # an origin of 1e6 makes the condition 1e6: the quick way is left for Householder's
    X = columns(n=MANY, p=3) + origin
    X[:, 0] = 1.0
    basis = orthonormal_basis(X)
    np.testing.assert_allclose(basis.Q.T @ basis.Q, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(basis.Q @ basis.R, X, rtol=1e-13, atol=1e-13)
    R = np.linalg.qr(X)[1]
    np.testing.assert_allclose(np.abs(basis.R), np.abs(R), rtol=1e-7, atol=1e-9 * max(1.0, origin))


def test_of_many_rows_the_same_columns_are_kept():
    X = columns(n=MANY)
    X[:, 1] = X[:, 0] + X[:, 3]
    assert orthonormal_basis(X).kept.tolist() == [0, 1, 2]


def test_contrasts_of_a_dropped_column_are_unknown():
    X = columns()
    X[:, 3] = X[:, 0]
    rows = orthonormal_basis(X).contrasts(np.eye(4))
    assert np.isnan(rows).all(axis=1).tolist() == [False, False, False, True]


def test_the_message_names_the_dropped_columns():
    assert aliased(["a", "b", "c"], np.array([0, 1, 2])) == ()
    assert "b, c have no coefficients" in aliased(["a", "b", "c"], np.array([0]))[0]


# ---- templates -----------------------------------------------------------------------------------
def test_theta_runs_down_the_columns_of_the_lower_triangle():
    assert list(zip(*(i.tolist() for i in positions(3)), strict=True)) == [
        (0, 0),
        (1, 0),
        (2, 0),
        (1, 1),
        (2, 1),
        (2, 2),
    ]


def test_vech_undoes_template():
    theta = np.arange(1.0, 7.0)
    np.testing.assert_array_equal(vech(template(theta, 3)), theta)


def test_a_lower_factor_has_the_same_covariance_and_no_negative_diagonal():
    F = columns(3, 3)
    L = lower_factor(F)
    np.testing.assert_allclose(L @ L.T, F @ F.T, atol=1e-14)  # rounding of a 3 x 3 product
    assert (np.diag(L) >= 0).all()
    assert (np.triu(L, 1) == 0).all()


def test_a_singular_factor_stays_exactly_singular():
    u = np.array([[1.0], [-0.3], [2.0]])
    L = lower_factor(np.hstack([u, 2 * u, 0 * u]))
    assert (L[:, 1:] == 0).all()


# ---- scoring -------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["binomial", "binomial(probit)", "binomial(cloglog)", "poisson", "Gamma(log)"])
def test_scoring_finds_what_a_general_minimiser_finds(name):
    rng, family = np.random.default_rng(1), as_family(name)
    X, w, offset = np.column_stack([np.ones(80), rng.normal(size=80)]), rng.uniform(1, 3, 80), rng.normal(size=80) / 5
    mu = family.link.inverse(X @ [0.2, 0.5] + offset)
    y = {"binomial": rng.binomial(1, np.clip(mu, 0, 1)) * 1.0, "poisson": rng.poisson(mu) * 1.0}.get(
        family.name, rng.gamma(3, mu / 3)
    )
    found = irls(X, y, w, offset, family)
    by_hand = optimize.minimize(
        lambda b: family.deviance(y, family.link.inverse(X @ b + offset), w).sum(), found.b + 0.3, method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 2000},
    )  # fmt: skip
    assert found.converged
    np.testing.assert_allclose(found.b, by_hand.x, atol=2e-6)  # a simplex sees the square root of its rounding


def test_scoring_respects_the_range_of_the_identity_link():
    rng = np.random.default_rng(2)
    x = rng.uniform(0, 1, 50)
    y = rng.poisson(3 * x) * 1.0
    found = irls(np.column_stack([np.ones(50), x]), y, np.ones(50), np.zeros(50), as_family("poisson(identity)"))
    assert (found.mu > 0).all()


def test_no_admissible_start_is_an_error_that_names_other_links():
    x = np.linspace(-1, 1, 20)  # a line through the origin has negative means on one side
    with pytest.raises(FitError, match="another link"):
        irls(x[:, None], np.ones(20), np.ones(20), np.zeros(20), as_family("poisson(identity)"))


# ---- separation ----------------------------------------------------------------------------------
NAMES = ["(Intercept)", "x", "level"]


def design(seed=3, n=60):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=n), rng.integers(0, 2, n)])
    return rng, X


def test_complete_separation_is_found_with_the_direction_of_the_infinite_coefficient():
    _, X = design()
    signs = infinite(NAMES, X, (X[:, 1] > 0.2) * 1.0, np.ones(60), as_family("binomial"))
    assert signs["x"] == 1


def test_quasi_separation_names_only_the_column_at_fault():
    rng, X = design()
    y = np.where(X[:, 2] == 1, 1.0, rng.integers(0, 2, 60))  # every row of that level is a success
    (message,) = separation(infinite(NAMES, X, y, np.ones(60), as_family("binomial(probit)")))
    assert "level (+infinity) is infinite" in message
    assert "x (" not in message


def test_overlapping_responses_are_not_separated():
    rng, X = design()
    assert not infinite(NAMES, X, rng.integers(0, 2, 60) * 1.0, np.ones(60), as_family("binomial"))


def test_shares_strictly_between_0_and_1_are_not_separated():
    rng, X = design()
    assert not infinite(NAMES, X, rng.uniform(0.1, 0.9, 60), np.ones(60), as_family("binomial"))


def test_a_level_with_counts_of_0_only_is_separated():
    rng, X = design()
    y = np.where(X[:, 2] == 1, 0.0, 1 + rng.poisson(2, 60))
    assert infinite(NAMES, X, y, np.ones(60), as_family("poisson")) == {"level": -1.0}


def test_rows_of_zero_weight_do_not_prevent_separation():
    _, X = design()
    y = (X[:, 1] > 0) * 1.0
    y[0] = 1 - y[0]
    w = np.ones(60)
    assert not infinite(NAMES, X, y, w, as_family("binomial"))
    w[0] = 0
    assert infinite(NAMES, X, y, w, as_family("binomial"))
