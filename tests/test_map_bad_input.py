"""Designs and images that do not go together, asked of fit(): an error or a message before any long work."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, ImageError, NoBackend, Unable

sys.path.insert(0, str(Path(__file__).parent))
from image_files import AFFINE, SHAPE, lesions, written

N = 12
PROBIT = {"family": "binomial(probit)", "estimator": "mean_br"}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", "")


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    d = written(tmp_path, lesions(N, share=0.3))
    return d.assign(sex=np.resize(["F", "M"], N), site=np.resize(list("aabb"), N))


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("formula_neuro.images.reading.build", lambda plan, folder: pytest.fail("images were read"))


def said(v: fn.MapFit) -> str:
    return "\n".join(v.messages)


@pytest.mark.parametrize("family, estimator", [("binomial(probit)", "mean_br"), ("gaussian", None)])
def test_a_constant_and_a_collinear_column_are_named_and_their_maps_are_missing(table, family, estimator) -> None:
    d = table.assign(c=5.0, months=12 * table["age"] + 1)
    v = fn.fit("lesion ~ age + c + months", d, family=family, estimator=estimator)
    assert "c, months have no coefficients (NaN): their columns are linear combinations of earlier ones" in said(v)
    assert np.isnan(v.coef[["c", "months"]]).all(axis=None) and v.coef[["(Intercept)", "age"]].notna().all(axis=None)
    assert np.isnan(v.maps["z", "months"].get_fdata()).all()


def test_a_cell_of_two_factors_without_a_subject_is_named(table) -> None:
    d = table.assign(sex=np.where(table["site"] == "a", "F", table["sex"]))
    assert "sexM:siteb has no coefficient (NaN)" in said(fn.fit("lesion ~ sex * site", d, **PROBIT))


def test_a_level_that_has_no_subject_is_left_out_with_a_message(table) -> None:
    d = table.assign(sex=pd.Categorical(table["sex"], categories=["F", "M", "X"]))
    v = fn.fit("lesion ~ sex", d, **PROBIT)
    assert v.names == ("(Intercept)", "sexM") and "levels that do not occur in the rows used are dropped (X)" in said(v)


def test_an_age_in_texts_is_told_where_it_leaves_too_few_images(table, unread) -> None:
    with pytest.raises(
        DataError, match=r"12 images cannot determine 12 coefficients.*age: texts that look like numbers"
    ):
        fn.fit("lesion ~ age", table.assign(age=table["age"].astype(str)), **PROBIT)


def test_an_age_in_texts_is_refused_before_hours_are_spent_on_its_levels(table, unread) -> None:
    texts = table["age"].astype(str).where(table.index < 3, table["age"].astype(str)[0])
    with pytest.raises(DataError, match=r"age: texts that look like numbers.*write factor\(age\)"):
        fn.fit("lesion ~ age", table.assign(age=texts), **PROBIT)


def test_paths_without_an_ending_are_told_what_images_end_in(table, unread) -> None:
    with pytest.raises(DataError, match=r"paths end in \.nii or \.nii\.gz"):
        fn.fit("lesion ~ age", table.assign(lesion=table["lesion"].astype(str).str.removesuffix(".nii.gz")), **PROBIT)


@pytest.mark.parametrize(
    ("verb", "instead"),
    [
        ("r2", r"v\.at"),
        ("icc", "icc_"),
        ("ranova", "lrt_"),
        ("compare", r"v\.glance"),
        ("bootstrap_test", "permutation"),
    ],
)
def test_verbs_of_tables_say_what_maps_have_instead(table, verb, instead) -> None:
    v = fn.fit("lesion ~ age", table, **PROBIT)
    fits = (v, v) if verb in ("compare", "bootstrap_test") else (v,)
    with pytest.raises(Unable, match=rf"{verb}\(\) is of fits on tables, not of maps; .*{instead}"):
        getattr(fn, verb)(*fits)


def test_methods_of_other_packages_are_known_by_name(table) -> None:
    c = fn.contrast(fn.fit("lesion ~ age", table, **PROBIT), "age")
    with pytest.raises(ValueError, match=r"method='uncorrected'.*did you mean 'none'"):
        c.threshold("uncorrected")
    with pytest.raises(ValueError, match=r"method='fwe'.*permutation_test"):
        c.threshold("fwe")


def test_images_of_other_numbers_are_no_counts(table) -> None:
    rng = np.random.default_rng(2)
    for path in table["lesion"]:
        values = rng.poisson(2.0, SHAPE).astype(np.float32) + 1
        values[1, 2, 3] = 0.25 if path == table["lesion"][4] else 1
        nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    with pytest.raises(DataError, match=r"the image of row 5 holds 0\.25 in voxel \(1, 2, 3\), but family='poisson'"):
        fn.fit("lesion ~ age", table, family="poisson")
    assert fn.fit("lesion ~ age", table.drop(index=4), family="poisson").converged


@pytest.mark.parametrize("how", [{"family": "nbinom2"}, {"family": "binomial", "estimator": "reml"}])
def test_a_model_that_no_backend_fits_is_refused_before_images_are_read(table, unread, how) -> None:
    with pytest.raises(NoBackend, match=r"in every voxel of 12 images\n"):
        fn.fit("lesion ~ age", table, **how)


def test_a_backend_of_tables_is_refused_before_images_are_read(table, unread) -> None:
    with pytest.raises(NoBackend, match="fits tables, not images"):
        fn.fit("lesion ~ age", table, backend="native-glm", **PROBIT)


def test_subjects_with_several_images_are_named_unless_the_model_knows_them(table) -> None:
    d = table.assign(participant_id=[f"sub-{i // 2:02d}" if i < 4 else f"sub-{i:02d}" for i in range(N)])
    v = fn.fit("lesion ~ age", d, **PROBIT)
    assert "participant_id: 2 of 10 subjects have several images (sub-00, sub-01), which count as independent" in said(
        v
    )
    assert "several images" not in said(fn.fit("lesion ~ age + (1 | participant_id)", d))


def test_weights_that_are_no_trials_are_told(table) -> None:
    v = fn.fit("lesion ~ age", table.assign(w=0.5), weights="w", **PROBIT)
    assert "lesion: shares times weights are not whole numbers of successes" in said(v)


def test_empty_images_alone_are_told_as_such_of_masks(table) -> None:
    for path in table["lesion"]:
        nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), AFFINE), path)
    with pytest.raises(ImageError, match="all 12 images are empty: no voxel is 1; are these the right files"):
        fn.fit("lesion ~ age", table, **PROBIT)


def test_more_events_than_any_voxel_has_are_told_with_what_there_are(table) -> None:
    with pytest.raises(ImageError, match=r"min_count=12, but the most .* is an event in \d+ of 12 images; give a smal"):
        fn.read_images(table, "lesion", min_count=12)


def test_an_empty_cell_is_a_row_without_an_image(table) -> None:
    table.loc[2, "lesion"] = " "
    with pytest.raises(ImageError, match=r"1 of 12 rows have no image \(row 3\)"):
        fn.fit("lesion ~ age", table, **PROBIT)


def test_a_path_that_is_no_image_does_not_hide_the_others(table) -> None:
    table.loc[0, "lesion"] = "notes.txt"
    with pytest.raises(
        FileNotFoundError, match=r"1 of 12 images do not exist: .*notes\.txt \(row 1\); correct the paths"
    ):
        fn.fit("lesion ~ age", table, **PROBIT)
