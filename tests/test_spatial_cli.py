"""`formula-neuro fit --estimator spatial` on NIfTI files: what is written, and what is refused in one line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from formula_neuro.cli import app

sys.path.insert(0, str(Path(__file__).parent))
from spatial_lattices import PROBIT, masks


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Masks of 40 subjects with a table, a mask of the brain, one of single voxels and one that is shifted."""
    place, images = tmp_path_factory.mktemp("lesions"), masks(np.ones((5, 4, 3), dtype=bool), n=40)
    Y, affine = images.store.values(np.arange(60)), images.grid.affine
    names = [f"{i}.nii.gz" for i in range(40)]
    for i, name in enumerate(names):
        nib.Nifti1Image(Y[:, i].reshape(5, 4, 3), affine).to_filename(place / name)
    table = images.table.assign(lesion=names, twice=2 * images.table["age"])
    table.to_csv(place / "subjects.csv", index=False)
    table.head(1).to_csv(place / "one.csv", index=False)
    shifted = affine.copy()
    shifted[0, 3] += 4
    brain = np.ones((5, 4, 3), dtype=np.uint8)
    chess = (np.indices((5, 4, 3)).sum(axis=0) % 2).astype(np.uint8)
    for name, values, where in (("mask", brain, affine), ("chess", chess, affine), ("shifted", brain, shifted)):
        nib.Nifti1Image(values, where).to_filename(place / f"{name}.nii.gz")
    return place


@pytest.fixture
def asked(folder, monkeypatch):
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(folder / "cache"))

    def run(formula: str = "lesion ~ age", *more: str, data: str = "subjects.csv", mask: str = "mask", how="spatial"):
        common = ["--family", PROBIT, "--estimator", how, "--mask", str(folder / f"{mask}.nii.gz")]
        return CliRunner().invoke(app, ["fit", formula, str(folder / data), *common, *more])

    return run


def test_settings_and_a_seed_reach_the_maps_and_their_sidecars(asked, tmp_path) -> None:
    said = asked("lesion ~ age", "--seed", "4", "--out", str(tmp_path), how="spatial(draws=8)")
    assert said.exit_code == 0, said.output
    sidecar = json.loads((tmp_path / "contrast-age_stat-z_statmap.json").read_text("utf-8"))
    assert sidecar["Estimator"] == "Spatial(method='laplace', draws=8)"
    other = asked("lesion ~ age", "--out", str(tmp_path / "2"), how="spatial(draws=8)")
    assert other.exit_code == 0
    maps = [nib.load(path / "contrast-age_stat-z_statmap.nii.gz").get_fdata() for path in (tmp_path, tmp_path / "2")]
    assert not np.array_equal(*maps) and np.allclose(*maps, atol=0.8)  # other draws


def test_the_printed_summary_has_level_and_smoothness(asked) -> None:
    said = asked()
    assert "sd between neighbours" in said.output and "The search for Sigma converged" in said.output


def test_json_is_one_object(asked) -> None:
    said = asked("lesion ~ age", "--json")
    record = json.loads(said.stdout)
    assert record["estimator"] == "spatial" and record["voxels"] == 60


def test_a_cross_check_that_there_is_not_leaves_the_maps_written(asked, tmp_path) -> None:
    said = asked("lesion ~ age", "--crosscheck", "--out", str(tmp_path))
    assert said.exit_code == 1 and "no R package fits it" in said.output
    assert (tmp_path / "contrast-age_stat-z_statmap.nii.gz").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"formula": "lesion ~ age + twice"}, "twice has no coefficient"),
        ({"mask": "chess"}, "share a face"),
        ({"mask": "shifted"}, "another grid"),
        ({"data": "one.csv"}, "1 images cannot determine"),
        ({"how": "spatial(hmc)"}, "laplace, gibbs"),
        ({"formula": "lesion ~ age + (1|sex)"}, "spatial: fits glm, not glmm"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line_with_status_2(asked, given, said) -> None:
    found = asked(**given)
    assert found.exit_code == 2 and said in found.output and "Traceback" not in found.output
