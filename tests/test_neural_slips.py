"""Slips of those who begin are answered by what was probably meant."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.dynamics.mathematics import exp
from formula_neuro.errors import DataError

ONE = {"states": ("r",), "outputs": ("r",), "initial": {"r": 0.1}, "parameters": {"tau": fn.Parameter(10.0, "ms")}}


def own(**parts):
    """A model of one leaking state, with these parts."""
    return fn.Model(**{"name": "slip", "help": "", **ONE, "drift": lambda s, p: {"r": -s.r / p.tau}, **parts})


# ---- names ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["ALN", "ALNModel", "alm"])
def test_a_model_is_found_by_what_it_is_nearly_called(name):
    with pytest.raises(DataError, match="did you mean 'aln'"):
        fn.simulate(name)


def test_a_misspelt_parameter_of_many_is_told_the_nearest_and_where_all_are():
    with pytest.raises(DataError, match=r"did you mean 'sigma_ou' .*\? \(fn\.models\('aln'\) lists all 39\)"):
        fn.simulate("aln", params={"sigmaou": 0.1})


def test_models_print_whole():
    assert "..." not in str(fn.models("aln")) + str(fn.models())
    assert "signalV" in str(fn.models("aln"))


# ---- runs ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run():
    return fn.simulate("hopf", fn.Connectome.simulate(4), duration="4 s", dt=0.5, every="10 ms", bold=True, seed=1)


def test_an_output_asked_for_as_an_attribute_says_how_it_is_reached(run):
    with pytest.raises(AttributeError, match=r'an output is n\["x"\]'):
        _ = run.x


@pytest.mark.parametrize("ask", [lambda n: n.BOLD, lambda n: n["BOLD"]])
def test_bold_in_capitals_says_where_it_is(run, ask):
    with pytest.raises((AttributeError, DataError), match=r"n\.bold \(scans, nodes\)"):
        ask(run)


def test_a_run_is_copied_and_pickled_although_it_answers_for_absent_attributes(run):
    for other in (copy.copy(run), pickle.loads(pickle.dumps(run))):
        np.testing.assert_array_equal(other["x"], run["x"])


def test_a_correlation_of_no_samples_names_the_time_that_was_skipped(run):
    with pytest.raises(DataError, match="0 of 2 samples of BOLD are left after 10 s"):
        run.fc("10 s")


def test_matrices_in_the_place_of_a_connectome_are_told_what_makes_one():
    with pytest.raises(DataError, match=r"fn\.Connectome\(weights, lengths_mm\) is expected"):
        fn.simulate("hopf", np.eye(3), np.eye(3))


def test_a_choice_is_told_by_its_word():
    n = fn.simulate("hopf", fn.Connectome.simulate(2), {"coupling": "additive"}, duration=5, seed=1)
    assert "coupling additive" in str(n)


@pytest.mark.parametrize("kind", ["simulation", "evolution"])
def test_what_was_saved_is_loaded_by_the_name_it_was_saved_under(tmp_path, kind):
    if kind == "simulation":
        answer, load = fn.simulate("fhn", duration=5, seed=1), fn.load_simulation
    else:
        answer = fn.evolve(lambda p: p.x, {"x": (0, 1)}, population=2, initial=2, generations=1, seed=1)
        load = fn.load_evolution
    assert answer.save(tmp_path / "kept") == tmp_path / "kept.npz"
    assert load(tmp_path / "kept").seed == answer.seed
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        load(tmp_path / "other")


# ---- measures ------------------------------------------------------------------------------------
def test_tables_of_the_same_nodes_in_another_order_are_paired_by_name():
    names = list("abcde")
    a = pd.DataFrame(np.random.default_rng(0).random((5, 5)), names, names)
    a = (a + a.T) / 2
    assert fn.measures.matrix_correlation(a, a.iloc[::-1, ::-1]) == pytest.approx(1, abs=1e-12)


def test_tables_that_share_some_nodes_only_are_refused():
    a = pd.DataFrame(np.eye(3), list("abc"), list("abc"))
    with pytest.raises(DataError, match="share 2 nodes by name, but not 'c'"):
        fn.measures.matrix_correlation(a, a.rename(index={"c": "d"}, columns={"c": "d"}))


@pytest.mark.parametrize(
    "names", [{"index": list("abc")}, {"columns": list("abc")}, {"index": [1, 2, 3], "columns": [1, 2, 3]}]
)
def test_tables_without_names_in_common_are_paired_as_they_stand(names):
    values = np.array([[1.0, 0.2, 0.3], [0.2, 1, 0.7], [0.3, 0.7, 1]])
    named = pd.DataFrame(values, **names)
    assert fn.measures.matrix_correlation(pd.DataFrame(values), named) == pytest.approx(1, abs=1e-12)


# ---- models of one's own -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"states": "r"}, "a tuple of them is expected"),
        ({"parameters": {"tau": 10.0}}, r"fn\.Parameter\(10\.0\) is expected"),
        ({"noise": (fn.White("r", 0.1),)}, "a function of the parameters is expected"),
        ({"drift": {"r": 0.0}}, "a function is expected"),
    ],
)
def test_a_part_of_another_kind_is_refused_when_the_model_is_made(parts, told):
    with pytest.raises(DataError, match=told):
        own(**parts)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"drift": lambda s, p: {"r": -np.exp(s.r)}}, "a function of numpy"),
        ({"drift": lambda s, p: {"r": -s["r"]}}, r"as s\.r or p\.r"),
        ({"outputs": ("q",)}, "give no 'q'"),
        ({"inputs": {"c": fn.Tract("z")}}, "carries 'z'"),
    ],
)
def test_equations_that_cannot_be_read_say_what_to_write(parts, told):
    with pytest.raises(DataError, match=told):
        fn.simulate(own(**parts), fn.Connectome.simulate(2), duration=1, engine="numba")


def test_a_model_without_a_tract_says_that_its_nodes_are_not_coupled():
    model = own(drift=lambda s, p: {"r": exp(-s.r)})
    assert any("without coupling" in m for m in fn.simulate(model, fn.Connectome.simulate(2), duration=1).messages)


def test_only_a_model_is_registered():
    with pytest.raises(DataError, match=r"an fn\.Model"):
        fn.register_model("fhn")


# ---- exploring and evolving ----------------------------------------------------------------------
def test_a_series_by_node_is_not_taken_for_a_number_a_set():
    values = pd.Series([0.0, 1.0], index=["left", "right"])
    with pytest.raises(DataError, match="a Series by node"):
        fn.explore("fhn", {"x_ext": values}, duration=1)


def test_one_target_is_told_how_targets_are_given():
    with pytest.raises(DataError, match=r"as {'s1': fc}"):
        fn.explore("fhn", {"x_ext": [0.0]}, targets=pd.DataFrame(np.eye(2)), measure=lambda n, fc: 0.0, duration=1)


def test_an_exploration_is_not_saved_as_a_table(tmp_path):
    with pytest.raises(DataError, match=r"to_frame\(\)"):
        fn.explore("fhn", {"x_ext": [0.0]}, duration=1, seed=1).save(tmp_path / "grid.csv")


def test_an_objective_of_several_arguments_is_refused_before_it_is_called():
    with pytest.raises(DataError, match=r"called with one individual, p, whose parameters are p\.x, p\.y"):
        fn.evolve(lambda x, y: x + y, {"x": (0, 1), "y": (0, 1)})


def test_an_objective_of_a_run_is_told_of_simulate():
    with pytest.raises(AttributeError, match="needs simulate="):
        fn.evolve(lambda n: n.fc().to_numpy().mean(), {"x": (0, 1)}, population=2, initial=2)


def test_a_method_is_found_by_what_it_is_nearly_called():
    with pytest.raises(DataError, match="did you mean 'cma'"):
        fn.evolve(lambda p: p.x, {"x": (0, 1)}, method="CMA")


# ---- interruptions -------------------------------------------------------------------------------
def stopped_after(calls):
    """A function of a run or an individual that is interrupted, as by Ctrl-C, at a call."""
    made = []

    def asked(one):
        made.append(one)
        if len(made) == calls:
            raise KeyboardInterrupt
        return float(len(made))

    return asked


def test_an_evolution_that_is_stopped_answers_with_its_finished_generations():
    w = fn.evolve(stopped_after(8), {"x": (0, 1)}, population=2, initial=4, generations=9, seed=1)
    assert len(w.to_frame()) == 4 + 2  # the third generation was at its second individual
    assert w.messages == ("interrupted after 2 of 9 generations; w.resume(9) goes on",)


def test_an_exploration_that_is_stopped_says_what_is_kept(tmp_path):
    call = {"model": "fhn", "parameters": {"x_ext": [0.0, 1.0]}, "duration": 1, "seed": 1}
    with pytest.raises(KeyboardInterrupt) as alone:
        fn.explore(**call, measure=stopped_after(2))
    with pytest.raises(KeyboardInterrupt) as kept:
        fn.explore(**call, measure=stopped_after(2), out=tmp_path / "kept")
    assert "out='folder'" in alone.value.__notes__[-1]
    assert "0 of 2 runs are kept" in kept.value.__notes__[-1]
