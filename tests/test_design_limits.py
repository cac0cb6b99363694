"""The least variance within a limit of the bias, and weights by the largest bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro_design.bounded import least_variance
from formula_neuro_design.constraints import Constraints, first_columns
from formula_neuro_design.family import Family
from formula_neuro_design.measures import gauss_markov, measures
from formula_neuro_design.minimax import minimax
from formula_neuro_design.moments import moment_columns
from formula_neuro_design.objective import estimator
from formula_neuro_design.solver import solve

T = np.arange(80)


def ramps() -> tuple[Family, Array, Constraints]:
    """A slow ramp at 12 delays beside a drift, which is fixed with the ramp in a design of three columns."""
    late = np.stack([np.clip((T - 15 - i) / 20, 0, 1) for i in range(12)], axis=1)
    late, drift = late - late.mean(axis=0), T / 80 - np.mean(T / 80)
    X = np.stack([np.column_stack([x, drift]) for x in late.T])
    family = Family(X.dot([3, 1.5]).T, np.full(12, 3.0), np.full(12, 0.5), np.ones(12))
    return family, gauss_markov(X, np.array([1.0, 0])), first_columns(X[0], 3, np.eye(3)[0])


def second_moments() -> tuple[Family, Constraints]:
    """Four designs with a nuisance of unknown amplitude each."""
    parts = [moment_columns(np.column_stack([np.roll(T, i) / 80.0, T**2 / 6400.0]), np.eye(2), np.array([1.0, 0]))
             for i in range(4)]  # fmt: skip
    v, l = (np.concatenate(x, axis=-1) for x in zip(*parts, strict=True))
    family = Family(v, l, np.full(4, 0.5), np.ones(4), of=np.repeat(np.arange(4), 2))
    return family, first_columns(np.zeros((80, 0)), 3, np.eye(3)[0])


# ---- a limit of the bias ---------------------------------------------------------------------------
@pytest.mark.parametrize("limit", [0.3, 0.1, 0.02])
def test_the_least_variance_within_a_limit_is_that_of_a_quadratic_programme(limit: float):
    family, _, constraints = ramps()
    found = least_variance(family, constraints, limit)
    a = estimator(found.Z, found.c)
    B = constraints.B
    told = optimize.minimize(
        lambda x: x @ x, a * 1.01, jac=lambda x: 2 * x, method="SLSQP", options={"ftol": 1e-14, "maxiter": 500},
        constraints=[
            {"type": "eq", "fun": lambda x: B.T @ x - [1, 0], "jac": lambda x: B.T},
            {"type": "ineq", "fun": lambda x: limit - (family.v.T @ x / 3 - 1), "jac": lambda x: -family.v.T / 3},
            {"type": "ineq", "fun": lambda x: limit + (family.v.T @ x / 3 - 1), "jac": lambda x: family.v.T / 3},
        ],
    )  # fmt: skip
    assert a @ a == pytest.approx(told.fun, rel=1e-6)  # SLSQP's own accuracy


def test_no_phi_has_less_variance_within_the_limit():
    family, g, constraints = ramps()
    size = {}
    for phi in np.geomspace(0.9, 1e-4, 25):
        found = solve(replace(family, phi=np.full(12, phi)), constraints)
        bias = np.abs(measures(found.Z, found.c, family, g).bias).max()
        own = least_variance(family, constraints, float(bias))
        size[phi] = [(estimator(s.Z, s.c) ** 2).sum() for s in (own, found)]
    ours, theirs = np.array(list(size.values())).T
    assert (ours <= theirs * (1 + 1e-6)).all()  # rounding of the limit
    assert (ours < 0.99 * theirs).any()


def test_a_tighter_limit_costs_variance_until_none_can_be_kept():
    family, _, constraints = ramps()
    sizes = [
        (estimator(s.Z, s.c) ** 2).sum() for s in (least_variance(family, constraints, x) for x in (0.3, 0.1, 0.03))
    ]
    assert sizes == sorted(sizes)
    many = Family(np.hstack([family.v, -family.v]), np.full(24, 3.0), np.full(24, 0.5), np.ones(24))
    with pytest.raises(DataError, match=r"largest bias is 0.05 or less: (1|0.99\d?) can be kept; give a larger"):
        least_variance(many, first_columns(np.zeros((80, 0)), 3, np.eye(3)[0]), 0.05)


def test_a_limit_that_the_fixed_columns_keep_calls_for_no_more():
    family, _, constraints = ramps()
    found = least_variance(family, constraints, 0.99)
    least = np.linalg.inv(constraints.B.T @ constraints.B)[0, 0]
    assert (estimator(found.Z, found.c) ** 2).sum() == pytest.approx(least, rel=0.01)  # phi is .999, not 1
    nothing_free = least_variance(family, first_columns(constraints.B, 2, np.eye(2)[0]), 0.99)
    assert (estimator(nothing_free.Z, nothing_free.c) ** 2).sum() == pytest.approx(least, rel=1e-9)
    with pytest.raises(DataError, match=r"largest bias is 0\.01 or less: .* was reached"):
        least_variance(family, first_columns(constraints.B, 2, np.eye(2)[0]), 0.01)


def test_amplitudes_of_either_sign_leak_no_more_than_the_limit():
    family, constraints = second_moments()
    found = least_variance(family, constraints, 0.1)
    given = estimator(found.Z, found.c) @ family.v - family.l
    assert np.abs(given).max() <= 0.1 * (1 + 1e-5)  # l is 1 or 0 in the columns of these moments


@pytest.mark.parametrize("limit", [0.0, -1.0, 1.0, 5.0, np.nan, np.inf])  # an estimate of 0 has the bias 1
def test_a_limit_is_a_share_between_0_and_1(limit: float):
    family, _, constraints = ramps()
    with pytest.raises(DataError, match="the largest bias allowed is"):
        least_variance(family, constraints, limit)


# ---- the largest bias ------------------------------------------------------------------------------
def test_minimax_weights_lower_the_largest_bias_until_the_worst_designs_share_it():
    family, g, constraints = ramps()
    plain = solve(family, constraints)
    found = minimax(family, constraints)
    before, after = (np.abs(measures(s.Z, s.c, family, g).bias) for s in (plain, found.solution))
    assert found.max_bias[0] == pytest.approx(before.max(), rel=1e-9)
    assert after.max() == pytest.approx(found.max_bias.min(), rel=1e-9) and after.max() < 0.7 * before.max()
    worst = found.family.w > 0.01  # Lawson's weights vanish where the bias is below the largest
    np.testing.assert_allclose(after[worst], after.max(), rtol=0.02)  # rounds end at a gain of 1e-4
    assert found.family.w.sum() == pytest.approx(12, rel=1e-12)


def test_minimax_leaves_null_designs_their_weight():
    family, _, constraints = ramps()
    null = np.linspace(-1, 1, 80)[:, None] ** 3
    v, l = np.hstack([family.v, null]), np.append(family.l, 0.0)
    both = Family(v, l, np.full(13, 0.5), np.full(13, 2.0))
    assert minimax(both, constraints, rounds=5).family.w[-1] == 2


def test_no_round_is_worse_than_the_familys_own_weights():
    family, _, constraints = ramps()
    one = minimax(family, constraints, rounds=1)
    assert one.rounds == 1 and (one.family.w == family.w).all()
