"""NSGA-II: sorting and crowding by hand, operators within bounds, and the front of a known problem."""

from __future__ import annotations

import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.errors import Unable
from formula_neuro_neuralmass.evolution import nsga2

rng = np.random.default_rng(0)


def zdt1(p):
    """Zitzler, Deb & Thiele 2000: the front is f1 = 1 - sqrt(f0), where all genes but the first are 0."""
    rest = np.mean([p[f"x{k}"] for k in range(1, 6)])
    g = 1 + 9 * rest
    return p.x0, g * (1 - np.sqrt(p.x0 / g))


def test_fronts_equal_a_sort_by_definition():
    fitness = rng.integers(0, 6, (60, 3)).astype(float)
    left, expected, level = set(range(60)), np.full(60, -1), 0
    while left:
        beaten = {j for j in left for i in left if (fitness[i] >= fitness[j]).all() and (fitness[i] > fitness[j]).any()}
        expected[list(left - beaten)] = level
        left, level = beaten, level + 1
    assert np.array_equal(nsga2.fronts(fitness), expected)


def test_fronts_are_the_same_in_blocks(monkeypatch):
    fitness = rng.normal(size=(50, 2))
    whole = nsga2.fronts(fitness)
    monkeypatch.setattr(nsga2, "BLOCK", 300)
    assert np.array_equal(nsga2.fronts(fitness), whole)


def test_crowding_is_the_neighbours_distance_in_ranges():
    fitness = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]])
    far = nsga2.crowding(fitness)
    assert np.isinf(far[[0, 3]]).all()
    assert np.allclose(far[[1, 2]], [3 / 4 + 3 / 4, 3 / 4 + 2 / 4])


def test_the_best_are_whole_fronts_and_then_the_least_crowded():
    fitness = np.array([[0.0, 4.0], [4.0, 0.0], [2.0, 2.0], [2.1, 1.9], [0.5, 0.5], [0.0, 0.0]])
    assert nsga2.best_crowded(fitness, 5).tolist()[:2] == [0, 1]
    assert set(nsga2.best_crowded(fitness, 4)) == {0, 1, 2, 3} and nsga2.best_crowded(fitness, 5)[-1] == 4


def test_tournaments_are_won_by_the_lower_front_and_everyone_takes_part_twice():
    fitness = np.arange(8.0)[:, None]
    winners = nsga2.tournament(fitness, 8, np.random.default_rng(1))
    counts = np.bincount(winners, minlength=8)
    assert counts[7] == 2 and counts[0] == 0 and counts.sum() == 8


def test_crossover_keeps_the_pairs_mean_far_from_the_bounds():
    bounds = np.array([[-1000.0, 1000.0]] * 3)
    a, b = rng.normal(size=(500, 3)), rng.normal(size=(500, 3))
    c, d = nsga2.BoundedCrossover(bounds)(a, b, np.random.default_rng(0))
    assert np.allclose(c + d, a + b, atol=1e-6)  # the bounds' share of the distribution is (1/1000)^21
    assert 0.4 < np.isclose(c, a).mean() < 0.8  # half of the genes, and children near their parents


def test_crossover_and_mutation_stay_within_bounds():
    bounds = np.array([[0.0, 1.0], [-3.0, -2.0]])
    a, b = (rng.uniform(*bounds.T, (2000, 2)) for _ in range(2))
    a[:100] = bounds[:, 0]
    c, d = nsga2.BoundedCrossover(bounds)(a, b, np.random.default_rng(0))
    for rows in (c, d, nsga2.polynomial(a, bounds, np.random.default_rng(0))):
        assert (rows >= bounds[:, 0]).all() and (rows <= bounds[:, 1]).all()


def test_each_gene_is_mutated_with_probability_one_by_their_number():
    bounds = np.array([[0.0, 1.0]] * 5)
    rows = np.full((40_000, 5), 0.5)
    moved = (nsga2.polynomial(rows, bounds, np.random.default_rng(0)) != rows).mean(axis=0)
    assert np.allclose(moved, 0.2, atol=4 * np.sqrt(0.16 / 40_000))  # four standard errors


def test_mutations_sizes_follow_debs_distribution():
    bounds = np.array([[-1e6, 1e6]])
    moved = nsga2.polynomial(np.zeros((200_000, 1)), bounds, np.random.default_rng(0))[:, 0] / 2e6
    # in the middle of wide bounds |delta| = 1 - (1 - v)^(1/21), v uniform, up to (1/2)^21: median 1 - 0.5^(1/21)
    assert np.isclose(np.median(np.abs(moved)), 1 - 0.5 ** (1 / 21), rtol=0.02)
    assert abs((moved > 0).mean() - 0.5) < 4 * np.sqrt(0.25 / 200_000)


def test_the_front_of_zdt1_is_found():
    bounds = {f"x{k}": (0, 1) for k in range(6)}
    w = fn.evolve(zdt1, bounds, method="nsga2", population=60, initial=60, generations=120, seed=1)
    front = w.pareto()
    assert np.abs(front["f1"] - (1 - np.sqrt(front["f0"]))).max() < 0.02  # a random front is more than 1 away
    assert front["f0"].min() < 0.01 and front["f0"].max() > 0.95
    assert np.diff(np.sort(w.population["f0"])).max() < 0.1  # spread along the front: 60 individuals in 1
    assert (np.diff(front["f0"]) >= 0).all() and (np.diff(front["f1"]) <= 0).all()


def test_several_numbers_have_a_front_and_no_best():
    w = fn.evolve(lambda p: (p.x, -p.x), {"x": (0, 1)}, method="nsga2", generations=2, seed=1)
    with pytest.raises(Unable, match="pareto"):
        w.best  # noqa: B018
    assert len(w.pareto()) == len(w.to_frame())  # none beats another
