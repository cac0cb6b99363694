"""Several contrasts of one design, and amplitudes known by their second moments: against autograd, direct searches and
the sign copies that they replace.
"""

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
from formula_neuro_design.measures import measures
from formula_neuro_design.moments import moment_columns
from formula_neuro_design.objective import gradient, objective
from formula_neuro_design.paper import algorithm_1
from formula_neuro_design.solver import solve

N, M = 18, 6


def two_contrasts(seed: int = 1, own_phi: bool = True) -> tuple[Family, Array]:
    """Designs of two columns about common ones, an amplitude each; phi differs between contrasts or not."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((N, 2))
    X = common + 0.6 * rng.standard_normal((M, N, 2))
    b = rng.uniform(0.5, 2, (M, 2))
    phi = rng.uniform(0.1, 0.9, (2, M) if own_phi else M)
    return Family(np.einsum("mnk,mk->nm", X, b), b.T, phi, rng.uniform(0.5, 2, M)), common


def moment_family(seed: int = 2) -> tuple[Family, Array]:
    """Three designs of two columns with random second moments, so two columns stand for each, and two contrasts."""
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((N, 2))
    parts = []
    for _ in range(3):
        root = rng.standard_normal((2, 2))
        parts.append(moment_columns(common + 0.6 * rng.standard_normal((N, 2)), root @ root.T, np.eye(2)))
    v, l = (np.concatenate(x, axis=1) for x in zip(*parts, strict=True))
    phi, w = rng.uniform(0.1, 0.9, (2, 3)), rng.uniform(0.5, 2, 3)
    return Family(v, l, phi, w, of=np.repeat(np.arange(3), 2)), common


FAMILY, COMMON = two_contrasts()
TWO = np.eye(5)[:2]
IN_PART = np.array([[1.0, 1, 0, 0, 0], [0, 0, 1, -1, 0]])
CASES: dict[str, tuple[Family, Constraints]] = {
    "contrasts in the fixed columns": (FAMILY, first_columns(COMMON, 5, TWO)),
    "one phi for both": (two_contrasts(own_phi=False)[0], first_columns(COMMON, 5, TWO)),
    "as many free columns as contrasts": (FAMILY, first_columns(COMMON, 4, np.eye(4)[:2])),
    "one contrast in a free column": (FAMILY, first_columns(COMMON[:, :1], 4, np.eye(4)[:2])),
    "contrasts in all columns": (FAMILY, first_columns(COMMON, 5, np.random.default_rng(3).standard_normal((2, 5)))),
    "contrasts free": (FAMILY, first_columns(COMMON, 4, None)),
    "nothing fixed": (FAMILY, first_columns(np.zeros((N, 0)), 3, np.eye(3)[:2])),
    "no free column": (FAMILY, first_columns(COMMON, 2, np.eye(2))),
    "no free column, contrasts free": (FAMILY, first_columns(COMMON, 2, None)),
    "contrasts in part": (
        FAMILY,
        Constraints(np.eye(5)[:, :2], COMMON, IN_PART, np.array([[1, 0.2], [0, 1]])),
    ),
    "the same equation for both, all columns free": (
        FAMILY,
        Constraints(np.zeros((3, 0)), np.zeros((N, 0)), np.array([[1.0, 1, 1]]), np.array([[1.0], [1]])),
    ),
    "second moments": (moment_family()[0], first_columns(moment_family()[1], 5, TWO)),
}  # fmt: skip


# ---- objective -----------------------------------------------------------------------------------
def literal(Z: torch.Tensor, c: torch.Tensor, f: Family) -> torch.Tensor:
    """The paper's sum over designs and contrasts with explicit inverses, each design by its sum of v v'."""
    n, p = Z.shape
    K = torch.linalg.inv(Z.T @ Z)
    P = torch.eye(n, dtype=torch.float64) - Z @ K @ Z.T
    of, phi = np.arange(f.v.shape[1]) if f.of is None else f.of, np.broadcast_to(f.phi, (len(f.l), len(f.w)))
    total = torch.zeros((), dtype=torch.float64)
    for s in range(len(f.l)):
        a = Z @ K @ c[s]
        for i in range(len(f.w)):
            V, l = torch.tensor(f.v[:, of == i]), torch.tensor(f.l[s, of == i])
            variance = (c[s] @ K @ c[s]) * (1 + torch.trace(P @ V @ V.T) / (n - p))
            square = a @ V @ V.T @ a - 2 * (a @ V @ l) + l @ l
            total = total + f.w[i] * (2 * phi[s, i] * variance + (2 - 2 * phi[s, i]) * square)
    return total


@pytest.mark.parametrize("family", [FAMILY, moment_family()[0]], ids=["designs", "second moments"])
def test_the_objective_is_the_sum_over_contrasts_and_its_gradient_autograds(family: Family):
    rng = np.random.default_rng(4)
    Z, c = rng.standard_normal((N, 4)), rng.standard_normal((2, 4))
    at = [torch.tensor(x, requires_grad=True) for x in (Z, c)]
    value = literal(*at, family)
    value.backward()
    assert objective(Z, c, family) == pytest.approx(value.item(), rel=1e-12)  # both in double precision
    for own, other in zip(gradient(Z, c, family), at, strict=True):
        np.testing.assert_allclose(own, other.grad.numpy(), rtol=0, atol=1e-10 * np.abs(own).max())


def test_contrasts_of_one_design_add_up():
    rng = np.random.default_rng(5)
    Z, c = rng.standard_normal((N, 4)), rng.standard_normal((2, 4))
    alone = [objective(Z, c[s], replace(FAMILY, l=FAMILY.l[s], phi=FAMILY.phi[s])) for s in range(2)]
    assert objective(Z, c, FAMILY) == pytest.approx(sum(alone), rel=1e-13)


# ---- solver --------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", CASES)
def test_the_constraints_are_kept_and_the_gradient_within_them_vanishes(name: str):
    family, constraints = CASES[name]
    found = solve(family, constraints)
    A, N_c = constraints.A, constraints.free_directions()
    np.testing.assert_allclose(found.Z @ A, constraints.B, atol=1e-9)  # a few products of rounding
    sides = np.broadcast_to(constraints.d, (2, len(constraints.C)))
    np.testing.assert_allclose(found.c @ constraints.C.T, sides, atol=1e-9)
    dZ, dc = gradient(found.Z, found.c, family)
    # the search stops at 1e-10 in its own scale; Z and c are of order 1
    assert np.abs(dZ - dZ @ A @ np.linalg.pinv(A)).max() < 1e-6 and np.abs(dc @ N_c).max(initial=0) < 1e-6


@pytest.mark.parametrize("name", CASES)
def test_no_direct_search_finds_less(name: str):
    family, constraints = CASES[name]
    found = solve(family, constraints)
    (n, p), A, N_c = found.Z.shape, constraints.A, constraints.free_directions()
    away, k = np.eye(p) - A @ np.linalg.pinv(A), N_c.shape[1]
    rng = np.random.default_rng(6)

    def value(x: Array) -> tuple[float, Array]:
        Z, c = found.Z + x[: n * p].reshape(n, p) @ away, found.c + x[n * p :].reshape(2, k) @ N_c.T
        dZ, dc = gradient(Z, c, family)
        return objective(Z, c, family), np.concatenate([(dZ @ away).ravel(), (dc @ N_c).ravel()])

    for size in (0.0, 0.5):
        start = size * rng.standard_normal(n * p + 2 * k)
        other = optimize.minimize(value, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
        assert found.objective <= other.fun * (1 + 1e-8)


def test_one_contrast_given_as_a_table_is_that_contrast():
    alone = replace(FAMILY, l=FAMILY.l[0], phi=FAMILY.phi[0])
    single = solve(alone, first_columns(COMMON, 4, np.eye(4)[0]))
    table = solve(replace(alone, l=alone.l[None]), first_columns(COMMON, 4, np.eye(4)[:1]))
    assert single.c.shape == (4,) and table.c.shape == (1, 4)
    assert table.objective == pytest.approx(single.objective, rel=1e-12)


def test_algorithm_1_takes_several_contrasts_and_ends_above():
    family, constraints = CASES["contrasts in the fixed columns"]
    rng = np.random.default_rng(7)
    Z = np.hstack([COMMON, rng.uniform(size=(N, 3))])
    slow = algorithm_1(family, constraints, Z, TWO, most_steps=300)
    exact = solve(family, constraints)
    assert slow.c.tolist() == TWO.tolist()
    assert exact.objective <= slow.objective * (1 + 1e-9) and slow.objective < objective(Z, TWO, family)


# ---- second moments --------------------------------------------------------------------------------
def signed(phi: float = 0.2) -> tuple[Family, Family, Array]:
    """A nuisance of both signs beside a signal of both signs: as four designs each, and as moments of weight 4."""
    rng = np.random.default_rng(8)
    common = rng.standard_normal((N, 2))
    X = common + 0.5 * rng.standard_normal((5, N, 2))
    pairs = np.array([[1, 0.5], [-1, 0.5], [1, -0.5], [-1, -0.5]])
    v = np.concatenate([X @ b for b in pairs]).T
    copies = Family(v, np.repeat(pairs[:, 0], 5), np.full(20, phi), np.ones(20))
    parts = [moment_columns(own, np.diag([1, 0.25]), np.array([1.0, 0])) for own in X]
    v, l = (np.concatenate(x, axis=-1) for x in zip(*parts, strict=True))
    moments = Family(v, l, np.full(5, phi), np.full(5, 4.0), of=np.repeat(np.arange(5), 2))
    return copies, moments, common


@pytest.mark.parametrize("free", [False, True])
def test_sign_copies_are_the_second_moments(free: bool):
    copies, moments, common = signed()
    constraints = first_columns(common, 4, None if free else np.eye(4)[0])
    one, other = solve(copies, constraints), solve(moments, constraints)
    assert other.objective == pytest.approx(one.objective, rel=1e-11)
    assert objective(one.Z, one.c, moments) == pytest.approx(one.objective, rel=1e-11)


def test_moment_columns_have_the_moments_and_the_truth_first():
    rng = np.random.default_rng(9)
    X, root, c = rng.standard_normal((9, 3)), rng.standard_normal((3, 3)), np.array([1.0, -1, 0.5])
    S = root @ root.T
    v, l = moment_columns(X, S, c)
    np.testing.assert_allclose(v @ v.T, X @ S @ X.T, atol=1e-12)
    np.testing.assert_allclose(v @ l, X @ S @ c, atol=1e-12)
    np.testing.assert_allclose(l, [np.sqrt(c @ S @ c), 0, 0], atol=1e-12)


def test_amplitudes_that_are_known_have_one_column_and_those_of_0_none():
    X, b = np.random.default_rng(10).standard_normal((9, 2)), np.array([2.0, 0.5])
    v, l = moment_columns(X, np.outer(b, b), np.array([1.0, 0]))
    np.testing.assert_allclose(v[:, 0], X @ b, atol=1e-12)
    assert v.shape == (9, 1) and l.tolist() == pytest.approx([2])
    assert moment_columns(X, np.zeros((2, 2)), np.array([1.0, 0]))[0].shape == (9, 0)


# ---- what is refused -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        (first_columns(COMMON, 3, np.eye(3)[:2]), "2 contrasts need 2 free columns beside 2 fixed .* ask for 4, not 3"),
        (first_columns(COMMON, 4, np.eye(4)[0]), "the family has 2 contrasts and Cc = d 1"),
        (first_columns(COMMON[:-1], 4, TWO[:, :4]), "17 scans and the designs 18"),
    ],
)  # fmt: skip
def test_problems_that_do_not_fit_together_are_refused(constraints: Constraints, said: str):
    with pytest.raises(DataError, match=said):
        solve(FAMILY, constraints)


def test_contrasts_that_follow_from_others_are_refused():
    with pytest.raises(DataError, match="linearly dependent"):
        first_columns(COMMON, 5, np.array([[1.0, 0, 0, 0, 0], [2, 0, 0, 0, 0]]))
    with pytest.raises(DataError, match="the contrast is 0 in every design"):
        replace(FAMILY, l=FAMILY.l * [[1], [0]])


@pytest.mark.parametrize(
    ("S", "said"),
    [
        (np.eye(3), "a symmetric table 2 by 2"),
        (np.array([[1.0, 1], [0, 1]]), "a symmetric table 2 by 2"),
        (np.diag([1.0, -1]), "one has -1"),
        (np.diag([1.0, np.nan]), "a symmetric table 2 by 2"),
    ],
)
def test_second_moments_that_are_none_are_refused(S: Array, said: str):
    with pytest.raises(DataError, match=said):
        moment_columns(np.ones((9, 2)), S, np.array([1.0, 0]))


@pytest.mark.parametrize(
    ("of", "said"),
    [(np.zeros(4, int), "of says the design"), (np.array([0, 0, 2, 2, 2, 2]), "of says the design"),
     (np.array([0, 0, 1, 1, 2, 2]), r"phi has the shape \(2, 6\); one value for 3 designs")],
)  # fmt: skip
def test_columns_without_a_design_are_refused(of: Array, said: str):
    with pytest.raises(DataError, match=said):
        replace(FAMILY, of=of)


# ---- measures ------------------------------------------------------------------------------------
def test_a_nuisance_of_unknown_amplitude_leaks_what_its_sign_copies_add():
    copies, moments, _ = signed()
    rng = np.random.default_rng(11)
    Z, c, g = rng.standard_normal((N, 3)), rng.standard_normal(3), np.ones(5)
    each = measures(Z, c, copies, np.ones(20)).bias.reshape(4, 5)
    told = measures(Z, c, moments, g)
    np.testing.assert_allclose(told.bias, each.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(told.leak, each.std(axis=0), atol=1e-12)  # the signal's amplitude is 1


def test_measures_of_several_contrasts_are_those_of_each():
    rng = np.random.default_rng(12)
    Z, c, g = rng.standard_normal((N, 3)), rng.standard_normal((2, 3)), rng.uniform(1, 2, (2, M))
    told = measures(Z, c, FAMILY, g)
    for s in range(2):
        alone = measures(Z, c[s], replace(FAMILY, l=FAMILY.l[s], phi=FAMILY.phi[s]), g[s])
        np.testing.assert_allclose(told.bias[s], alone.bias, atol=1e-12)
        np.testing.assert_allclose(told.variance_change[s], alone.variance_change, atol=1e-12)
    assert told.leak.max() < 1e-12  # one column a design: no amplitude is unknown
