"""What people type in their first hour, and what they are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import typer
from scipy.io import savemat

import formula_neuro as fn
from formula_neuro.commands.answering import answering
from formula_neuro.errors import DataError, FormulaError, NoBackend
from formula_neuro.nearest import nearest

TABLE = pd.DataFrame({"reaction time": [1.0, 2, 4, 3], "dose (mg)": [0.0, 1, 2, 3], "mouse": list("abab")})


def test_the_beginning_of_a_columns_name_proposes_the_column():
    with pytest.raises(FormulaError, match=r"did you mean `dose \(mg\)`\?"):
        fn.fit("`reaction time` ~ dose", TABLE)


def test_another_case_proposes_the_column():
    with pytest.raises(FormulaError, match="did you mean mouse"):
        fn.fit("`reaction time` ~ MOUSE", TABLE)


@pytest.mark.parametrize("formula", ["reaction time ~ mouse", "mouse ~ reaction time"])
def test_a_name_with_a_space_is_shown_in_backticks(formula):
    with pytest.raises(FormulaError, match="in backticks, as `reaction time`"):
        fn.fit(formula, TABLE)


@pytest.mark.parametrize(
    ("family", "meant"),
    [("binom", "binomial"), ("logistic", "binomial"), ("bernoulli", "binomial"), ("normal", "gaussian")],
)
def test_a_family_by_another_name_is_proposed(family, meant):
    with pytest.raises(ValueError, match=f"did you mean {meant}"):
        fn.fit("mouse ~ 1", TABLE, family=family)


def test_a_typo_in_a_backend_is_proposed():
    with pytest.raises(NoBackend, match="did you mean glmmTMB"):
        fn.fit("`reaction time` ~ 1", TABLE, backend="glmmtmb")


def test_a_formula_in_the_place_of_the_data_is_named():
    with pytest.raises(DataError, match="the formula comes first"):
        fn.fit(TABLE, "mouse ~ 1")


def test_foci_in_a_table_without_a_map_are_told_of_s():
    with pytest.raises(FormulaError, match=r"foci ~ s\(1\) for one map"):
        fn.fit("foci ~ 1", pd.DataFrame({"x": [1.0], "y": [2.0], "z": [3.0], "study": ["a"]}))


def test_sleuths_foci_without_a_map_are_told_of_s(tmp_path):
    (tmp_path / "foci.txt").write_text("//Reference=MNI\n//Smith 2010\n//Subjects=12\n-42 20 10\n")
    with pytest.raises(DataError, match=r"Sleuth's foci, .* foci ~ s\(1\)"):
        fn.fit("foci ~ 1", tmp_path / "foci.txt")


def test_nothing_near_proposes_nothing():
    assert nearest("zzz", ["lick", "dff"]) is None


WEIGHTS = np.array([[0.0, 2.0], [3.0, 0.0]])


def test_numbered_rows_and_columns_of_a_connectome_are_no_weights(tmp_path):
    pd.DataFrame(WEIGHTS).to_csv(tmp_path / "weights.csv")
    read = fn.Connectome.read(tmp_path / "weights.csv")
    assert read.weights.tolist() == WEIGHTS.tolist()
    assert read.names == ("0", "1")


def test_one_matlab_file_gives_weights_and_lengths(tmp_path):
    path = tmp_path / "brain.mat"
    savemat(path, {"SC": WEIGHTS, "far": 10 * (WEIGHTS + WEIGHTS.T)})
    read = fn.Connectome.read(path, path, key=("SC", "far"))
    assert read.weights.tolist() == WEIGHTS.tolist()
    assert read.lengths_mm.tolist() == [[0.0, 50.0], [50.0, 0.0]]


def test_nodes_are_named_where_only_the_lengths_name_them(tmp_path):
    np.savetxt(tmp_path / "weights.csv", WEIGHTS, delimiter=",")
    pd.DataFrame(WEIGHTS + WEIGHTS.T, columns=["V1", "V2"]).to_csv(tmp_path / "lengths.csv", index=False)
    assert fn.Connectome.read(tmp_path / "weights.csv", tmp_path / "lengths.csv").names == ("V1", "V2")


@pytest.mark.parametrize(
    ("given", "told"), [({"exc_ext": 1}, r"params=\{...\}"), ("weights.csv", r"fn.Connectome.read\('weights.csv'\)")]
)
def test_what_is_no_connectome_is_told_where_it_goes(given, told):
    with pytest.raises(DataError, match=told):
        fn.simulate("wc", given, duration="1 ms")


def test_the_lists_of_backends_and_tasks_print_every_name():
    for table in (fn.backends(), fn.tasks()):
        assert [line.split()[0] for line in str(table).splitlines() if line[0] != " "] == table["name"].tolist()
        assert "..." not in str(table)


def test_ctrl_c_is_said_in_one_line(capsys):
    with pytest.raises(typer.Exit) as stop, answering(None):
        raise KeyboardInterrupt
    assert stop.value.exit_code == 130
    assert capsys.readouterr().err == "formula-neuro: interrupted\n"


def test_a_part_of_a_list_prints_as_a_table():
    assert "families" in str(fn.backends()[["name", "help", "families"]]).splitlines()[0]
