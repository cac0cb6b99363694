"""fn.explore: sets, repetitions and their random numbers, measures, failures, folders, and tables that fit takes."""

from __future__ import annotations

import json
import runpy
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.data.table import TOLD, as_table
from formula_neuro.errors import DataError, Unable
from formula_neuro.running.fingerprint import fingerprint
from formula_neuro_neuralmass import batches as batching
from formula_neuro_neuralmass.exploration.pieces import OnDisk

SHORT = {"duration": "20 ms", "engine": "torch", "seed": 1}
NOISE = {"sigma_ou": 0.1}
NODES = 4


def brain(seed=0, speed_lengths=20.0):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0, 1, (NODES, NODES)) * (1 - np.eye(NODES))
    lengths = rng.uniform(1, speed_lengths, (NODES, NODES)) * (1 - np.eye(NODES))
    return fn.Connectome(weights, lengths)


def last(n):
    return n["x"][-1].sum()


def test_a_grid_has_a_row_a_set_and_later_parameters_vary_faster():
    e = fn.explore("fhn", {"x_ext": [0.0, 1.0, 2.0], "tau": [10, 20]}, measure={"last": last}, **SHORT)
    assert e.table["x_ext"].tolist() == [0, 0, 1, 1, 2, 2] and e.table["tau"].tolist() == [10, 20] * 3
    assert e.parameters == ("x_ext", "tau") and e.measures == ("last",)
    assert list(e.table) == ["set", "replicate", "run", "x_ext", "tau", "last", "status", "failed_at", "seed", "key"]
    assert (e.table["status"] == "ok").all() and e.table["failed_at"].isna().all()


def test_axes_of_two_values_are_a_grid():
    assert len(fn.explore("fhn", {"x_ext": [0.0, 1.0], "tau": [10, 20]}, **SHORT)) == 4


def test_a_row_equals_the_run_of_its_parameters():
    e = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, params={"tau": 15.0}, measure={"last": last}, **SHORT)
    alone = fn.simulate("fhn", params={"x_ext": 1.0, "tau": 15.0}, **SHORT)
    assert e.table["last"][1] == pytest.approx(last(alone), rel=1e-12)  # a batch of two and one of one: rounding


def test_zip_sequence_list_and_table_of_sets():
    zipped = fn.explore("fhn", {"x_ext": [0.0, 1.0], "tau": [10, 20]}, kind="zip", **SHORT).table
    assert zipped[["x_ext", "tau"]].to_numpy().tolist() == [[0, 10], [1, 20]]
    one = fn.explore("fhn", {"x_ext": [0.0, 1.0], "tau": [10]}, kind="sequence", params={"epsilon": 0.4}, **SHORT).table
    assert one[["x_ext", "tau"]].to_numpy().tolist() == [[0, 20], [1, 20], [1, 10]]  # the others at their defaults
    sets = [{"x_ext": 0.5}, {"x_ext": 0.5, "tau": 12}]
    listed = fn.explore("fhn", sets, **SHORT).table
    assert listed[["x_ext", "tau"]].to_numpy().tolist() == [[0.5, 20], [0.5, 12]]
    table = fn.explore("fhn", pd.DataFrame({"x_ext": [0.0, 1.0]}), **SHORT).table
    assert table["x_ext"].tolist() == [0, 1]


def test_words_and_values_by_node_have_their_place_in_the_table():
    e = fn.explore("fhn", {"coupling": ["diffusive", "additive"]}, brain(), measure={"last": last}, **SHORT)
    assert e.table["coupling"].tolist() == ["diffusive", "additive"] and e.table["last"].nunique() == 2
    regional = fn.explore("fhn", {"x_ext": [0.5, np.linspace(0, 1, NODES)]}, brain(), **SHORT)
    assert regional.table["x_ext"].tolist() == ["values 1", "values 2"]


@pytest.mark.parametrize("size", [1, 3])
def test_numbers_do_not_depend_on_the_batches(monkeypatch, size):
    given = {"x_ext": [0.0, 0.5, 1.0], "signalV": [5.0, 20.0]}
    options = {**SHORT, "params": NOISE, "replicates": 2, "measure": {"last": last}}
    whole = fn.explore("fhn", given, brain(), **options)
    at_once = len(whole.runs.parts(range(12)))
    monkeypatch.setattr(batching, "WORK", 0)
    monkeypatch.setattr(batching, "LANES", size)
    split = fn.explore("fhn", given, brain(), **options)
    assert at_once == 2 and len(split.runs.parts(range(12))) == 12 / size
    # a sum over tracts may round differently in a batch of another width
    pd.testing.assert_frame_equal(whole.table, split.table, rtol=1e-12, atol=0)


def test_sets_of_different_delays_are_different_problems():
    sets = [{"signalV": v, "x_ext": x} for v in (5.0, 20.0) for x in (0.0, 1.0)]
    e = fn.explore("fhn", sets, brain(), measure={"last": last}, **SHORT)
    assert [batch.places for _, _, batch in e.runs.parts(range(4))] == [(0, 1), (2, 3)]
    alone = [last(fn.simulate("fhn", brain(), params=one, **SHORT)) for one in sets]
    assert np.allclose(e.table["last"], alone, rtol=1e-12)


def test_a_batch_takes_no_more_memory_than_it_may(monkeypatch):
    e = fn.explore("fhn", {"x_ext": np.linspace(0, 1, 40)}, **SHORT)
    assert len(e.runs.parts(range(40))) == 1
    monkeypatch.setattr(batching, "BYTES", e.runs.parts([0])[0][2].bytes * 5)
    parts = e.runs.parts(range(40))
    assert len(parts) >= 8 and max(batch.bytes for _, _, batch in parts) <= batching.BYTES
    assert sorted(place for _, _, batch in parts for place in batch.places) == list(range(40))


def test_repetitions_have_their_own_noise_in_every_set():
    e = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, params=NOISE, replicates=3, measure={"last": last}, **SHORT)
    assert e.table["replicate"].tolist() == [0, 1, 2] * 2 and e.table["key"].is_unique
    assert e.table["last"].nunique() == 6 and not e.messages


def test_common_random_numbers_are_a_choice():
    options = {
        **SHORT,
        "params": NOISE,
        "replicates": 2,
        "outputs": ["x"],
        "measure": {"trace": lambda n: n["x"][:, 0]},
    }
    common = fn.explore("fhn", {"y_ext": [0.0, 1e-9]}, random="common", **options).arrays["trace"]
    own = fn.explore("fhn", {"y_ext": [0.0, 1e-9]}, random="own", **options).arrays["trace"]
    assert np.allclose(common[0], common[2], atol=1e-6) and not np.allclose(common[0], common[1], atol=1e-6)
    assert not np.allclose(own[0], own[2], atol=1e-6)


def test_a_grid_without_noise_begins_alike_and_says_that_it_has_no_sampling_error():
    e = fn.explore("fhn", {"tau": [20.0, 20.0001]}, measure={"first": lambda n: n["x"][0, 0]}, **SHORT)
    assert e.table["first"][0] == pytest.approx(e.table["first"][1], abs=1e-6)
    assert "no sampling error" in e.messages[0]
    noisy = fn.explore("fhn", {"tau": [10, 20]}, params=NOISE, **SHORT)
    assert "each set was run once" in noisy.messages[0]
    explored = fn.explore("fhn", {"sigma_ou": [0.0, 0.1]}, replicates=2, **SHORT)
    assert not explored.messages


def test_more_repetitions_leave_the_others_as_they_are():
    options = {**SHORT, "params": NOISE, "measure": {"last": last}}
    two = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, replicates=2, **options).table
    three = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, replicates=3, **options).table.query("replicate < 2")
    assert two["last"].tolist() == three["last"].tolist()


def test_by_default_the_first_output_is_described():
    e = fn.explore("fhn", {"x_ext": [1.0]}, brain(), **SHORT)
    n = e.simulation(0)
    assert e.measures == ("mean_x", "max_x", "min_x", "sd_x")
    assert e.table["max_x"][0] == n["x"].max() and e.table["sd_x"][0] == pytest.approx(n["x"].std(axis=0).mean())


def test_a_row_can_be_simulated_again():
    e = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, params=NOISE, replicates=2, measure={"last": last}, **SHORT)
    assert all(last(e.simulation(row)) == pytest.approx(e.table["last"][row], rel=1e-12) for row in range(4))
    with pytest.raises(DataError, match="row 4"):
        e.simulation(4)


def test_a_measure_may_answer_several_numbers_and_arrays():
    def both(n):
        return {"a": n["x"].mean(), "kind": "high" if n["x"].max() > 1 else "low", "trace": n["x"][:, 0]}

    e = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, measure=both, **SHORT)
    assert e.measures == ("a", "kind") and len(e.arrays["trace"]) == 2 and e.arrays["trace"][0].shape == (200,)


def test_runs_that_become_infinite_stay_as_failed_and_the_others_are_right():
    e = fn.explore("fhn", {"x_ext": [1.0, 1e6]}, measure={"last": last}, **SHORT)
    assert e.table["status"].tolist() == ["ok", "failed"] and np.isnan(e.table["last"][1])
    assert e.table["failed_at"][1] > 0 and np.isnan(e.table["failed_at"][0])
    assert "1 of 2 runs became infinite" in e.messages[-1]
    assert e.table["last"][0] == pytest.approx(last(fn.simulate("fhn", params={"x_ext": 1.0}, **SHORT)), rel=1e-12)


def test_skip_leaves_a_transient_out():
    e = fn.explore("fhn", {"x_ext": [1.0]}, skip="15 ms", measure={"samples": lambda n: len(n.t)}, **SHORT)
    assert e.table["samples"][0] == 50


def test_each_subject_may_have_a_connectome():
    people = {"s1": brain(1), "s2": brain(2)}
    e = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, people, measure={"last": last}, **SHORT)
    assert e.table["subject"].tolist() == ["s1", "s1", "s2", "s2"] and e.table["run"].tolist() == [0, 1, 2, 3]
    assert e.table["last"][3] == pytest.approx(
        last(fn.simulate("fhn", people["s2"], params={"x_ext": 1.0}, **SHORT)), rel=1e-12
    )


def test_runs_of_one_connectome_are_compared_with_each_subject():
    targets = {"s1": 1.0, "s2": 2.0}
    e = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, brain(), targets=targets, replicates=2, params=NOISE,
                   measure={"gap": lambda n, target: last(n) - target, "last": last}, **SHORT)  # fmt: skip
    assert len(e.table) == 8 and e.table["run"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert np.allclose(e.table["last"] - e.table["gap"], [1, 2] * 4)
    assert "(1|subject) + (1|run)" in e.messages[-1]
    people = {"s1": brain(1), "s2": brain(2)}
    own = fn.explore("fhn", {"x_ext": [0.0]}, people, targets=targets, measure=lambda n, target: target, **SHORT)
    assert own.table["measure"].tolist() == [1, 2]


def test_fit_takes_an_exploration_and_tells_what_its_table_cannot_say():
    e = fn.explore("fhn", {"x_ext": np.linspace(0, 1, 4), "tau": [10, 15, 20]}, measure={"last": last}, **SHORT)
    m = fn.fit("last ~ x_ext * tau", e)
    assert m.nobs == 12 and any("no sampling error" in message for message in m.messages)
    assert np.allclose(m.coef, fn.fit("last ~ x_ext * tau", e.table).coef)


def test_a_table_may_come_from_any_value_with_to_frame():
    class Answer:
        def to_frame(self):
            table = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [1, 2, 3]})
            table.attrs[TOLD] = ["made up"]
            return table

    assert as_table(Answer())["x"].tolist() == [1, 2, 3]
    assert fn.fit("y ~ x", Answer()).messages == ("made up",)
    assert list(as_table(pd.Series([1, 2], name="a"))) == ["a"]  # pandas' own values are as before


def test_a_folder_holds_the_table_and_arrays(tmp_path):
    options = {**SHORT, "params": NOISE, "replicates": 2, "measure": {"last": last, "trace": lambda n: n["x"][:, 0]}}
    e = fn.explore("fhn", {"x_ext": [0.0, 1.0]}, out=tmp_path / "kept", **options)
    read = fn.load_exploration(tmp_path / "kept")
    pd.testing.assert_frame_equal(read.table, e.table, check_exact=True)
    assert np.array_equal(read.arrays["trace"], e.arrays["trace"]) and read.messages == e.messages
    assert all(isinstance(piece, OnDisk) for piece, _ in e.arrays["trace"].places)  # they may not fit memory
    assert len(e.arrays["trace"][1:3]) == 2
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "kept"), e.table, check_exact=True)
    saved = fn.load_exploration(e.save(tmp_path / "saved"))
    pd.testing.assert_frame_equal(saved.table, e.table, check_exact=True)
    assert np.array_equal(saved.arrays["trace"], e.arrays["trace"])
    with pytest.raises(Unable, match="read from a folder"):
        read.simulation(0)


CALLS: list[int] = []  # a global: what a measure holds itself is part of what it is known by


def counted(n):
    CALLS.append(0)
    return last(n)


def test_a_finished_folder_is_not_run_again(tmp_path):
    given = {"parameters": {"x_ext": [0.0, 1.0]}, "measure": {"last": counted}, "duration": "10 ms", "engine": "torch"}
    first = fn.explore("fhn", out=tmp_path / "a", **given)
    before = len(CALLS)
    again = fn.explore("fhn", out=tmp_path / "a", **given)
    assert len(CALLS) == before and again.runs is not None
    pd.testing.assert_frame_equal(first.table, again.table, check_exact=True)  # with the seed that was drawn


SCRIPT = """
import os, signal, sys
import formula_neuro as fn
from formula_neuro_neuralmass import batches
batches.WORK, batches.LANES = 0, 2
seen = []
def measure(n):
    seen.append(0)
    if len(seen) > 5 and sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return float(n["x"][-1, 0])
e = fn.explore("fhn", {"x_ext": [0, .2, .4, .6, .8, 1, 1.2]}, params={"sigma_ou": .1}, measure={"last": measure},
               duration="10 ms", seed=3, engine="torch", out=sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the process is killed by a signal")
def test_an_exploration_that_was_killed_goes_on_from_its_finished_batches(tmp_path, monkeypatch):
    (script := tmp_path / "script.py").write_text(SCRIPT)
    for name in ("WORK", "LANES"):
        monkeypatch.setattr(batching, name, getattr(batching, name))  # put back what the script sets

    def here(folder):
        monkeypatch.setattr(sys, "argv", ["script", str(folder), "go on"])
        return runpy.run_path(str(script))

    killed = subprocess.run([sys.executable, str(script), str(tmp_path / "a"), "kill"], check=False)
    assert killed.returncode == -signal.SIGKILL
    part = fn.load_exploration(tmp_path / "a")
    assert len(part) == 4 and "unfinished" in repr(part)  # two batches of two; the third was on its way
    again, whole = here(tmp_path / "a"), here(tmp_path / "b")
    assert len(again["seen"]) == 3 and len(whole["seen"]) == 7
    pd.testing.assert_frame_equal(again["e"].table, whole["e"].table, rtol=1e-12, atol=0)


def test_a_folder_of_another_exploration_is_refused(tmp_path):
    fn.explore("fhn", {"x_ext": [0.0]}, out=tmp_path / "a", measure={"last": last}, **SHORT)
    for change, told in (
        ({"parameters": {"x_ext": [0.5]}}, "differs in parameters"),
        ({"params": {"tau": 12}}, "differs in model, connectome or settings"),
        ({"measure": {"last": lambda n: 2.0}}, "differs in measures"),
    ):
        given = {"parameters": {"x_ext": [0.0]}, "measure": {"last": last}, **SHORT, **change}
        with pytest.raises(DataError, match=told):
            fn.explore("fhn", out=tmp_path / "a", **given)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no exploration"):
        fn.explore("fhn", {"x_ext": [0.0]}, out=tmp_path / "b", **SHORT)


def test_fingerprints_tell_values_apart():
    a = {"w": np.arange(3.0), "f": lambda n, k=1: n.x + k}
    assert fingerprint(a) == fingerprint({"w": np.arange(3.0), "f": lambda n, k=1: n.x + k})
    others = [{**a, "w": np.arange(4.0)}, {**a, "f": lambda n, k=2: n.x + k}, {**a, "f": lambda n, k=1: n.y + k}]
    assert len({fingerprint(a), *map(fingerprint, others)}) == 4
    bound = [lambda n, w=w: n * w for w in (1, 2)]
    assert fingerprint(bound[0]) != fingerprint(bound[1])

    def itself(n):
        return n if n == 0 else itself(n - 1)

    assert fingerprint(itself) != fingerprint(bound[0])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"parameters": {}}, "no parameter is explored"),
        ({"parameters": {"x_ext": []}}, "x_ext has no values"),
        ({"parameters": []}, "the list of sets is empty"),
        ({"parameters": {"x_ex": [1]}}, "did you mean 'x_ext'"),
        ({"parameters": {"x_ext": [0, 1, 0]}}, "x_ext has the value 0 twice"),
        ({"parameters": {"x_ext": [0, np.nan]}}, "x_ext has the value nan"),
        ({"parameters": {"x_ext": [None]}}, "x_ext has the value None"),
        ({"parameters": {"x_ext": [0, 1], "tau": [1]}, "kind": "zip"}, "x_ext: 2, tau: 1"),
        ({"parameters": {"x_ext": [0]}, "kind": "random"}, "kind is 'random'"),
        ({"parameters": [{"x_ext": 0}], "kind": "grid"}, "kind is 'grid'"),
        ({"params": {"x_ext": 1}}, "also given in params"),
        ({"parameters": {"K_gl": [0, 1]}}, "acts between nodes only"),
        ({"replicates": 0}, "replicates is 0"),
        ({"random": "same"}, "random is 'same'"),
        ({"measure": 3}, "measure is 3"),
        ({"measure": {"x_ext": last}}, "a measure is named 'x_ext'"),
        ({"measure": {"status": last}}, "a measure is named 'status'"),
        ({"measure": {"last": lambda n: object()}}, "the measure 'last' answered object"),
        ({"measure": {"fc": lambda n, t: 1.0}}, "give targets="),
        ({"measure": {"a": last}, "targets": {"s": 1}}, "no measure takes two arguments"),
        ({"outputs": []}, "no output is recorded"),
        ({"connectome": {}}, "a mapping without subjects"),
        ({"connectome": 3}, "connectome is of type int"),
        (
            {"connectome": {"s1": brain()}, "targets": {"s2": 1}, "measure": lambda n, t: t},
            "nothing for the subject 's1'",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_was_seen(options, told):
    with pytest.raises(DataError, match=told):
        fn.explore("fhn", **{"parameters": {"x_ext": [0.0, 1.0]}, **SHORT, **options})


def test_a_measures_own_error_says_whose_it_is():
    with pytest.raises(KeyError) as caught:
        fn.explore("fhn", {"x_ext": [0.0]}, measure={"odd": lambda n: {}["a"]}, **SHORT)
    assert "the measure 'odd' itself" in caught.value.__notes__[0]


def test_two_parameters_are_a_map_and_one_is_a_line():
    e = fn.explore("fhn", {"x_ext": [0.0, 0.5, 1.0], "tau": [10, 15, 20]}, measure={"last": last}, **SHORT)
    axes = e.plot("last").axes
    assert axes[0].get_xlabel() == "x_ext" and axes[0].get_ylabel() == "tau" and axes[1].get_ylabel() == "last"
    image = axes[0].collections[0].get_array().reshape(3, 3)
    assert np.allclose(image, e.table.pivot(index="tau", columns="x_ext", values="last"))
    line = e.plot("last", x="tau", y="x_ext").axes[0]
    assert line.get_ylabel() == "x_ext"
    one = fn.explore("fhn", {"tau": [10, 15, 20]}, params=NOISE, replicates=2, measure={"last": last}, **SHORT)
    drawn = one.plot().axes[0]
    assert drawn.get_ylabel() == "last (mean, sd)"
    assert np.allclose(drawn.lines[0].get_ydata(), one.table.groupby("tau")["last"].mean())


def test_two_values_each_or_words_are_lines():
    e = fn.explore("fhn", {"x_ext": [0.0, 1.0], "coupling": ["additive", "diffusive"]}, brain(), **SHORT)
    assert len(e.plot("max_x").axes[0].containers) == 2
    assert [t.get_text() for t in e.plot("max_x", x="coupling").axes[0].get_xticklabels()] == ["additive", "diffusive"]


def test_subjects_are_thin_lines_beside_their_mean():
    e = fn.explore("fhn", {"x_ext": [0.0, 0.5, 1.0]}, {"s1": brain(1), "s2": brain(2)}, **SHORT)
    assert [text.get_text() for text in e.plot("max_x").axes[0].get_legend().get_texts()] == ["subjects", "mean"]


def test_pictures_that_cannot_be_are_refused():
    words = {"word": lambda n: "a", "last": last}
    e = fn.explore("fhn", {"x_ext": [0.0, 0.5]}, measure=words, **SHORT)
    with pytest.raises(Unable, match="word is no number"):
        e.plot("word")
    with pytest.raises(DataError, match="no measure 'lats'; did you mean 'last'"):
        e.plot("lats")
    with pytest.raises(DataError, match="varies no parameter 'tau'"):
        e.plot("last", x="tau")
    with pytest.raises(DataError, match="both x_ext"):
        e.plot("last", x="x_ext", y="x_ext")


def _cli(*words):
    from typer.testing import CliRunner

    from formula_neuro.cli import app

    return CliRunner().invoke(app, ["explore", "fhn", "--duration", "20 ms", "--seed", "1", *words])


def test_the_command_line_explores_and_writes_the_table(tmp_path):
    done = _cli("--vary", "x_ext=0:1:3", "--vary", "tau=10,20", "--out", str(tmp_path / "e.csv"), "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0 and len(told["runs"]) == 6 and "no sampling error" in told["messages"][0]
    table = pd.read_csv(tmp_path / "e.csv")
    assert table["x_ext"].tolist() == [0, 0, 0.5, 0.5, 1, 1] and np.allclose(
        table["max_x"], [run["max_x"] for run in told["runs"]]
    )
    pictured = _cli("--vary", "x_ext=0:1:3", "--out", str(tmp_path / "e.png"), "--areas", "4", "--replicates", "2")
    assert pictured.exit_code == 0 and (tmp_path / "e.png").stat().st_size > 1000 and "2 repetitions" in pictured.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--vary", "x_ext"), "NAME=FROM:TO:COUNT"),
        (("--vary", "x_ext=0:1:one"), "two numbers and a count"),
        (("--vary", "x_ext=0", "--vary", "x_ext=1"), "twice"),
        (("--vary", "x_ext=0", "--out", "e.doc"), "files may end in"),
        (("--vary", "x_ex=0"), "did you mean 'x_ext'"),
    ],
)
def test_the_command_line_says_what_is_wrong(words, told):
    done = _cli(*words)
    assert done.exit_code == 2 and told in done.output.replace("\n", " ")
