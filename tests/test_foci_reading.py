"""read_foci(): the files of the field, in small, come out as the same foci."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.foci.locating import located, voxel_of
from formula_neuro.foci.space import talairach_to_mni
from formula_neuro.foci.truth import centres, ellipsoid
from formula_neuro.images.grid import Grid

FOCI = {"study": ["a", "a", "a", "b"], "x": [-38, 40, 2.5, 0], "y": [34, 20, -60, 8], "z": [20, 4, 10, 50]}
POINTS = np.column_stack([FOCI[axis] for axis in "xyz"]).astype(float)


def studyset(**changes):
    """Two studies with one analysis called "1" each, as NiMARE's pain corpus has them."""
    points = [{"space": "MNI", "coordinates": list(point), "values": [{"kind": "T", "value": 3.5}]} for point in POINTS]
    first = {"id": "1", "name": "pain > rest", "points": points[:3], "metadata": {"sample_sizes": [20, 24]}}
    second = {"id": "1", "name": "heat", "points": points[3:], "metadata": {"sample_sizes": [12]}}
    studies = [
        {
            "id": "a",
            "name": "Paper A",
            "authors": "Smith",
            "year": 2010,
            "metadata": {"site": "X"},
            "analyses": [first],
        },
        {"id": "b", "name": "Paper B", "authors": "", "year": None, "metadata": None, "analyses": [second]},
    ]
    return {"id": "s", "name": "", "studies": studies, **changes}


def dataset():
    coords = {axis: POINTS[:3, i].tolist() for i, axis in enumerate("xyz")}
    first = {"coords": {"space": "MNI", **coords}, "metadata": {"sample_sizes": [20]}, "labels": {"pain": 0.5}}
    none = {"coords": {"space": "MNI", "x": None, "y": None, "z": None}, "metadata": {"sample_sizes": [9]}}
    images = {"images": {"z": "z.nii.gz"}, "metadata": {"sample_sizes": [30]}}
    return {"a": {"contrasts": {"1": first}}, "b": {"contrasts": {"1": none, "2": images}}}


SLEUTH = """// Reference = MNI
// Smith: et al., 2010; pain > rest
// Subjects = 20
-38\t34\t20
40 20 4

//Lee 2011
//Subjects=12
2.5   -60   10
"""


def _oblique():
    """A turn by 20 degrees about z."""
    cosine, sine = np.cos(np.pi / 9), np.sin(np.pi / 9)
    return np.array([[cosine, -sine, 0, 0], [sine, cosine, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def saved(folder, content, name="set.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# ---- tables --------------------------------------------------------------------------------------
def test_coordinates_come_out_as_they_went_in():
    foci = fn.read_foci(FOCI)
    assert np.array_equal(foci.points, POINTS)
    assert foci.rows.tolist() == [0, 0, 0, 1]


def test_a_csv_file_reads_as_its_table(tmp_path):
    pd.DataFrame(FOCI).to_csv(tmp_path / "foci.csv", index=False)
    assert fn.read_foci(tmp_path / "foci.csv").key == fn.read_foci(FOCI).key


def test_a_compressed_tsv_file_reads_as_its_table(tmp_path):
    pd.DataFrame(FOCI).to_csv(tmp_path / "foci.tsv.gz", index=False, sep="\t")
    assert fn.read_foci(tmp_path / "foci.tsv.gz").key == fn.read_foci(FOCI).key


def test_what_is_the_same_within_analyses_belongs_to_the_studies():
    foci = fn.read_foci({**FOCI, "age": [30, 30, 30, 41], "t": [3.1, 4.0, 3.6, 5.2]})
    assert foci.studies["age"].tolist() == [30, 41] and "t" in foci.foci.columns
    assert "age" not in foci.foci.columns and "t" not in foci.studies.columns


def test_analyses_of_a_study_are_rows_of_their_own():
    foci = fn.read_foci({**FOCI, "contrast": ["words", "words", "faces", "words"]})
    assert foci.studies[["study", "analysis"]].to_numpy().tolist() == [["a", "words"], ["a", "faces"], ["b", "words"]]
    assert foci.counts.tolist() == [2, 1, 1]


def test_ids_are_texts_as_they_stand_in_the_file(tmp_path):
    path = saved(tmp_path, "study,x,y,z\n007,1,2,3\n12,4,5,6\n", "foci.csv")
    assert fn.read_foci(path).studies["study"].tolist() == ["007", "12"]


def test_a_table_of_studies_is_joined_and_its_order_kept():
    table = {"study": ["b", "c", "a"], "age": [41, 50, 30]}
    foci = fn.read_foci(FOCI, pd.DataFrame(table))
    assert foci.studies["study"].tolist() == ["b", "c", "a"]
    assert foci.studies["age"].tolist() == [41, 50, 30]
    assert foci.counts.tolist() == [1, 0, 3]


def test_a_study_without_foci_is_kept_and_counted():
    foci = fn.read_foci(FOCI, {"study": ["a", "b", "c"], "age": [1, 2, 3]})
    assert any("analyses without foci: 1 of 3" in message for message in foci.messages)


def test_covariates_by_analysis_are_joined_on_both_ids():
    one = {**FOCI, "analysis": ["1", "1", "2", "1"]}
    foci = fn.read_foci(one, {"study": ["a", "a", "b"], "analysis": ["2", "1", "1"], "load": [2, 1, 1]})
    assert dict(
        zip(zip(foci.studies["study"], foci.studies["analysis"], strict=True), foci.studies["load"], strict=True)
    ) == {
        ("a", "1"): 1,
        ("a", "2"): 2,
        ("b", "1"): 1,
    }


def test_foci_that_name_no_analysis_take_the_only_one_of_their_study():
    foci = fn.read_foci(FOCI, {"study": ["a", "b"], "analysis": ["words", "faces"], "age": [30, 41]})
    assert foci.studies.to_numpy().tolist() == [["a", "words", 30], ["b", "faces", 41]]
    assert foci.counts.tolist() == [3, 1]


TALAIRACH = talairach_to_mni(POINTS)


def test_the_space_of_a_study_is_that_of_its_foci():
    foci = fn.read_foci(FOCI, {"study": ["a", "b"], "Space": ["Talairach", "MNI"], "age": [30, 41]})
    np.testing.assert_array_equal(foci.points, np.vstack([TALAIRACH[:3], POINTS[3:]]))
    assert "3 of 4 foci brought from Talairach to MNI (Lancaster 2007)" in foci.messages
    assert foci.studies.columns.tolist() == ["study", "analysis", "stated_space", "age"]


def test_the_space_of_a_focus_counts_before_that_of_its_study():
    foci = fn.read_foci({**FOCI, "space": ["MNI", None, "MNI", None]}, {"study": ["a", "b"], "space": ["TAL", "MNI"]})
    expected = [POINTS[0], TALAIRACH[1], POINTS[2], POINTS[3]]
    np.testing.assert_allclose(foci.points, expected, rtol=1e-14)  # a product of matrices rounds by its size


def test_neurosynths_talairach_studies_are_brought_to_mni(tmp_path):
    (tmp_path / "c.tsv.gz").write_bytes(gzip.compress(b"id\ttable_id\tx\ty\tz\n11\t28\t38.0\t-48.0\t49.0\n"))
    (tmp_path / "m.tsv.gz").write_bytes(gzip.compress(b"id\tdoi\tspace\tyear\n11\tn/a\tTAL\t1997\n"))
    foci = fn.read_foci(tmp_path / "c.tsv.gz", tmp_path / "m.tsv.gz")
    np.testing.assert_array_equal(foci.points, talairach_to_mni(np.array([[38.0, -48.0, 49.0]])))


@pytest.mark.parametrize("names", [("f.csv",), ("f.tsv",), ("f.csv", "s.csv")])
def test_foci_written_and_read_again_are_the_same_and_not_brought_to_mni_twice(tmp_path, names):
    foci = fn.read_foci(FOCI, {"study": ["a", "b", "c"], "space": ["TAL", "MNI", "MNI"]})
    again = fn.read_foci(*foci.to_csv(*(tmp_path / name for name in names)))
    np.testing.assert_array_equal(again.points, foci.points)
    pd.testing.assert_frame_equal(again.studies, foci.studies)


def test_foci_in_mni_stay_there_beside_the_spaces_that_they_were_read_with(tmp_path):
    studies = {"study": ["a", "b"], "space": ["TAL", "MNI"]}
    foci = fn.read_foci(FOCI, studies)
    written, _ = foci.to_csv(tmp_path / "f.csv")
    again = fn.read_foci(written, studies)
    np.testing.assert_array_equal(again.points, foci.points)
    assert not any("Talairach" in message for message in again.messages)


@pytest.mark.parametrize("zipped", [False, True])
def test_row_names_of_r_are_no_studies(tmp_path, zipped):
    path = saved(tmp_path, '"study","x","y","z"\n"1","01",-38,34,20\n"2","02",10,8,6\n', "r.csv")
    if zipped:
        (tmp_path / "r.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = tmp_path / "r.csv.gz"
    foci = fn.read_foci(path)
    assert foci.studies["study"].tolist() == ["01", "02"] and foci.points.tolist() == [[-38, 34, 20], [10, 8, 6]]


@pytest.mark.parametrize("minus", ["\u2212", "\u2013"])
def test_the_minus_of_typeset_tables_is_one(tmp_path, minus):
    path = saved(tmp_path, f"study,x,y,z\na,{minus}38,34,{minus}2.5\n", "foci.csv")
    assert fn.read_foci(path).points.tolist() == [[-38, 34, -2.5]]
    text = saved(tmp_path, f"//Reference=MNI\n//Lee 2011\n//Subjects=12\n{minus}38 34 {minus}2.5\n", "foci.txt")
    assert fn.read_foci(text).points.tolist() == [[-38, 34, -2.5]]


def test_the_second_table_is_written_beside_the_first(tmp_path):
    foci, studies = fn.read_foci(FOCI).to_csv(tmp_path / "pain.csv")
    assert (foci.name, studies.name) == ("pain.csv", "pain_studies.csv") and studies.exists()


def test_a_row_without_coordinates_is_an_analysis_without_foci():
    foci = fn.read_foci({"study": ["a", "b"], "x": [1, None], "y": [2, None], "z": [3, None], "n": [20, 30]})
    assert foci.counts.tolist() == [1, 0] and foci.studies["n"].tolist() == [20, 30]


def test_neurosynth_tables_join_on_their_id(tmp_path):
    (tmp_path / "c.tsv.gz").write_bytes(gzip.compress(b"id\ttable_id\tx\ty\tz\n9065511\t28698\t38.0\t-48.0\t49.0\n"))
    (tmp_path / "m.tsv.gz").write_bytes(gzip.compress(b"id\tdoi\tspace\tyear\n9065511\tn/a\tMNI\t1997\n"))
    foci = fn.read_foci(tmp_path / "c.tsv.gz", tmp_path / "m.tsv.gz")
    assert foci.studies[["study", "year"]].to_numpy().tolist() == [["9065511", 1997]]


# ---- NiMARE's files ------------------------------------------------------------------------------
def test_a_studyset_gives_points_metadata_and_values(tmp_path):
    foci = fn.read_foci(saved(tmp_path, studyset()))
    assert np.array_equal(foci.points, POINTS) and foci.rows.tolist() == [0, 0, 0, 1]
    assert foci.studies["analysis_name"].tolist() == ["pain > rest", "heat"]
    assert foci.studies["site"].tolist()[0] == "X" and foci.foci["value_T"].tolist() == [3.5] * 4


def test_several_sample_sizes_are_summed_and_said(tmp_path):
    foci = fn.read_foci(saved(tmp_path, studyset()))
    columns = ["sample_size", "sample_size_mean", "sample_size_first"]
    assert foci.studies[columns].to_numpy().tolist() == [[44, 22, 20], [12, 12, 12]]
    assert any("several sample sizes" in message for message in foci.messages)


def test_annotations_in_a_file_become_columns(tmp_path):
    notes = [{"study": s, "analysis": "1", "note": {"group": g}} for s, g in (("a", "patients"), ("b", "controls"))]
    annotations = saved(tmp_path, {"id": "n", "notes": notes}, "notes.json")
    foci = fn.read_foci(saved(tmp_path, studyset()), annotations)
    assert foci.studies["group"].tolist() == ["patients", "controls"]


@pytest.mark.parametrize("inline", [{"group": "patients"}, {"annotation-7": {"group": "patients"}}])
def test_inline_annotations_become_columns(tmp_path, inline):
    content = studyset()
    content["studies"][0]["analyses"][0]["annotations"] = inline
    assert fn.read_foci(saved(tmp_path, content)).studies["group"].tolist()[0] == "patients"


def test_a_table_of_covariates_is_joined_to_a_studyset(tmp_path):
    foci = fn.read_foci(saved(tmp_path, studyset()), {"study": ["b", "a"], "drug": ["yes", "no"]})
    assert dict(zip(foci.studies["study"], foci.studies["drug"], strict=True)) == {"a": "no", "b": "yes"}


def test_a_dataset_keeps_contrasts_without_coordinates_but_not_images_alone(tmp_path):
    foci = fn.read_foci(saved(tmp_path, dataset()))
    assert np.array_equal(foci.points, POINTS[:3]) and foci.counts.tolist() == [3, 0]
    assert foci.studies["sample_size"].tolist() == [20, 9]
    assert any("1 contrasts hold images but no coordinates" in message for message in foci.messages)


def test_tables_of_an_object_of_nimare_are_read():
    keys = {"id": ["a-1", "b-1"], "study_id": ["a", "b"], "contrast_id": ["1", "1"]}

    class Studyset:
        coordinates = pd.DataFrame({**keys, "x": [1.0, 2.0], "y": [3.0, 4.0], "z": [5.0, -6.0], "space": "mni152_2mm"})
        metadata = pd.DataFrame({**keys, "sample_sizes": [[25, 5], [31]]})
        annotations_df = pd.DataFrame({**keys, "drug": ["yes", "no"]})

    foci = fn.read_foci(Studyset())
    assert foci.studies["sample_size"].tolist() == [30, 31] and foci.studies["drug"].tolist() == ["yes", "no"]


def test_a_folder_of_parquet_tables_is_read(tmp_path):
    pytest.importorskip("pyarrow")
    keys = {"id": ["a-1", "b-1"], "study_id": ["a", "b"], "contrast_id": ["1", "1"]}
    one = pd.DataFrame({name: values[:1] for name, values in keys.items()}).assign(x=1.0, y=2.0, z=3.0, space="MNI")
    one.to_parquet(tmp_path / "coordinates.parquet")
    pd.DataFrame({**keys, "task": ["n-back", "flanker"]}).to_parquet(tmp_path / "annotations.parquet")
    foci = fn.read_foci(tmp_path)
    assert foci.counts.tolist() == [1, 0] and foci.studies["task"].tolist() == ["n-back", "flanker"]


# ---- Sleuth --------------------------------------------------------------------------------------
def test_sleuth_text_gives_experiments_and_sizes(tmp_path):
    foci = fn.read_foci(saved(tmp_path, SLEUTH, "a.txt"))
    assert foci.studies.to_numpy().tolist() == [["Smith: et al., 2010", "pain > rest", 20], ["Lee 2011", "1", 12]]
    assert np.array_equal(foci.points, POINTS[:3])


@pytest.mark.parametrize("ends", ["\r", "\r\n", "\n\r"])
def test_sleuth_text_of_any_system_is_read(tmp_path, ends):
    path = tmp_path / "a.txt"
    path.write_bytes(SLEUTH.replace("\n", ends).encode())
    assert fn.read_foci(path).key == fn.read_foci(saved(tmp_path, SLEUTH, "b.txt")).key


def test_several_sleuth_files_are_merged_by_study(tmp_path):
    other = "//Reference=Talairach\n//Lee 2011: faces\n//Subjects=9\n1 2 3\n"
    foci = fn.read_foci([saved(tmp_path, SLEUTH, "a.txt"), saved(tmp_path, other, "b.txt")])
    assert foci.studies["study"].tolist() == ["Smith: et al., 2010", "Lee 2011", "Lee 2011"]
    assert np.allclose(foci.points[-1], talairach_to_mni(np.array([[1.0, 2.0, 3.0]])), rtol=0, atol=1e-12)  # rounding


def test_experiments_of_one_name_are_numbered(tmp_path):
    twice = SLEUTH + "//Lee 2011\n//Subjects=15\n1 2 3\n"
    assert fn.read_foci(saved(tmp_path, twice, "a.txt")).studies["analysis"].tolist() == ["pain > rest", "1", "1 (2)"]


# ---- spaces --------------------------------------------------------------------------------------
def test_talairach_is_the_inverse_of_lancasters_transform():
    at = np.array([[10.0, -20.0, 30.0]])
    x, y, z = talairach_to_mni(at)[0]
    back = [
        0.9357 * x + 0.0029 * y - 0.0072 * z - 1.0423,
        -0.0065 * x + 0.9396 * y - 0.0726 * z - 1.3940,
        0.0103 * x + 0.0752 * y + 0.8967 * z + 3.6475,
    ]
    assert np.allclose(back, at[0], rtol=0, atol=1e-12)  # rounding alone


def test_only_foci_in_talairach_are_moved_and_counted():
    foci = fn.read_foci({**FOCI, "space": ["MNI", "TAL", "mni152_2mm", "OTHER"]})
    assert np.array_equal(foci.points[[0, 2, 3]], POINTS[[0, 2, 3]])
    assert np.allclose(foci.points[1], talairach_to_mni(POINTS[1:2])[0], rtol=0, atol=1e-12)  # rounding alone
    assert "1 of 4 foci brought from Talairach to MNI (Lancaster 2007)" in foci.messages
    assert any("OTHER 1" in message for message in foci.messages)


def test_space_decides_for_foci_of_unknown_space():
    foci = fn.read_foci({**FOCI, "space": ["MNI", "UNKNOWN", "", "MNI"]}, space="TAL")
    assert np.allclose(foci.points[1:3], talairach_to_mni(POINTS[1:3]), rtol=0, atol=1e-12)  # rounding alone
    assert np.array_equal(foci.points[[0, 3]], POINTS[[0, 3]])


# ---- the value -----------------------------------------------------------------------------------
def test_selected_analyses_keep_their_foci():
    foci = fn.read_foci(FOCI).select([1])
    assert foci.studies["study"].tolist() == ["b"] and np.array_equal(foci.points, POINTS[3:])


def test_columns_are_added_by_position_or_by_study():
    foci = fn.read_foci(FOCI)
    assert foci.with_studies({"age": [1, 2]}).studies["age"].tolist() == [1, 2]
    assert foci.with_studies({"study": ["b", "a"], "age": [2, 1]}).studies["age"].tolist() == [1, 2]


def test_a_changed_covariate_changes_the_key():
    foci = fn.read_foci(FOCI)
    assert foci.with_studies({"age": [1, 2]}).key != foci.with_studies({"age": [1, 3]}).key


def test_csv_files_that_are_written_read_as_the_same(tmp_path):
    foci = fn.simulate_foci(12, counts="poisson", mean=1.0, analyses=(1, 2), table={"drug": ["a", "b"] * 6}, seed=3)
    foci.to_csv(tmp_path / "f.csv", tmp_path / "s.csv")
    again = fn.read_foci(tmp_path / "f.csv", tmp_path / "s.csv")
    assert 0 in foci.counts and again.key == foci.key


def test_a_studyset_that_is_written_reads_with_its_covariates(tmp_path):
    foci = fn.simulate_foci(12, counts="poisson", mean=1.0, analyses=(1, 2), table={"drug": ["a", "b"] * 6}, seed=3)
    foci.to_studyset(tmp_path / "set.json")
    again = fn.read_foci(tmp_path / "set.json")
    assert np.array_equal(again.points, foci.points) and np.array_equal(again.counts, foci.counts)
    assert again.studies["drug"].tolist() == foci.studies["drug"].tolist()
    assert again.studies["sample_size"].tolist() == foci.studies["sample_size"].tolist()


def test_sleuth_text_that_is_written_reads_as_the_same(tmp_path):
    foci = fn.simulate_foci(12, counts="poisson", mean=1.0, analyses=(1, 2), seed=3)
    foci.to_sleuth(tmp_path / "a.txt")
    again = fn.read_foci(tmp_path / "a.txt")
    assert np.array_equal(again.points, foci.points) and np.array_equal(again.counts, foci.counts)


# ---- where they fall -----------------------------------------------------------------------------
@pytest.mark.parametrize("turn", [np.diag([-1.0, 1.0, 1.0, 1.0]), np.eye(4)[[1, 2, 0, 3]], _oblique()])
def test_every_voxels_centre_lies_in_its_voxel(turn):
    straight = ellipsoid(8)
    brain = replace(straight, grid=Grid(straight.grid.shape, turn @ straight.grid.affine))
    assert np.array_equal(voxel_of(centres(brain), brain), np.arange(len(brain.voxels)))


def test_a_tie_goes_to_the_even_index():
    brain = ellipsoid(4)
    corner = brain.grid.affine[:3, 3]
    inside = np.unravel_index(brain.voxels[len(brain.voxels) // 2], brain.grid.shape)
    for x in (12.5, 13.5):  # both nearest to 12 and 13, and to 13 and 14
        place = voxel_of((corner + 4 * np.array([x, *inside[1:]]))[None], brain)
        assert np.unravel_index(brain.voxels[place], brain.grid.shape)[0] == (12 if x == 12.5 else 14)


def test_foci_outside_the_mask_are_counted_by_study():
    foci = fn.read_foci({"study": ["a", "b", "b"], "x": [0, 0, 0], "y": [-16, -16, 95], "z": [20, 20, 20]})
    inside, outside = located(foci, ellipsoid())
    assert outside.studies.to_numpy().tolist() == [["b", 1, 2]]
    assert inside.analysis.tolist() == [0, 1] and np.array_equal(inside.points, foci.points[:2])
