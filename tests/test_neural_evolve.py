"""fn.evolve: the adaptive method, what an objective may answer, stopping, going on, and one seed one evolution."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

import formula_neuro as fn
from formula_neuro.errors import DataError, Unable
from formula_neuro_neuralmass.evolution import adaptive
from formula_neuro_neuralmass.evolution.methods import within

SQUARE = {"x": (-5, 5), "y": (-5, 5)}
needs_cma = pytest.mark.skipif(importlib.util.find_spec("cma") is None, reason="cma is not installed")


def _same(a, b):
    assert_frame_equal(a, b, check_exact=True)


def circle(p):
    return (p.x**2 + p.y**2 - 1) ** 2


def sphere(p):
    return (p.x - 1) ** 2 + (p.y + 2) ** 2


def test_the_toy_makes_550_evaluations_and_ends_on_the_unit_circle():
    calls = []
    w = fn.evolve(lambda p: calls.append(p.id) or circle(p), SQUARE, population=50, initial=100, generations=10, seed=1)
    radius = np.hypot(w.population["x"], w.population["y"])
    assert calls == list(range(550)) and len(w.to_frame()) == 550
    assert len(w.population) == 50
    assert abs(np.hypot(w.best["x"], w.best["y"]) - 1) < 0.01  # f0 < 4e-4 at this distance
    assert radius.between(0.6, 1.4).all()  # within 10 generations; uniform individuals would be at 0 to 7


def test_adaptive_finds_the_minimum_of_a_sphere():
    w = fn.evolve(sphere, SQUARE, generations=40, seed=3)
    assert np.allclose([w.best["x"], w.best["y"]], [1, -2], atol=0.02)


def test_positive_weights_maximise():
    w = fn.evolve(lambda p: -sphere(p), SQUARE, weights=1, generations=20, seed=3)
    same = fn.evolve(sphere, SQUARE, weights=-1, generations=20, seed=3)
    assert np.array_equal(w.to_frame()["x"], same.to_frame()["x"])


def test_ranks_become_parents_with_the_formulas_probability():
    fitness = np.array([[3.0], [1.0], [2.0], [0.0]])
    drawn = adaptive.by_rank(fitness, 200_000, np.random.default_rng(0))
    shares = np.bincount(drawn, minlength=4) / 200_000
    rank = np.array([3, 1, 2, 0])
    expected = (2 - 1.5) / 4 + 2 * (1.5 - 1) * rank / (4 * 3)
    assert np.allclose(shares, expected, atol=4 * np.sqrt(0.25 / 200_000))  # four standard errors at most
    assert np.isclose(adaptive.rank_probabilities(50).sum(), 1)


def test_blend_mixes_each_gene_and_step_of_both_parents_alike():
    a, b = np.zeros((4000, 4)), np.ones((4000, 4))
    first, second = adaptive.blend(a, b, np.random.default_rng(0))
    assert np.allclose(first + second, 1)
    assert first.min() >= -0.5 and first.max() <= 1.5
    assert np.isclose(first.mean(), 0.5, atol=4 * 2 / np.sqrt(12 * 16_000))  # four errors of a uniform of width 2
    assert len(np.unique(first[0])) == 4


def test_mutation_has_the_papers_sizes():
    rows = np.tile([0.0, 0.0, 0.5, 2.0], (200_000, 1))
    done = adaptive.self_adaptive(rows, np.array([[-1.0, 1.0]] * 2), np.random.default_rng(0))
    log_sizes = np.log(done[:, 2:] / [0.5, 2.0])
    each, common = 1 / (2 * np.sqrt(2)), 1 / (2 * 2)  # gamma^2 and gamma_g^2 of two genes
    assert np.allclose(np.cov(log_sizes.T), [[each + common, common], [common, each + common]], atol=0.01)
    assert np.allclose((done[:, :2] / done[:, 2:]).std(axis=0), 1, atol=0.01)  # error of an sd: 1 / sqrt(400,000)


def test_a_mutation_that_leaves_the_bounds_is_repeated_and_then_clipped():
    bounds = np.array([[0.0, 1.0]])
    tries = []

    def outwards(rows, bounds, rng):
        tries.append(len(rows))
        return rows + 5

    assert within(outwards, np.array([[0.5], [-4.5]]), bounds, np.random.default_rng(0)).tolist() == [[1.0], [0.5]]
    assert tries == [2] + [1] * 99


def test_all_individuals_are_within_their_bounds():
    table = fn.evolve(lambda p: p.x + p.y, SQUARE, seed=2).to_frame()
    assert table[["x", "y"]].abs().to_numpy().max() <= 5


@pytest.mark.parametrize("method", ["adaptive", "nsga2", pytest.param("cma", marks=needs_cma)])
def test_failed_individuals_have_no_children_and_are_not_left(method):
    def fails_on_the_left(p):
        return np.nan if p.x < 0 else circle(p)

    w = fn.evolve(fails_on_the_left, SQUARE, method=method, seed=1)
    table = w.to_frame()
    failed = set(table.loc[table["status"] == "failed", "id"])
    assert failed and not failed & set(table["parent1"].dropna()) and not failed & set(table["parent2"].dropna())
    assert (w.population["status"] == "ok").all() and (w.population["x"] >= 0).all()
    assert w.scores["failed"].sum() == len(failed) and f"{len(failed)} of {len(table)}" in w.messages[-1]


def test_new_individuals_stand_in_for_failed_ones():
    def fails_at_first(p):
        return np.nan if p.id < 90 else circle(p)

    w = fn.evolve(fails_at_first, SQUARE, generations=2, seed=1)
    second = w.to_frame().query("generation == 1")
    assert len(second) == 50 + 40 and int(second["parent1"].isna().sum()) == 40  # ten of the first hundred are sound


def test_a_generation_that_fails_as_a_whole_is_drawn_anew():
    w = fn.evolve(lambda p: np.nan if p.generation == 0 else circle(p), SQUARE, generations=3, seed=1)
    assert w.scores["evaluated"].tolist() == [100, 50, 50] and np.isnan(w.scores["best"][0])


def test_an_evolution_of_failures_has_no_best():
    w = fn.evolve(lambda p: np.inf, SQUARE, generations=2, seed=1)
    assert not len(w.population)
    with pytest.raises(Unable, match="all 150 individuals have failed"):
        w.best  # noqa: B018
    assert "150 of 150" in repr(w)


@pytest.mark.parametrize("method", ["adaptive", "nsga2", pytest.param("cma", marks=needs_cma)])
def test_one_seed_gives_one_evolution_for_any_workers(method):
    options = {"method": method, "population": 12, "generations": 4, "seed": 5}
    here = fn.evolve(circle, SQUARE, **options).to_frame()
    _same(here, fn.evolve(circle, SQUARE, workers=2, **options).to_frame())
    assert not here.equals(fn.evolve(circle, SQUARE, **{**options, "seed": 6}).to_frame())


@needs_cma
def test_cma_leaves_numpys_own_generator_alone():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fn.evolve(circle, SQUARE, method="cma", generations=3, seed=1)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@needs_cma
def test_cma_finds_the_minimum_of_a_sphere():
    w = fn.evolve(sphere, SQUARE, method="cma", generations=60, seed=1)
    assert np.allclose([w.best["x"], w.best["y"]], [1, -2], atol=1e-3)


@pytest.mark.parametrize("method", ["adaptive", "nsga2", pytest.param("cma", marks=needs_cma)])
def test_an_evolution_goes_on_as_if_it_had_not_stopped(method, tmp_path):
    whole = fn.evolve(circle, SQUARE, method=method, generations=6, seed=7)
    part = fn.evolve(circle, SQUARE, method=method, generations=3, seed=7)
    read = fn.load_evolution(part.save(tmp_path / "part.npz"))
    _same(part.resume(6).to_frame(), whole.to_frame())
    _same(fn.evolve(circle, start=read, generations=6).to_frame(), whole.to_frame())


def test_a_file_holds_the_whole_evolution(tmp_path):
    w = fn.evolve(lambda p: (circle(p), {"radius": np.hypot(p.x, p.y)}), SQUARE, stop=(1e-2, 3), seed=7)
    read = fn.load_evolution(w.save(tmp_path / "w.npz"))
    _same(read.to_frame(), w.to_frame())
    assert repr(read) == repr(w) and read.plan.stop == w.plan.stop
    with pytest.raises(Unable, match="start=w"):
        read.resume(20)
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(DataError, match="holds no evolution"):
        fn.load_evolution(tmp_path / "bad.npz")


def test_it_stops_when_enough_individuals_reach_the_fitness():
    w = fn.evolve(circle, SQUARE, generations=100, stop=(0.05, 10), seed=1)
    reached = [(w.history.fitness[ids, 0] <= 0.05).sum() for ids in w.history.populations]
    assert reached[-1] >= 10 and max(reached[:-1]) < 10 and len(reached) < 100
    assert f"after generation {len(reached) - 1}" in w.messages[0]


def test_results_beside_the_fitness_are_kept_and_single_ones_become_columns():
    w = fn.evolve(lambda p: ((p.x, p.y), {"sum": p.x + p.y, "trace": np.arange(3)}), SQUARE, generations=1, seed=1)
    table = w.to_frame()
    assert np.array_equal(table["sum"], table["x"] + table["y"]) and "trace" not in table
    assert w.results[5]["trace"].tolist() == [0, 1, 2]
    assert np.allclose(table["score"], -(table["f0"] + table["f1"]) / 2)


def test_an_objective_may_get_a_generation_at_once():
    one = fn.evolve(circle, SQUARE, seed=1).to_frame()
    whole = fn.evolve(lambda t: (t["x"] ** 2 + t["y"] ** 2 - 1) ** 2, SQUARE, batch=True, seed=1).to_frame()
    _same(one, whole)
    two = fn.evolve(lambda t: t[["x", "y"]].to_numpy(), SQUARE, batch=True, generations=2, seed=1)
    assert two.history.fitness.shape == (150, 2)
    with pytest.raises(DataError, match="answered 3 rows for 100 individuals"):
        fn.evolve(lambda t: [1, 2, 3], SQUARE, batch=True)


def test_own_operators_are_used():
    def best_two(fitness, count, rng):
        return np.resize(np.argsort(-fitness.sum(axis=1))[:2], count)

    def swap(a, b, rng):
        return b, a

    def still(rows, bounds, rng):
        return rows

    w = fn.evolve(circle, SQUARE, selection=best_two, mate=swap, mutate=still, generations=2, seed=1)
    first, second = w.to_frame().query("generation == 0"), w.to_frame().query("generation == 1")
    best = first.nsmallest(2, "f0")
    assert set(second["parent1"]) | set(second["parent2"]) == set(best["id"])
    assert sorted(set(second["f0"])) == sorted(best["f0"])


def test_an_operators_wrong_answer_is_refused():
    with pytest.raises(DataError, match=r"mate answered an array \(25, 2\); \(25, 4\)"):
        fn.evolve(circle, SQUARE, mate=lambda a, b, rng: (a[:, :2], b[:, :2]))
    with pytest.raises(DataError, match="selection answered"):
        fn.evolve(circle, SQUARE, selection=lambda fitness, count, rng: np.full(count, 99))
    with pytest.raises(DataError, match=r"mutate answered an array \(1, 4\); \(50, 4\)"):
        fn.evolve(circle, SQUARE, mutate=lambda rows, bounds, rng: rows[:1])


def test_the_genealogy_is_in_the_table():
    table = fn.evolve(circle, SQUARE, seed=1).to_frame().set_index("id")
    children = table[table["parent1"].notna()]
    assert (table.loc[children["parent1"].astype(int), "generation"].to_numpy() < children["generation"]).all()
    assert table.loc[table["generation"] == 0, "parent1"].isna().all()


def test_the_seed_is_drawn_and_kept_where_none_is_given():
    w = fn.evolve(circle, SQUARE, generations=2)
    _same(w.to_frame(), fn.evolve(circle, SQUARE, generations=2, seed=w.seed).to_frame())


def test_an_objectives_own_error_says_for_whom():
    with pytest.raises(ZeroDivisionError) as caught:
        fn.evolve(lambda p: 1 / 0, SQUARE, seed=1)
    assert "individual 0 (x = " in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"bounds": {}}, "bounds is {}"),
        ({"bounds": {"x": (5, -5)}}, "the lower one comes first"),
        ({"bounds": {"x": (1, 1)}}, "they differ"),
        ({"bounds": {"x": (0, np.nan)}}, "the bounds of x are"),
        ({"bounds": {"f0": (0, 1)}}, "rename it"),
        ({"method": "annealing"}, "adaptive, nsga2, cma"),
        ({"population": 7}, "a multiple of 2"),
        ({"population": 10, "method": "nsga2"}, "a multiple of 4"),
        ({"initial": 20}, "fewer than the population"),
        ({"generations": 0}, "a whole number from 1"),
        ({"weights": [0.0]}, "weights is"),
        ({"stop": "soon"}, "stop is 'soon'"),
        ({"method": "cma", "initial": 9}, "takes no initial"),
        ({"seed": -1}, "seed is -1"),
        ({"weights": [-1, -1]}, "weights has 2 numbers and the objective answers 1"),
    ],
)
def test_what_cannot_be_is_refused_with_what_was_seen(options, told):
    with pytest.raises(DataError, match=told):
        fn.evolve(circle, **{"bounds": SQUARE, **options})


@pytest.mark.parametrize("answer", ["high", None, {"f": 1}, [], {"a"}])
def test_an_answer_that_is_no_fitness_is_refused(answer):
    with pytest.raises(DataError, match="the objective answered"):
        fn.evolve(lambda p: answer, SQUARE)


def test_individuals_differ_in_their_counts_of_numbers_only_by_mistake():
    with pytest.raises(DataError, match=r"different counts of numbers \(1, 2\)"):
        fn.evolve(lambda p: 1.0 if p.id == 3 else (1.0, 2.0), SQUARE)


SIMULATED = {"model": "fhn", "duration": "20 ms", "engine": "torch"}


def test_an_objective_may_measure_simulations_that_are_run_as_batches():
    def measure(n):
        return (n["x"][-1, 0] - 0.5) ** 2

    options = {"population": 6, "initial": 6, "generations": 3, "seed": 4}
    w = fn.evolve(measure, {"x_ext": (0, 2), "tau": (5, 30)}, simulate=SIMULATED, **options)

    def alone(p):
        return measure(fn.simulate("fhn", params={"x_ext": p.x_ext, "tau": p.tau}, seed=4, duration="20 ms",
                                   engine="torch"))  # fmt: skip

    one_by_one = fn.evolve(alone, {"x_ext": (0, 2), "tau": (5, 30)}, **options)
    assert np.allclose(w.history.fitness, one_by_one.history.fitness, rtol=1e-9)
    assert_frame_equal(w.resume(4).to_frame().iloc[:18], w.to_frame())


def test_a_simulation_that_becomes_infinite_is_a_failed_individual():
    w = fn.evolve(lambda n: n["x"].max(), {"x_ext": (0, 1e6)}, simulate=SIMULATED, population=6, generations=2, seed=1)
    assert (w.to_frame()["status"] == "failed").any()


def test_individuals_have_their_own_noise_unless_it_is_common():
    def spread(random):
        noisy = {**SIMULATED, "params": {"sigma_ou": 0.1}, "random": random}
        w = fn.evolve(
            lambda n: n["x"][-1, 0], {"y_ext": (0, 1e-9)}, simulate=noisy, population=4, generations=1, seed=1
        )
        return np.ptp(w.history.fitness)

    assert spread("common") < 1e-6 < spread("own") and spread(None) == spread("own")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"simulate": {"duration": "20 ms"}}, "arguments of fn.simulate by name"),
        ({"simulate": {**SIMULATED, "durations": 3}}, "did you mean 'duration'"),
        ({"simulate": SIMULATED, "bounds": {"x_ex": (0, 1)}}, "did you mean 'x_ext'"),
        ({"simulate": SIMULATED, "bounds": {"K_gl": (0, 1)}}, "acts between nodes only"),
        ({"simulate": SIMULATED, "batch": True}, "both given"),
        ({"simulate": {**SIMULATED, "random": "new"}}, "random is 'new'"),
        ({"simulate": SIMULATED, "workers": "two"}, "workers is 'two'"),
    ],
)
def test_simulations_that_cannot_be_are_refused(options, told):
    with pytest.raises(DataError, match=told):
        fn.evolve(lambda n: 0.0, **{"bounds": {"x_ext": (0, 1)}, **options})


def test_pictures_show_parameters_scores_genealogy_and_front():
    w = fn.evolve(circle, SQUARE, population=6, generations=4, seed=1)
    assert [axes.get_xlabel() for axes in w.plot().axes] == ["x", "y", "generation"]
    scores = w.plot("scores").axes[0].lines
    assert np.allclose(scores[1].get_ydata(), -w.scores["best"])  # the fitness, which is minimised
    born = w.to_frame()
    edges = int(born["parent1"].notna().sum() + (born["parent2"].notna() & (born["parent2"] != born["parent1"])).sum())
    assert len(w.plot("genealogy").axes[0].lines) == edges
    assert len([axes for axes in w.plot("parameters").axes if axes.get_visible()]) == 3
    with pytest.raises(Unable, match="no front"):
        w.plot("pareto")
    with pytest.raises(DataError, match="no picture 'tree'"):
        w.plot("tree")
    two = fn.evolve(lambda p: (p.x, -p.x * p.y), SQUARE, method="nsga2", generations=3, seed=1)
    assert len(two.plot("pareto").axes[0].lines[0].get_xdata()) == len(two.pareto())


@needs_cma
def test_cma_has_no_genealogy():
    w = fn.evolve(circle, SQUARE, method="cma", generations=3, seed=1)
    with pytest.raises(Unable, match="no parents"):
        w.plot("genealogy")


def test_an_evolution_that_goes_on_keeps_what_decides_it_and_may_stop_elsewhere():
    part = fn.evolve(circle, SQUARE, generations=3, seed=7)
    for name, value in {"bounds": SQUARE, "seed": 7, "population": 20, "weights": 1, "method": "nsga2"}.items():
        with pytest.raises(DataError, match=f"{name} is that of start"):
            fn.evolve(circle, start=part, generations=6, **{name: value})
    stopped = fn.evolve(circle, start=part, generations=60, stop=(1e-2, 5))
    assert 3 < stopped.history.generations < 60 and "stopped after" in stopped.messages[0]
