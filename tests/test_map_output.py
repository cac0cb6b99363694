"""Maps written for other programs: names, headers, sidecars, and what is read back."""

from __future__ import annotations

import json
import re

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.maps.files.output import alphanumerics
from formula_neuro.maps.fit import MapFit

GROUPED = re.compile(r"contrast-[A-Za-z0-9]+_stat-[A-Za-z0-9]+_statmap\.(nii\.gz|json)")


@pytest.fixture(scope="module")
def made() -> fn.lesions.simulate.SimulatedLesions:
    return fn.simulate_lesions(60, reference=fn.lesion_reference(spacing=12), seed=3)


@pytest.fixture(scope="module")
def ml(made) -> MapFit:
    """Maximum likelihood, infinite in some voxels."""
    return fn.fit("lesion ~ age + I(age^2)", made.images, family="binomial(probit)")


@pytest.fixture(scope="module")
def linear(made) -> MapFit:
    return fn.fit("lesion ~ age", made.images)


def test_bids_names_have_entities_of_letters_and_digits(ml, tmp_path) -> None:
    ml.to_nifti(tmp_path)
    named = [path.name for path in tmp_path.iterdir() if path.name.startswith("contrast")]
    assert len(named) == 2 * 3 * 5 and all(GROUPED.fullmatch(name) for name in named)


def test_names_that_differ_by_signs_or_capitals_only_get_files_of_their_own() -> None:
    assert alphanumerics(["sexM", "sexm", "sex.m"]) == ["sexM", "sexm2", "sexM3"]


def test_variances_are_squared_standard_errors_as_nilearn_writes_them(ml, tmp_path) -> None:
    ml.to_nifti(tmp_path)
    variance = nib.load(tmp_path / "contrast-age_stat-variance_statmap.nii.gz").get_fdata()
    assert np.array_equal(variance, ml.maps["se", "age"].get_fdata() ** 2, equal_nan=True)


def test_a_sidecar_says_formula_versions_and_counts(ml, tmp_path) -> None:
    ml.to_nifti(tmp_path)
    told = json.loads((tmp_path / "contrast-age_stat-z_statmap.json").read_text("utf-8"))
    assert told["Formula"] == "lesion ~ age + I(age^2)" and told["Family"] == "binomial(probit)"
    assert told["Counts"]["images"] == 60 and set(told["Software"]) >= {"formula_neuro", "numpy", "nibabel", "python"}


def test_fsl_gets_numbers_everywhere_and_0_where_there_is_none(ml, tmp_path) -> None:
    assert np.isinf(ml.values["coef"]).any()
    ml.to_nifti(tmp_path, "fsl")
    cope = nib.load(tmp_path / "cope2.nii.gz").get_fdata()
    expected = ml.maps["coef", "age"].get_fdata()
    assert np.array_equal(cope, np.where(np.isfinite(expected), expected, 0.0))


def test_fsls_design_files_hold_the_design_and_one_contrast_a_coefficient(ml, tmp_path) -> None:
    ml.to_nifti(tmp_path, "fsl")
    X = np.loadtxt((tmp_path / "design.mat").read_text().split("/Matrix\n")[1].splitlines())
    assert np.allclose(X, ml.request.design.matrix, rtol=1e-9)  # eleven digits are written
    text = (tmp_path / "design.con").read_text()
    assert "/ContrastName2 age\n" in text and "/NumContrasts 3\n" in text


def test_fsls_p_values_are_of_one_side(linear, tmp_path) -> None:
    linear.to_nifti(tmp_path, "fsl")
    p = nib.load(tmp_path / "vox_p_tstat2.nii.gz").get_fdata()
    two_sided = np.nan_to_num(linear.maps["p", "age"].get_fdata(), nan=1.0)
    tested = np.isfinite(linear.maps["p", "age"].get_fdata())
    assert np.allclose(2 * np.minimum(p, 1 - p)[tested], two_sided[tested], rtol=1e-6)
    assert (tmp_path / "dof").read_text() == "58\n"


def test_spm_reads_its_degrees_of_freedom_from_the_header(linear, ml, tmp_path) -> None:
    linear.to_nifti(tmp_path / "t", "spm")
    ml.to_nifti(tmp_path / "z", "spm")
    said = [nib.load(tmp_path / kind / "spmT_0002.nii").header["descrip"].item().decode() for kind in ("t", "z")]
    assert said == ["SPM{T_[58.0]} - contrast 2: age", "SPM{T_[Inf]} - contrast 2: age"]
    assert {"beta_0001.nii", "con_0001.nii", "mask.nii", "ResMS.nii"} <= {p.name for p in (tmp_path / "t").iterdir()}


def test_float32_halves_the_digits_and_changes_nothing_else(ml, tmp_path) -> None:
    ml.to_nifti(tmp_path, dtype="float32")
    read = nib.load(tmp_path / "contrast-age_stat-z_statmap.nii.gz")
    assert read.get_data_dtype() == np.float32
    # a float32 has 24 binary digits
    assert np.allclose(read.get_fdata(), ml.maps["z", "age"].get_fdata(), rtol=1e-7, atol=0, equal_nan=True)


def test_the_mask_marks_the_voxels_analysed(ml, tmp_path) -> None:
    ml.to_nifti(tmp_path)
    assert np.flatnonzero(nib.load(tmp_path / "mask.nii.gz").get_fdata()).tolist() == list(ml.request.images.voxels)


@pytest.mark.parametrize("code", [2, 4])
def test_maps_carry_on_the_space_that_the_images_are_in(code, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", "")
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"age": rng.normal(size=12), "bold": [str(tmp_path / f"{i}.nii.gz") for i in range(12)]})
    for path in table["bold"]:
        image = nib.Nifti1Image(rng.normal(size=(3, 3, 2)), np.diag([2.0, 2, 2, 1]))
        image.set_sform(image.affine, code)
        image.to_filename(path)
    z = fn.fit("bold ~ age", table).maps["z", "age"]
    assert (int(z.header["sform_code"]), int(z.header["qform_code"])) == (code, code)
    assert z.header.get_xyzt_units()[0] == "mm"


def test_an_unknown_layout_is_told_those_that_are(ml, tmp_path) -> None:
    with pytest.raises(ValueError, match="bids, fsl, spm"):
        ml.to_nifti(tmp_path, "afni")
