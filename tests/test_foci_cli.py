"""Foci on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import pytest
from typer.testing import CliRunner

from formula_neuro.cli import app

sys.path.insert(0, str(Path(__file__).parent))
from foci_small import SPLINES, foci, mask, usual

FORMULA = "foci ~ s(diagnosis) + scale(age) + subtype"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A studyset and its mask."""
    place = tmp_path_factory.mktemp("foci")
    foci().to_studyset(place / "studyset.json")
    nib.save(mask(), place / "mask.nii.gz")
    return place


def run(folder: Path, formula: str = FORMULA, *options: str):
    given = [
        "fit",
        formula,
        str(folder / "studyset.json"),
        "--mask",
        str(folder / "mask.nii.gz"),
        "--estimator",
        SPLINES,
    ]
    return CliRunner().invoke(app, [*given, *options])


def test_a_studyset_is_fitted_and_summed_up(folder: Path) -> None:
    answer = run(folder)
    assert answer.exit_code == 0
    assert "Where foci are" in answer.output and "How many foci" in answer.output


def test_json_holds_cells_and_moderators(folder: Path) -> None:
    record = json.loads(run(folder, FORMULA, "--json").stdout)
    assert [cell["cell"] for cell in record["cells"]] == ["depression", "schizophrenia"]
    assert abs(record["coefficients"][0]["estimate"] - usual().coef.iloc[0]) < 1e-8


def test_maps_and_tables_are_written(folder: Path) -> None:
    answer = run(folder, FORMULA, "--out", str(folder / "maps"), "--layout", "nimare")
    assert answer.exit_code == 0
    assert (folder / "maps" / "spatialIntensity_group-Depression.nii.gz").exists()
    assert "Where foci are" in (folder / "maps" / "summary.txt").read_text()


def test_a_family_can_be_named(folder: Path) -> None:
    assert "Clustered negative binomial" in run(folder, FORMULA, "--family", "clustered_negative_binomial").output


def test_a_layout_of_images_is_none_of_foci(folder: Path) -> None:
    answer = run(folder, FORMULA, "--layout", "spm")
    assert answer.exit_code == 2 and "bids, nimare" in answer.output


def test_what_is_typed_wrong_is_usage(folder: Path) -> None:
    answer = run(folder, "foci ~ s(diagnoses)")
    assert answer.exit_code == 2 and "did you mean diagnosis" in answer.output


@pytest.mark.r
def test_r_is_asked_on_the_command_line(folder: Path) -> None:
    answer = run(folder, FORMULA, "--crosscheck")
    assert answer.exit_code == 0 and "cbmr agrees with" in answer.output


def test_a_table_of_studies_and_a_space_are_taken(folder: Path) -> None:
    foci().foci[["study", "x", "y", "z"]].to_csv(folder / "foci.csv", index=False)
    foci().studies.drop(columns="analysis").to_csv(folder / "studies.csv", index=False)
    given = ["fit", FORMULA, str(folder / "foci.csv"), "--studies", str(folder / "studies.csv"), "--json"]
    given += ["--mask", str(folder / "mask.nii.gz"), "--estimator", SPLINES]
    record = json.loads(CliRunner().invoke(app, given).stdout)
    assert abs(record["coefficients"][0]["estimate"] - usual().coef.iloc[0]) < 1e-8  # digits of a csv
    moved = CliRunner().invoke(app, [*given, "--space", "TAL"])
    assert "brought from Talairach to MNI" in moved.stderr


def test_studies_are_of_foci_alone(folder: Path) -> None:
    answer = CliRunner().invoke(app, ["fit", "y ~ x", str(folder / "foci.csv"), "--studies", "studies.csv"])
    assert answer.exit_code != 0 and "--studies and --space are of foci" in answer.stderr
