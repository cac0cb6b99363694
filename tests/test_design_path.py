"""Choosing phi by a limit of bias or variance, and weights by the largest bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro_design.constraints import Constraints, first_columns
from formula_neuro_design.family import Family
from formula_neuro_design.measures import gauss_markov, measures
from formula_neuro_design.minimax import minimax
from formula_neuro_design.moments import moment_columns
from formula_neuro_design.path import Trade, by_bias, by_variance, trade
from formula_neuro_design.solver import solve

T = np.arange(80)


def ramps() -> tuple[Family, Array, Constraints]:
    """A slow ramp at 12 delays beside a drift, which is fixed with the ramp in a design of three columns."""
    late = np.stack([np.clip((T - 15 - i) / 20, 0, 1) for i in range(12)], axis=1)
    late, drift = late - late.mean(axis=0), T / 80 - np.mean(T / 80)
    X = np.stack([np.column_stack([x, drift]) for x in late.T])
    family = Family(X.dot([3, 1.5]).T, np.full(12, 3.0), np.full(12, 0.5), np.ones(12))
    return family, gauss_markov(X, np.array([1.0, 0])), first_columns(X[0], 3, np.eye(3)[0])


def problem(choice: str = "phi") -> Trade:
    family, g, constraints = ramps()
    return trade(family, constraints, g, choice)


# ---- the path --------------------------------------------------------------------------------------
@pytest.mark.parametrize("choice", ["phi", "A", "B"])
def test_points_of_the_path_are_solutions_from_scratch(choice: str):
    family, _, constraints = ramps()
    for point in list(problem(choice).points())[::6]:
        alone = solve(replace(family, phi=point.phi), constraints)
        assert point.solution.objective == pytest.approx(alone.objective, rel=1e-9)


def test_squared_bias_falls_along_the_path():
    family, g, _ = ramps()
    sums = [
        (measures(p.solution.Z, p.solution.c, family, g).bias ** 2).sum() for p in problem().points()
    ]  # that of least squares, which no point with a smaller phi can exceed
    assert (np.diff(sums) <= 1e-9).all()


@pytest.mark.parametrize("choice", ["phi", "A", "B"])
def test_the_bias_chosen_is_the_limit_but_for_a_thousandth_of_the_setting(choice: str):
    chosen = by_bias(problem(choice), 0.05)
    assert chosen.max_bias <= 0.05
    one_less = chosen.setting * (1.002 if choice == "phi" else 1 / 1.002)
    assert problem(choice).point(one_less).max_bias > 0.05


def test_the_variance_chosen_is_the_limit_but_for_a_thousandth_of_the_setting():
    chosen = by_variance(problem(), 0.2)
    assert chosen.max_change <= 0.2 and problem().point(chosen.setting / 1.002).max_change > 0.2


def test_limits_that_are_no_limits_choose_the_ends():
    assert by_bias(problem(), 10.0).setting == pytest.approx(0.9)
    assert by_variance(problem(), 10.0).setting == pytest.approx(1e-6)


def test_the_path_takes_second_moments():
    parts = [moment_columns(np.column_stack([np.roll(T, i) / 80.0, T**2 / 6400.0]), np.eye(2), np.array([1.0, 0]))
             for i in range(4)]  # fmt: skip
    v, l = (np.concatenate(x, axis=-1) for x in zip(*parts, strict=True))
    family = Family(v, l, np.full(4, 0.5), np.ones(4), of=np.repeat(np.arange(4), 2))
    found = trade(family, first_columns(np.zeros((80, 0)), 3, np.eye(3)[0]), np.ones(4), "A").point(100.0)
    assert found.phi.shape == (4,) and 0 < found.max_bias < 1


@pytest.mark.parametrize(
    ("choose", "limit", "said"),
    [
        (by_bias, 1e-9, r"largest bias is 1e-09 or less: [\d.e-]+ was reached; ask for more columns"),
        (by_variance, -0.99, r"changes by -0.99 or less: [\d.e-]+ was reached"),
        (by_bias, 0.0, "the largest bias allowed is 0"),
        (by_bias, np.nan, "the largest bias allowed is nan"),
        (by_variance, -1.5, "the largest variance change"),
    ],
)
def test_limits_out_of_reach_are_told_with_what_was_reached(choose, limit: float, said: str):
    with pytest.raises(DataError, match=said):
        choose(problem(), limit)


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
