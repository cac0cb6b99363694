"""The command line on images: maps, report and R's verdict from a table of paths."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import pandas as pd
import pytest
from typer.testing import CliRunner

import formula_neuro as fn
from formula_neuro.cli import app

PROBIT = ("--family", "binomial(probit)", "--estimator", "mean_br")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder of masks with participants.tsv, and a mask of the brain."""
    folder = tmp_path_factory.mktemp("study")
    made = fn.simulate_lesions(60, reference=fn.lesion_reference(spacing=12), seed=3)
    table = made.to_nifti(folder)
    grid = made.images.grid
    nib.Nifti1Image(made.images.mask.astype("u1"), grid.affine).to_filename(folder / "mask.nii.gz")
    return table, str(folder / "mask.nii.gz")


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("FORMULA_NEURO_CACHE", "")


def run(*words: str):
    return CliRunner().invoke(app, ["fit", *words])


def test_a_table_of_paths_is_fitted_in_every_voxel_of_the_mask(study):
    table, mask = study
    done = run("lesion ~ age", table, "--mask", mask, *PROBIT)
    assert done.exit_code == 0 and "generalized linear model by mean bias reduction in every voxel" in done.stdout
    assert "as given" in done.stderr and "as given" not in done.stdout


def test_out_writes_the_maps_in_the_layout_asked_for(study, tmp_path):
    done = run("lesion ~ age", study[0], "--out", str(tmp_path / "maps"), "--layout", "fsl", *PROBIT)
    assert done.exit_code == 0 and f"files in {tmp_path / 'maps'}" in done.stderr
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    assert {"zstat2.nii.gz", "cope1.nii.gz", "summary.txt"} <= names


def test_json_has_the_counts_of_every_coefficient(study):
    done = run("lesion ~ age", study[0], "--json", *PROBIT)
    record = json.loads(done.stdout)
    assert [row["term"] for row in record["coefficients"]] == ["(Intercept)", "age"]
    assert record["images"] == 60 and record["df_resid"] is None and record["crosscheck"] is None


def test_min_count_leaves_rare_voxels_out(study):
    few, many = (
        json.loads(run("lesion ~ age", study[0], "--json", "--min-count", n, *PROBIT).stdout) for n in ("1", "4")
    )
    assert 0 < many["voxels"] < few["voxels"]


@pytest.mark.parametrize(
    "words, said",
    [
        (("lesion ~ ago",), "did you mean age?"),
        (("lesion ~ age", "--mask", "nowhere.nii.gz"), "nowhere.nii.gz"),
        (("lesion ~ age", "--layout", "afni"), "bids, fsl, spm"),
        (("lesion ~ age", "--layout", "fsl"), "add --out FOLDER"),
        (("age ~ lesion", "--mask", "nowhere.nii.gz"), "a column of image paths"),
        (("lesion ~ age", "--report", "no/where.html"), "make it first"),
        (("lesion ~ age", "--crosscheck", "--voxels", "0"), "1 or more; got 0"),
        (("lesion ~ age", "--min-count", "61"), "give a smaller min_count"),
    ],
)
def test_what_cannot_be_used_is_status_2_and_one_line(study, words, said):
    done = run(words[0], study[0], *words[1:], *PROBIT)
    assert done.exit_code == 2 and said in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("words", [("lesion ~ ago",), ("lesion ~ age", "--backend", "native-glm")])
def test_what_needs_no_image_is_refused_before_they_are_read_in_another_way(study, words, monkeypatch):
    monkeypatch.setattr("formula_neuro.images.reading.build", lambda plan, folder: pytest.fail("images were read"))
    done = run(words[0], study[0], *words[1:], "--min-count", "2", *PROBIT)
    assert done.exit_code == 2 and ("did you mean age?" in done.stderr or "not images" in done.stderr)


def test_a_dot_stands_for_all_columns_with_options_of_reading_too(study, tmp_path):
    table = tmp_path / "participants.tsv"
    d = pd.read_csv(study[0], sep="\t").drop(columns="participant_id")
    d.assign(lesion=[f"{Path(study[0]).parent}/{name}" for name in d["lesion"]]).to_csv(table, sep="\t", index=False)
    done = run("lesion ~ .", str(table), "--min-count", "2", *PROBIT)
    assert done.exit_code == 0 and "age " in done.stdout


@pytest.mark.r
def test_crosscheck_gives_rs_verdict_by_voxel(study):
    done = run("lesion ~ age", study[0], "--crosscheck", "--voxels", "3", "--json", *PROBIT)
    check = json.loads(done.stdout)["crosscheck"]
    assert done.exit_code == 0 and check["verdict"] == "agrees" and len(check["voxels"]) == 3
