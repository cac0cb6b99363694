"""The solver of optimal designs, on small random families: against closed forms, other optimizers and autograd."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import optimize

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro_design.constraints import Constraints, first_columns
from formula_neuro_design.family import Family
from formula_neuro_design.measures import gauss_markov, measures, phi_by_bias, phi_by_squared_bias
from formula_neuro_design.objective import estimator, gradient, objective
from formula_neuro_design.reduced import coordinates
from formula_neuro_design.solver import Solution, solve

from .infusion_designs import infusion


def random_family(n: int = 20, m: int = 6, seed: int = 1) -> tuple[Family, Array]:
    """Designs of two columns about a common one, and that common one."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 2))
    X = common + 0.6 * rng.standard_normal((m, n, 2))
    b = rng.uniform(0.5, 2, (m, 2))
    v = np.einsum("mnk,mk->nm", X, b)
    return Family(v, b[:, 0], rng.uniform(0.1, 0.9, m), rng.uniform(0.5, 2, m)), common


def cases() -> dict[str, tuple[Family, Constraints]]:
    family, common = random_family()
    n, first = len(common), np.eye(4)[0]
    rng = np.random.default_rng(2)
    A, C = rng.standard_normal((4, 2)), np.array([[1.0, 1, 0, 0], [0, 0, 1, -1]])
    return {
        "two columns fixed, contrast fixed": (family, first_columns(common, 4, first)),
        "two columns fixed, contrast free": (family, first_columns(common, 4, None)),
        "contrast in fixed and free columns": (family, first_columns(common, 4, np.array([1.0, 0, 0.5, -1]))),
        "nothing fixed": (family, first_columns(np.zeros((n, 0)), 3, np.eye(3)[0])),
        "one free column": (family, first_columns(common, 3, np.eye(3)[0])),
        "no free column": (family, first_columns(common, 2, np.eye(2)[0])),
        "no free column, contrast free": (family, first_columns(common, 2, None)),
        "sums of columns fixed, contrast in part": (family, Constraints(A, common, C, np.array([1.0, 0.2]))),
    }


CASES = cases()
NAMES = list(CASES)


def solved(name: str) -> tuple[Family, Constraints, Solution]:
    family, constraints = CASES[name]
    return family, constraints, solve(family, constraints)


# ---- objective -----------------------------------------------------------------------------------
def literal(Z: torch.Tensor, c: torch.Tensor, f: Family) -> torch.Tensor:
    """The paper's sum over designs with explicit inverses, a design at a time."""
    n, p = Z.shape
    K = torch.linalg.inv(Z.T @ Z)
    P, a = torch.eye(n, dtype=torch.float64) - Z @ K @ Z.T, Z @ K @ c
    total = torch.zeros((), dtype=torch.float64)
    for v, l, phi, w in zip(torch.tensor(f.v.T), f.l, f.phi, f.w, strict=True):
        variance = (c @ K @ c) * (1 + v @ P @ v / (n - p))
        total = total + w * (2 * phi * variance + (2 - 2 * phi) * (a @ v - l) ** 2)
    return total


def test_the_objective_is_the_papers_sum_and_its_gradient_autograds():
    family, _ = random_family()
    rng = np.random.default_rng(3)
    Z, c = rng.standard_normal((20, 3)), rng.standard_normal(3)
    at = [torch.tensor(x, requires_grad=True) for x in (Z, c)]
    value = literal(*at, family)
    value.backward()
    assert objective(Z, c, family) == pytest.approx(value.item(), rel=1e-12)  # both in double precision
    for own, other in zip(gradient(Z, c, family), at, strict=True):
        np.testing.assert_allclose(own, other.grad.numpy(), rtol=0, atol=1e-10 * np.abs(own).max())


def test_another_basis_of_the_columns_leaves_the_objective():
    family, _ = random_family()
    rng = np.random.default_rng(4)
    Z, c, T = rng.standard_normal((20, 3)), rng.standard_normal(3), rng.standard_normal((3, 3))
    assert objective(Z @ T, T.T @ c, family) == pytest.approx(objective(Z, c, family), rel=1e-10)


def test_the_objective_is_the_expected_loss_of_simulated_estimates():
    family, _ = random_family(m=1)
    family = replace(family, phi=np.array([0.5]), w=np.ones(1))
    rng = np.random.default_rng(5)
    Z, c = rng.standard_normal((20, 3)), np.array([1.0, 0, 0.3])
    K = np.linalg.inv(Z.T @ Z)
    y = family.v + rng.standard_normal((20, 40_000))
    fitted = K @ Z.T @ y
    s2 = ((y - Z @ fitted) ** 2).sum(axis=0) / 17
    loss = c @ K @ c * s2 + (c @ (K @ Z.T @ family.v[:, 0]) - family.l[0]) ** 2
    margin = 5 * loss.std() / np.sqrt(loss.size)  # five standard errors of the mean
    assert objective(Z, c, family) == pytest.approx(loss.mean(), abs=margin)


# ---- solver --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_the_constraints_are_kept(name: str):
    _, constraints, found = solved(name)
    np.testing.assert_allclose(found.Z @ constraints.A, constraints.B, atol=1e-9)  # a few products of rounding
    np.testing.assert_allclose(constraints.C @ found.c, constraints.d, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_within_the_constraints_vanishes(name: str):
    family, constraints, found = solved(name)
    dZ, dc = gradient(found.Z, found.c, family)
    A, N = constraints.A, constraints.free_directions()
    within = dZ - dZ @ A @ np.linalg.solve(A.T @ A, A.T)
    # the search stops at 1e-10 in its own scale; Z and c are of order 1
    assert np.abs(within).max() < 1e-6 and np.abs(N.T @ dc).max(initial=0) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_no_other_optimizer_finds_less(name: str):
    family, constraints, found = solved(name)
    (n, p), A, N = found.Z.shape, constraints.A, constraints.free_directions()
    away = np.eye(p) - A @ np.linalg.solve(A.T @ A, A.T)
    rng = np.random.default_rng(6)

    def value(x: Array) -> tuple[float, Array]:
        Z, c = found.Z + x[: n * p].reshape(n, p) @ away, found.c + N @ x[n * p :]
        dZ, dc = gradient(Z, c, family)
        return objective(Z, c, family), np.concatenate([(dZ @ away).ravel(), N.T @ dc])

    for size in (0.0, 0.5):
        start = size * rng.standard_normal(n * p + N.shape[1])
        other = optimize.minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
        assert found.objective <= other.fun * (1 + 1e-8)


def test_more_starts_find_nothing_lower():
    family, constraints, found = solved("two columns fixed, contrast fixed")
    again = solve(family, constraints, starts=5)
    assert again.objective == pytest.approx(found.objective, rel=1e-9)


@pytest.mark.parametrize(("free", "told"), [(False, 2.693468), (True, 0.265485)])
@pytest.mark.parametrize("away", [0.0, 0.3])
def test_trust_constr_finds_nothing_lower_than_the_papers_validations(free: bool, told: float, away: float):
    family, B = infusion()
    found = solve(family, first_columns(B, 4, None if free else np.eye(4)[0]))
    assert found.objective == pytest.approx(told, abs=1e-6)  # to the digits told
    Q = coordinates(family, B).Q  # all optima lie in its span

    def value(x: Array) -> tuple[float, Array]:
        Z, c = np.hstack([B, Q @ x[: 2 * Q.shape[1]].reshape(-1, 2)]), x[2 * Q.shape[1] :] if free else found.c
        dZ, dc = gradient(Z, c, family)
        return objective(Z, c, family), np.concatenate([(Q.T @ dZ[:, 2:]).ravel(), dc if free else []])

    start = np.concatenate([(Q.T @ found.Z[:, 2:]).ravel(), found.c if free else []])
    start += away * np.abs(start).mean() * np.random.default_rng(1).standard_normal(len(start))
    other = optimize.minimize(
        value, start, jac=True, method="trust-constr", hess=optimize.BFGS(), options={"gtol": 1e-9, "xtol": 1e-12}
    )
    assert other.fun >= found.objective - 1e-12  # rounding of sums of 50 terms
    assert other.fun == pytest.approx(found.objective, rel=1e-9)  # it comes back from a start 30 % away


@pytest.mark.parametrize("seed", range(3))
def test_ten_random_starts_on_random_families_find_nothing_lower(seed: int):
    family, common = random_family(n=14, m=5, seed=20 + seed)
    constraints = first_columns(common, 4, None if seed % 2 else np.eye(4)[0])
    once = solve(family, constraints)
    again = solve(family, constraints, starts=10, seed=seed)
    assert again.objective >= once.objective - 1e-9 * once.objective


def test_one_design_with_one_free_column_has_the_closed_form():
    rng = np.random.default_rng(7)
    v, l, phi, w = rng.standard_normal((15, 1)), 1.5, 0.3, 2.0
    family = Family(v, np.array([l]), np.array([phi]), np.array([w]))
    found = solve(family, first_columns(np.zeros((15, 0)), 1, np.ones(1)))
    size, whole = float((v**2).sum()), 2 * phi + (2 - 2 * phi) * float((v**2).sum())
    assert found.objective == pytest.approx(w * 2 * phi * (2 - 2 * phi) * l**2 / whole, rel=1e-10)
    seen = measures(found.Z, found.c, family, np.array([l**2 / size]))
    assert seen.bias[0] == pytest.approx(-2 * phi / whole, rel=1e-9)
    assert seen.variance_bias[0] == pytest.approx(0, abs=1e-12)  # the column is v's own


def test_the_true_design_itself_has_no_bias_and_the_gauss_markov_variance():
    X = np.random.default_rng(8).standard_normal((15, 1))
    family = Family(2 * X, np.array([2.0]), np.array([0.5]), np.ones(1))
    found = solve(family, first_columns(X, 1, np.ones(1)))
    seen = measures(found.Z, found.c, family, gauss_markov(X[None], np.ones(1)))
    np.testing.assert_allclose([seen.bias[0], seen.variance_change[0], seen.variance_bias[0]], 0, atol=1e-12)


def test_a_null_design_among_the_fixed_columns_has_no_bias():
    family, common = random_family()
    null = Family(*(np.concatenate([x, y], -1) for x, y in zip(
        (family.v, family.l, family.phi, family.w),
        (common[:, [1]] * 3, np.zeros(1), np.array([0.5]), np.ones(1)), strict=True,
    )))  # fmt: skip
    found = solve(null, first_columns(common, 4, np.eye(4)[0]))
    assert abs(estimator(found.Z, found.c) @ null.v[:, -1]) < 1e-12


def test_a_design_given_twice_is_a_design_of_double_weight():
    family, common = random_family()
    twice = Family(np.hstack([family.v] * 2), *(np.tile(x, 2) for x in (family.l, family.phi, family.w)))
    constraints = first_columns(common, 3, np.eye(3)[0])
    double = solve(replace(family, w=2 * family.w), constraints)
    assert solve(twice, constraints).objective == pytest.approx(double.objective, rel=1e-10)


def test_more_designs_than_scans_are_solved_too():
    family, common = random_family(n=12, m=40)
    found = solve(family, first_columns(common, 4, np.eye(4)[0]))
    assert found.objective < solve(family, first_columns(common, 3, np.eye(3)[0])).objective


# ---- measures ------------------------------------------------------------------------------------
def test_the_objective_is_made_of_bias_and_variance_change():
    family, _ = random_family()
    rng = np.random.default_rng(9)
    Z, c, g = rng.standard_normal((20, 3)), rng.standard_normal(3), rng.uniform(1, 2, 6)
    seen = measures(Z, c, family, g)
    bias = (2 - 2 * family.phi) * family.l**2 * seen.bias**2
    parts = bias + 2 * family.phi * g * (seen.variance_change + 1)
    assert family.w @ parts == pytest.approx(objective(Z, c, family), rel=1e-12)


def test_gauss_markov_variances_are_those_of_least_squares_and_nan_without_rank():
    X = np.random.default_rng(10).standard_normal((2, 9, 3))
    X[1, :, 2] = X[1, :, 0] - X[1, :, 1]
    c = np.array([1.0, -1, 0])
    g = gauss_markov(X, c)
    assert g[0] == pytest.approx(c @ np.linalg.inv(X[0].T @ X[0]) @ c, rel=1e-12) and np.isnan(g[1])


def test_choices_of_phi_weigh_bias_k_times_as_much_as_variance():
    l, g, k = np.array([2.0, -0.5]), np.array([0.3, 0.1]), 50.0
    phi = phi_by_squared_bias(l, g, k)
    np.testing.assert_allclose((2 - 2 * phi) * l**2, k * 2 * phi * g, rtol=1e-12)
    phi = phi_by_bias(l, g, k)
    np.testing.assert_allclose(np.sqrt(2 - 2 * phi) * np.abs(l), 2 * phi * g * k, rtol=1e-12)
    zero = np.zeros(1)
    assert phi_by_squared_bias(zero, g[:1])[0] == 0 and phi_by_bias(zero, g[:1])[0] == 0


# ---- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"phi": np.full(6, 1.0)}, "phi is 1; at least 0"),
        ({"phi": np.zeros(6)}, "no design has a phi above 0"),
        ({"w": np.full(6, -1.0)}, "weights are at least 0"),
        ({"w": np.zeros(6)}, "weights are at least 0"),
        ({"l": np.zeros(6)}, "the contrast is 0 in every design"),
        ({"l": np.full(6, np.nan)}, "l has values that are missing or infinite"),
        ({"w": np.ones(5)}, "one value for 6 designs"),
    ],
)
def test_a_family_that_makes_no_sense_is_refused(change: dict[str, Array], said: str):
    with pytest.raises(DataError, match=said):
        replace(random_family()[0], **change)


def test_constraints_that_make_no_sense_are_refused():
    B = np.random.default_rng(11).standard_normal((20, 2))
    with pytest.raises(DataError, match="fixed columns are collinear"):
        first_columns(np.hstack([B, B]), 5, np.eye(5)[0])
    with pytest.raises(DataError, match="the columns of A are collinear"):
        Constraints(np.ones((4, 2)), B, np.zeros((0, 4)), np.zeros(0))
    with pytest.raises(DataError, match="contradict one another"):
        Constraints(np.eye(4)[:, :2], B, np.ones((2, 4)), np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="the contrast is 0 in every column"):
        first_columns(B, 4, np.zeros(4))
    with pytest.raises(DataError, match="2 columns are fixed, but the design has 1"):
        first_columns(B, 1, np.ones(1))


def test_too_many_columns_are_refused():
    family, common = random_family()
    with pytest.raises(DataError, match=r"span 8 directions and the design would have 9 columns, .* ask for 1 fewer"):
        solve(family, first_columns(common, 9, np.eye(9)[0]))
    with pytest.raises(DataError, match="no degree of freedom"):
        solve(family, first_columns(common, 20, np.eye(20)[0]))


@pytest.mark.parametrize(
    ("v", "said"),
    [
        (np.full((20, 6), np.inf), "v has values that are missing or infinite"),
        (np.zeros((20, 0)), "a table of scans by designs"),
        (np.zeros(20), "a table of scans by designs"),
    ],
)
def test_designs_that_are_no_table_of_numbers_are_refused(v: Array, said: str):
    with pytest.raises(DataError, match=said):
        replace(random_family()[0], v=v)


def test_constraints_of_shapes_that_do_not_fit_are_refused():
    B = np.random.default_rng(12).standard_normal((20, 2))
    with pytest.raises(DataError, match=r"the shapes of ZA = B and Cc = d do not fit: A \(4, 3\), B \(20, 2\)"):
        Constraints(np.eye(4)[:, :3], B, np.zeros((0, 4)), np.zeros(0))
    with pytest.raises(DataError, match="missing or infinite"):
        Constraints(np.eye(4)[:, :2], B * np.nan, np.zeros((0, 4)), np.zeros(0))
    with pytest.raises(DataError, match="the fixed columns are collinear"):
        first_columns(np.column_stack([B, np.zeros(20)]), 4, np.eye(4)[0])


# ---- families at the edge ------------------------------------------------------------------------
def test_a_design_without_any_signal_costs_its_variance_alone():
    family, common = random_family()
    v, l = np.hstack([family.v, np.zeros((20, 1))]), np.append(family.l, 0.0)
    still = Family(v, l, np.append(family.phi, 0.5), np.append(family.w, 1.0))
    constraints = first_columns(common, 4, np.eye(4)[0])
    found = solve(still, constraints)
    a = estimator(found.Z, found.c)
    assert found.objective == pytest.approx(objective(found.Z, found.c, family) + a @ a, rel=1e-12)


def test_a_null_design_of_phi_0_is_bias_alone():
    family, common = random_family()
    v, l = np.hstack([family.v, common[:, [1]] ** 2]), np.append(family.l, 0.0)
    null = Family(v, l, np.append(family.phi, 0.0), np.append(family.w, 1.0))
    found = solve(null, first_columns(common, 4, np.eye(4)[0]))
    leak = estimator(found.Z, found.c) @ null.v[:, -1]
    assert found.objective == pytest.approx(objective(found.Z, found.c, family) + 2 * leak**2, rel=1e-12)


def test_designs_within_the_fixed_columns_leave_no_direction_to_a_free_one():
    B = np.random.default_rng(13).standard_normal((20, 2))
    family = Family(B @ np.ones((2, 3)), np.ones(3), np.full(3, 0.5), np.ones(3))
    with pytest.raises(DataError, match=r"span 2 directions and the design would have 3 columns, .* ask for 1 fewer"):
        solve(family, first_columns(B, 3, np.eye(3)[0]))
