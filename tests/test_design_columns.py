"""How many columns: the sweep over p, its two rules, and the paper's Algorithms 2 and 3."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro_design.constraints import Constraints, first_columns
from formula_neuro_design.paper import algorithm_2, algorithm_3, random_design
from formula_neuro_design.solver import solve
from formula_neuro_design.sweep import Sweep, range_of_columns, sweep

from .infusion_designs import infusion


def of(B: Array):
    return lambda p: first_columns(B, p, np.eye(p)[0])


def made(objectives: list[float], n: int = 50) -> Sweep:
    family, B = infusion(60, 5)
    any_ = solve(family, first_columns(B, 2, np.eye(2)[0]))
    return Sweep(n, np.arange(2, 2 + len(objectives)), tuple(replace(any_, objective=x) for x in objectives))


def test_the_papers_rule_chooses_three_columns_for_validation_a():
    family, B = infusion()
    found = sweep(family, of(B), range(2, 8))
    assert found.by_reduction() == 3
    assert found.reduction()[[0]].tolist() == [0] and found.reduction().max() == 1


def test_solutions_of_the_sweep_are_those_of_each_number_of_columns():
    family, B = infusion(60, 12)
    found = sweep(family, of(B), range(2, 7))
    for p, own in zip(found.columns, found.solutions, strict=True):
        assert own.objective == pytest.approx(solve(family, of(B)(int(p))).objective, rel=1e-9)
    assert found.solution(4) is found.solutions[2]


def test_a_column_is_kept_for_more_than_its_share_of_the_degrees_of_freedom():
    # of 48 degrees of freedom a column takes 2.08 %: 2.2 % is worth it, 2.0 % is not
    assert made([100, 97.8]).by_gain() == 3 and made([100, 98.0]).by_gain() == 2
    assert made([100, 50, 49.9, 60]).by_gain() == 3


def test_the_rule_of_gain_does_not_depend_on_where_the_range_ends():
    values = [100.0, 20, 19.9, 19.89, 19.88]
    assert {made(values[:k]).by_gain() for k in range(2, 6)} == {3}


def test_the_papers_rule_is_the_first_share_of_the_whole_fall():
    assert made([100, 10, 4, 0]).by_reduction() == 4 and made([100, 10, 4, 0]).by_reduction(0.9) == 3
    assert made([5, 5]).by_reduction() == 2  # no column lowers anything


def test_the_table_has_gain_and_price_of_each_column():
    table = made([100, 50, 40]).to_frame()
    assert table["gain"].tolist()[1:] == pytest.approx([0.5, 0.2])
    assert table["price"].tolist()[1:] == pytest.approx([1 / 48, 1 / 47])
    assert np.isnan(table.loc[0, ["gain", "price"]].astype(float)).all()


def test_algorithm_2_with_the_papers_search_chooses_as_the_exact_solver():
    family, B = infusion(40, 5)
    rng = np.random.default_rng(1)
    slow = algorithm_2(family, of(B), range(2, 5), lambda own: random_design(own, 40, rng), most_steps=1000)
    exact = sweep(family, of(B), range(2, 5))
    assert slow.by_reduction() == exact.by_reduction()
    assert (slow.objectives >= exact.objectives * (1 - 1e-9)).all()


def test_algorithm_3_is_the_median_over_random_starts():
    family, B = infusion(30, 3)
    median, each = algorithm_3(family, of(B), range(2, 4), 3, np.random.default_rng(2), most_steps=200)
    assert len(each) == 3 and median == np.sort(each)[1]


def test_a_random_start_keeps_the_constraints():
    rng = np.random.default_rng(3)
    A, B, C = rng.standard_normal((4, 2)), rng.standard_normal((20, 2)), np.array([[1.0, 1, 0, 0]])
    Z, c = random_design(Constraints(A, B, C, np.array([3.0])), 20, rng)
    np.testing.assert_allclose(Z @ A, B, atol=1e-12)
    assert C @ c == pytest.approx([3])


def test_the_range_ends_where_the_designs_or_the_scans_do():
    family, B = infusion(60, 4)
    assert range_of_columns(family, B, 2) == range(2, 6)  # the first delay is fixed: 3 others, and 2 fixed
    assert range_of_columns(family, B, 3, most=4) == range(3, 5)
    assert range_of_columns(infusion(60, 30)[0], B, 2) == range(2, 11)
    with pytest.raises(DataError, match=r"no number of columns from 7 to 5 is possible: .* span 5 directions of 60"):
        range_of_columns(family, B, 7)


@pytest.mark.parametrize("columns", [[], [3, 2], [2, 2], [0, 1]])
def test_numbers_of_columns_that_make_no_sense_are_refused(columns: list[int]):
    family, B = infusion(60, 4)
    with pytest.raises(DataError, match="rising whole numbers from 1"):
        sweep(family, of(B), columns)


@pytest.mark.parametrize("cutoff", [0.5, 1.0])
def test_cutoffs_that_make_no_sense_are_refused(cutoff: float):
    with pytest.raises(DataError, match=r"between \.5 and 1"):
        made([2, 1]).by_reduction(cutoff)
