"""read_foci(): what cannot be meant is refused with place, case and remedy; what is odd is said."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError
from formula_neuro.foci.locating import located
from formula_neuro.foci.truth import ellipsoid

FOCI = {"study": ["a", "a", "b"], "x": [-38, 40, 0], "y": [34, 20, 8], "z": [20, 4, 50]}
GOOD = "//Reference=MNI\n//Lee 2011: faces\n//Subjects=12\n1 2 3\n"


def refused(data, *words, studies=None, **options):
    with pytest.raises((DataError, FileNotFoundError)) as caught:
        fn.read_foci(data, studies, **options)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def file(folder, content, name="a.txt"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# ---- coordinates ---------------------------------------------------------------------------------
@pytest.mark.parametrize(("value", "word"), [("dog", "dog"), (None, "missing"), (np.inf, "inf"), ("1,5", "1,5")])
def test_a_coordinate_that_is_no_number_is_refused_with_its_row(value, word):
    refused({**FOCI, "y": [34, value, 8]}, "row 2", word, "mm")


def test_decimal_commas_are_named():
    refused({**FOCI, "y": ["34,0", "20,5", "8,0"]}, "34,0", "decimal=','")


@pytest.mark.parametrize("name", ["template", "Coordinate system"])
def test_a_space_under_another_name_is_asked_about(name):
    spaces = {name: ["MNI152", "MNI", "Talairach & Tournoux"]}
    refused({**FOCI, **spaces}, f"the column {name} seems to say which space", "rename it space")
    refused(FOCI, f"the column {name} seems", studies={"study": ["a", "b"], name: ["MNI", "TAL"]})
    decided = fn.read_foci({**FOCI, **spaces}, space="MNI")
    assert decided.points.tolist() == [[-38, 34, 20], [40, 20, 4], [0, 8, 50]]
    assert np.array_equal(fn.read_foci(decided.foci, decided.studies).points, decided.points)  # asked once


def test_names_of_towns_are_no_spaces():
    assert len(fn.read_foci({**FOCI, "site": ["Tallinn", "Tallinn", "Tal Hashomer"]})) == 2


def test_a_space_that_comes_after_the_foci_is_refused():
    with pytest.raises(DataError, match="the space of foci is decided when they are read"):
        fn.read_foci(FOCI).with_studies({"study": ["a", "b"], "space": ["MNI", "TAL"]})


@pytest.mark.parametrize(
    ("name", "words"), [("hemi", ["R", "R", ""]), ("Region", ["Right insula", "right_amygdala", "PCC"])]
)
def test_foci_on_the_other_side_than_is_said_are_told(name, words):
    said = f"1 focus stands on the other side than {name} says (a, row 1); x is below 0 on the left"
    assert any(message.startswith(said) for message in fn.read_foci({**FOCI, name: words}).messages)


def test_sides_of_a_table_of_studies_are_compared_too():
    foci = fn.read_foci(FOCI, {"study": ["a", "b"], "side": ["left", "left"]})
    assert any("1 focus stands on the other side than side says (a, row 2)" in message for message in foci.messages)


def test_sides_that_agree_or_mean_a_hand_are_not_told():
    foci = fn.read_foci({**FOCI, "side": ["lh", "rh", "l"], "task": ["right hand", "left hand", "left hand"]})
    assert not any("other side" in message for message in foci.messages)


@pytest.mark.parametrize(
    ("name", "words"), [("foci.xlsx", "pandas.read_excel"), ("foci.pkl.gz", "Studyset.load"), ("foci", "//Reference=")]
)
def test_a_file_of_another_kind_is_told_what_to_do(tmp_path, name, words):
    refused(file(tmp_path, "PK", name), "files may end in .json", words)


@pytest.mark.parametrize("write", ["to_csv", "to_studyset", "to_sleuth"])
def test_a_folder_that_is_not_there_is_said(tmp_path, write):
    with pytest.raises(FileNotFoundError, match=r"the folder .*nowhere does not exist; make it first"):
        getattr(fn.simulate_foci(2), write)(tmp_path / "nowhere" / "foci.csv")


def test_a_file_is_refused_by_its_line(tmp_path):
    refused(file(tmp_path, "study,x,y,z\na,1,2,3\na,4,,6\n", "f.csv"), "f.csv", "line 3", "missing")


def test_rows_without_coordinates_among_others_are_refused():
    refused({**FOCI, "x": [None, 1, 2], "y": [None, 1, 2], "z": [None, 1, 2]}, "row 1", "missing")


def test_numbers_of_voxels_are_suspected():
    rng = np.random.default_rng(1)
    voxels = rng.integers(10, 80, (30, 3))
    table = pd.DataFrame(voxels, columns=list("xyz")).assign(study="a")
    refused(table, "numbers of voxels", "space='MNI'")
    assert len(fn.read_foci(table, space="MNI").foci) == 30


def test_micrometres_are_suspected():
    refused({**FOCI, "x": [-38000, 40000, 0]}, "130 mm", "40000")


def test_foci_beyond_any_brain_are_said():
    foci = fn.read_foci({**FOCI, "x": [-38, 144, 0]})
    assert any("1 focus lies more than 130 mm" in message and "row 2" in message for message in foci.messages)


def test_dummies_at_the_origin_are_said():
    foci = fn.read_foci({"study": ["a", "b"], "x": [0, -9], "y": [0, 1], "z": [0, 1]})
    assert any("1 focus is at (0, 0, 0)" in message for message in foci.messages)


def test_repeated_foci_are_said_and_kept():
    foci = fn.read_foci({"study": ["a", "a", "b"], "x": [-9, -9, -9], "y": [1, 1, 1], "z": [1, 1, 1]})
    assert len(foci.foci) == 3 and any("1 focus repeats another" in message for message in foci.messages)


def test_foci_that_all_lie_outside_the_mask_are_refused():
    with pytest.raises(DataError, match=r"all 1 foci lie outside the mask.* 90 to 90.*same space"):
        located(fn.read_foci({"study": ["a"], "x": [90], "y": [-9], "z": [9]}), ellipsoid())


# ---- studies -------------------------------------------------------------------------------------
@pytest.mark.parametrize("study", ["", None, np.nan])
def test_a_focus_without_a_study_is_refused(study):
    refused({**FOCI, "study": ["a", study, "b"]}, "1 focus without study", "row 2")


def test_a_table_without_a_column_of_studies_is_refused():
    refused({"paper": ["a"], "x": [1], "y": [2], "z": [3]}, "no column study", "paper")


def test_a_table_without_coordinates_is_refused():
    refused({"study": ["a"], "x": [1], "mm": [2]}, "no column y or z")


def test_foci_of_studies_that_are_not_listed_are_refused_with_the_nearest_name():
    studies = {"study": ["A", "b"], "age": [1, 2]}
    refused(FOCI, "lacks 1 studies", "is 'a' the table's 'A'?", studies=studies)


def test_two_rows_of_one_study_are_refused_by_what_differs():
    refused(FOCI, "several rows for a", "age", studies={"study": ["a", "a", "b"], "age": [1, 2, 3]})


def test_the_same_row_twice_is_left_out_and_said():
    foci = fn.read_foci(FOCI, {"study": ["a", "a", "b"], "age": [1, 1, 3]})
    assert len(foci) == 2 and any("1 repeated rows" in message for message in foci.messages)


def test_foci_that_name_no_analysis_of_several_are_refused():
    studies = {"study": ["a", "a", "b"], "analysis": ["words", "faces", "words"], "age": [1, 2, 3]}
    refused(FOCI, "lacks 1 analyses", "a / 1", studies=studies)


def test_a_row_of_studies_without_a_name_is_refused():
    refused(FOCI, "no study in row 2", studies={"study": ["a", None, "b"], "age": [1, 2, 3]})


def test_ids_that_differ_in_case_alone_are_said():
    foci = fn.read_foci({"study": ["Smith", "smith"], "x": [-1, 1], "y": [1, 1], "z": [1, 1]})
    assert any("'Smith' and 'smith' differ in case" in message for message in foci.messages)


def test_columns_of_another_length_are_refused():
    with pytest.raises(DataError, match="age has 3 values; there are 2 analyses"):
        fn.read_foci(FOCI).with_studies({"age": [1, 2, 3]})


def test_columns_of_two_dimensions_are_refused():
    with pytest.raises(DataError, match=r"age has shape \(2, 2\)"):
        fn.read_foci(FOCI).with_studies({"age": np.ones((2, 2))})


def test_a_selected_row_that_is_not_there_is_refused():
    with pytest.raises(DataError, match=r"row 2 is asked for, the rows are 0\.\.1"):
        fn.read_foci(FOCI).select([2])


# ---- spaces --------------------------------------------------------------------------------------
def test_a_space_that_is_not_known_is_refused():
    refused(FOCI, "space='native' is not known", "'MNI' and 'TAL'", space="native")


def test_a_space_against_what_all_foci_state_is_refused():
    refused({**FOCI, "space": "MNI"}, "space='TAL', but the data state MNI for all 3", space="TAL")


# ---- files ---------------------------------------------------------------------------------------
def test_a_file_that_is_not_there_is_refused(tmp_path):
    refused(tmp_path / "none.json", "there is no such file")


def test_an_address_is_refused():
    refused("https://example.org/set.json", "download")


def test_a_file_of_unknown_kind_is_refused(tmp_path):
    refused(file(tmp_path, "x", "foci.docx"), ".json (NiMARE)", "Sleuth")


def test_json_that_is_broken_is_refused(tmp_path):
    refused(file(tmp_path, '{"studies": [', "set.json"), "cannot be read as JSON")


@pytest.mark.parametrize("content", [{"papers": []}, [1, 2], {}])
def test_json_of_another_kind_is_refused(tmp_path, content):
    refused(file(tmp_path, content, "set.json"), "neither a studyset", "nor a dataset")


def test_annotations_alone_are_refused(tmp_path):
    refused(file(tmp_path, {"notes": [{"analysis": "1", "note": {}}]}, "n.json"), "annotations alone")


def test_annotations_of_another_studyset_are_refused(tmp_path):
    points = [{"coordinates": [-1, 2, 3], "space": "MNI"}]
    content = {"studies": [{"id": "a", "analyses": [{"id": "1", "points": points}]}]}
    notes = {"notes": [{"study": "q", "analysis": "7", "note": {"g": 1}}]}
    refused(
        file(tmp_path, content, "s.json"), "do the two files belong together", studies=file(tmp_path, notes, "n.json")
    )


def test_a_note_that_could_mean_several_analyses_is_refused(tmp_path):
    points = [{"coordinates": [-1, 2, 3], "space": "MNI"}]
    studies = [{"id": name, "analyses": [{"id": "1", "points": points}]} for name in "ab"]
    notes = {"notes": [{"analysis": "1", "note": {"g": 1}}]}
    path = file(tmp_path, {"studies": studies}, "s.json")
    refused(path, "names analysis '1', of which there are 2", studies=file(tmp_path, notes, "n.json"))


@pytest.mark.parametrize("coordinates", [None, [1, 2], "1 2 3"])
def test_a_point_without_three_coordinates_is_refused(tmp_path, coordinates):
    points = [{"coordinates": coordinates, "space": "MNI"}]
    content = {"studies": [{"id": "a", "analyses": [{"id": "1", "points": points}]}]}
    refused(file(tmp_path, content, "s.json"), "study 'a'", "point 1", "[x, y, z]")


@pytest.mark.parametrize("points", [["7ee2WWccm8Ta"], {"a": 1}])
def test_points_that_are_ids_are_refused(tmp_path, points):
    content = {"studies": [{"id": "a", "analyses": [{"id": "1", "points": points}]}]}
    refused(file(tmp_path, content, "s.json"), "study 'a', analysis '1'", "the nested form")


def test_analyses_that_are_ids_are_refused(tmp_path):
    refused(
        file(tmp_path, {"studies": [{"id": "a", "analyses": ["x7"]}]}, "s.json"), "study 'a' is 'x7'", "nested form"
    )


def test_two_analyses_of_one_id_are_refused(tmp_path):
    analysis = {"id": "1", "points": [{"coordinates": [-1, 2, 3]}]}
    content = {"studies": [{"id": "a", "analyses": [analysis, analysis]}]}
    refused(file(tmp_path, content, "s.json"), "analysis '1' of study 'a' twice")


def test_two_records_of_one_study_are_joined_and_said(tmp_path):
    studies = [{"id": "a", "analyses": [{"id": n, "points": [{"coordinates": [-1, 2, 3]}]}]} for n in ("1", "2")]
    foci = fn.read_foci(file(tmp_path, {"studies": studies}, "s.json"))
    assert foci.studies["study"].nunique() == 1 and any(
        "records of studies have the id a" in message for message in foci.messages
    )


def test_coordinates_of_different_lengths_are_refused(tmp_path):
    content = {"a": {"contrasts": {"1": {"coords": {"space": "MNI", "x": [1, 2], "y": [1, 2], "z": [1]}}}}}
    refused(file(tmp_path, content, "s.json"), "contrast '1' of study 'a'", "x 2, y 2, z 1")


def test_a_studyset_without_any_point_is_refused(tmp_path):
    content = {"studies": [{"id": "a", "analyses": [{"id": "1", "points": []}]}]}
    refused(file(tmp_path, content, "s.json"), "none of 1 analyses has foci")


# ---- Sleuth --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("MNI", "Dog"), ["'//Reference=Dog'", "//Reference=MNI or //Reference=Talairach"]),
        (GOOD.replace("1 2 3", "1 2"), ["line 4", "'1 2'", "three numbers"]),
        (GOOD.replace("1 2 3", "1 2 3 4"), ["line 4", "three numbers"]),
        (GOOD.replace("1 2 3", "1 2 dog"), ["line 4", "dog"]),
        (GOOD.replace("//Subjects=12\n", ""), ["line 2", "//Subjects=N is expected"]),
        (GOOD.replace("=12", "=twelve"), ["line 3", "no number of subjects"]),
        (GOOD.replace("=12", "=0"), ["line 3", "no number of subjects"]),
        (GOOD.replace("//Lee 2011: faces\n", ""), ["line 2", "follows no study"]),
        ("//Reference=MNI\n1 2 3\n", ["line 2", "before any study"]),
        ("//Reference=MNI\n", ["holds no experiments"]),
        (GOOD + "//Kim 2012\n", ["line 5", "//Subjects=N is expected"]),
    ],
)
def test_malformed_sleuth_text_is_refused_with_its_line(tmp_path, text, words):
    refused(file(tmp_path, text), *words)


def test_sleuth_text_is_not_mixed_with_other_files(tmp_path):
    refused([file(tmp_path, GOOD), file(tmp_path, "study,x,y,z\n", "b.csv")], "b.csv is no Sleuth text")


def test_sleuth_text_is_not_written_without_sample_sizes(tmp_path):
    with pytest.raises(DataError, match="with_studies"):
        fn.read_foci(FOCI).to_sleuth(tmp_path / "a.txt")
