"""estimator="spatial" from the user's side: masks in, maps out, and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.images.stack import Images
from formula_neuro.images.store import InMemory
from formula_neuro.maps.fit import MapFit
from formula_neuro_spatial.likelihood import Likelihood
from formula_neuro_spatial.newton import level

sys.path.insert(0, str(Path(__file__).parent))
from spatial_lattices import PROBIT, lattice, masks


@pytest.fixture(scope="module")
def images() -> Images:
    return masks(np.ones((6, 5, 4), dtype=bool))


@pytest.fixture(scope="module")
def fitted(images) -> MapFit:
    return fn.fit("lesion ~ age", images, family=PROBIT, estimator="spatial")


def test_a_fit_has_the_maps_of_other_models_of_voxels(fitted) -> None:
    assert fitted.backend == "spatial" and fitted.converged
    z = fitted.maps["z", "age"].get_fdata()
    ratio = fitted.maps["coef", "age"].get_fdata() / fitted.maps["se", "age"].get_fdata()
    assert z.shape == (6, 5, 4) and np.allclose(z, ratio)


def test_the_side_where_lesions_rise_with_age_is_found(fitted) -> None:
    z = fitted.maps["z", "age"].get_fdata()
    assert z[4:].min() > 1.5 and z[:2].max() < z[4:].min()


def test_fitted_incidence_is_near_what_was_seen(fitted) -> None:
    assert np.corrcoef(fitted.words["fitted_incidence"], fitted.words["incidence"])[0, 1] > 0.9


def test_standard_deviations_are_smaller_than_the_errors_of_voxels_alone(images, fitted) -> None:
    alone = fn.fit("lesion ~ age", images, family=PROBIT, estimator="mean_br")
    assert (fitted.values["se"] < alone.values["se"]).mean() > 0.95


def test_other_units_of_a_covariate_scale_its_map_alone(images, fitted) -> None:
    table = images.table.assign(months=images.table["age"] * 12)
    v = fn.fit("lesion ~ months", replace(images, table=table), family=PROBIT, estimator="spatial")
    assert np.allclose(v.values["coef"][:, 1] * 12, fitted.values["coef"][:, 1], rtol=1e-6)
    assert np.allclose(v.values["se"][:, 1] * 12, fitted.values["se"][:, 1], rtol=1e-6)


def test_a_contrast_uses_the_covariance_within_voxels(fitted) -> None:
    c = fn.contrast(fitted, "(Intercept) + 60 * age")
    L = np.array([1.0, 60.0])
    assert np.allclose(c.values["se"], np.sqrt(np.einsum("p,vpq,q->v", L, fitted.covariance(), L)))
    # the sum is far surer than its parts, which lie 60 years from the data
    assert (c.values["se"] < 0.5 * fitted.values["se"][:, 0]).all()


def test_the_same_seed_gives_the_same_maps_and_another_nearly(images, fitted) -> None:
    again = fn.fit("lesion ~ age", images, family=PROBIT, estimator="spatial")
    other = fn.fit("lesion ~ age", images, family=PROBIT, estimator="spatial", seed=2)
    assert np.array_equal(again.values["coef"], fitted.values["coef"])
    away = np.abs(other.values["coef"] - fitted.values["coef"]) / fitted.values["se"]
    assert 0 < away.max() < 0.2  # the draws that Sigma is sought with are others


def test_voxels_without_an_event_are_fitted_too() -> None:
    rare = masks(np.ones((6, 5, 4), dtype=bool), n=40, level=-2.0)
    v = fn.fit("lesion ~ age", rare, family=PROBIT, estimator="spatial")
    assert len(rare.voxels) < 120 and v.n_voxels == 120
    assert np.isfinite(v.values["coef"]).all() and (v.words["incidence"] == 0).any()


def test_the_largest_component_is_analysed_and_the_others_reported() -> None:
    mask = np.ones((8, 4, 3), dtype=bool)
    mask[5] = False  # a wall
    v = fn.fit("lesion ~ 1", masks(mask), family=PROBIT, estimator="spatial")
    assert v.n_voxels == 5 * 4 * 3
    assert any("2 components" in m and "24 voxels" in m for m in v.messages)


def test_isolated_voxels_are_refused() -> None:
    mask = np.indices((4, 4, 4)).sum(axis=0) % 2 == 0
    with pytest.raises(fn.errors.DataError, match="share a face"):
        fn.fit("lesion ~ age", masks(mask), family=PROBIT, estimator="spatial")


def test_dependent_columns_are_named(images) -> None:
    with pytest.raises(fn.errors.DataError, match=r"I\(2 \* age\).*combination"):
        fn.fit("lesion ~ age + I(2 * age)", images, family=PROBIT, estimator="spatial")


def test_a_level_without_any_event_in_the_whole_mask_is_refused(images) -> None:
    Y = images.block(0, len(images.voxels))
    Y[:, images.table["sex"] == "M"] = 0
    store = replace(images.store, rows=InMemory(np.packbits(Y, axis=1)), counts=Y.sum(axis=1).astype(np.int64))
    with pytest.raises(fn.errors.DataError, match="separated"):
        fn.fit("lesion ~ sex", replace(images, store=store), family=PROBIT, estimator="spatial")


@pytest.mark.parametrize("value", [0, 1])
def test_masks_that_are_all_alike_are_refused_for_what_they_are(images, value) -> None:
    model, Y = lattice((3, 2, 2))
    Y[:] = value
    same = Likelihood(model.likelihood.rows, lambda first, last: Y[first:last], len(Y))
    with pytest.raises(fn.errors.DataError, match=rf"\({value * Y.size} events in {Y.size} values\).*without one"):
        level(replace(model, likelihood=same))


def test_too_few_degrees_of_freedom_for_two_voxels_are_refused_with_what_is_needed() -> None:
    pair = masks(np.ones((2, 1, 1), dtype=bool), level=-0.3)
    with pytest.raises(fn.errors.DataError, match=r"1\.5 degrees of freedom.*above 4"):
        fn.fit("lesion ~ age + sex", pair, family=PROBIT, estimator=fn.Spatial(prior_df=0.5))


def test_other_links_and_weights_are_refused_with_what_would_work(images) -> None:
    with pytest.raises(fn.errors.NoBackend, match="probit"):
        fn.fit("lesion ~ age", images, family="binomial", estimator="spatial")
    with pytest.raises(fn.errors.NoBackend, match="weights"):
        fn.fit("lesion ~ 1", images, family=PROBIT, estimator="spatial", weights="age")


def test_another_device_is_refused(images) -> None:
    with pytest.raises(ValueError, match="cpu"):
        fn.fit("lesion ~ age", images, family=PROBIT, estimator="spatial", device="cuda")


def test_tables_are_refused() -> None:
    with pytest.raises(fn.errors.NoBackend, match="no backend can fit glm"):
        fn.fit("y ~ x", {"y": [0, 1, 0, 1], "x": [1.0, 2, 3, 3]}, family=PROBIT, estimator="spatial")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "hmc"}, "laplace, gibbs"),
        ({"chains": 2}, "method='gibbs'"),
        ({"draws": 0}, "4 or more"),
        ({"prior_df": -1.0}, "above 0"),
        ({"prior_df": float("inf")}, "finite"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, said) -> None:
    with pytest.raises(ValueError, match=said):
        fn.Spatial(**given)


def test_sigma_and_the_level_come_with_their_uncertainty(fitted) -> None:
    sigma, level = fitted.engine.sigma, fitted.engine.level
    assert list(sigma["term"]) == ["(Intercept)", "age", "(Intercept)"] and list(sigma["term2"]) == ["", "", "age"]
    assert (sigma["conf_low"] < sigma["estimate"]).all() and (sigma["estimate"] < sigma["conf_high"]).all()
    assert np.allclose(level["estimate"], fitted.values["coef"].mean(axis=0))


def test_files_of_masks_give_the_same_maps(tmp_path, images, fitted, monkeypatch) -> None:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))
    Y = images.store.values(np.arange(120))
    table = images.table.drop(columns="lesion")
    table["lesion"] = [str(tmp_path / f"{i}.nii.gz") for i in range(len(table))]
    for i, path in enumerate(table["lesion"]):
        nib.Nifti1Image(Y[:, i].reshape(6, 5, 4), images.grid.affine).to_filename(path)
    mask = nib.Nifti1Image(np.ones((6, 5, 4), dtype=np.uint8), images.grid.affine)
    v = fn.fit("lesion ~ age", table, family=PROBIT, estimator="spatial", mask=mask)
    assert np.array_equal(v.values["coef"], fitted.values["coef"])
    written = v.to_nifti(tmp_path / "out")
    assert np.array_equal(nib.load(written[0]).affine, images.grid.affine)


def test_the_model_in_words_names_the_prior(fitted) -> None:
    assert "Wishart" in str(fitted) and "spatial" in str(fitted)


def test_the_command_line_fits_files_and_writes_maps(tmp_path, images, monkeypatch) -> None:
    from typer.testing import CliRunner

    from formula_neuro.cli import app

    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))
    Y = images.store.values(np.arange(120))
    names = [f"{i}.nii.gz" for i in range(len(images))]
    for i, name in enumerate(names):
        nib.Nifti1Image(Y[:, i].reshape(6, 5, 4), images.grid.affine).to_filename(tmp_path / name)
    images.table.assign(lesion=names).to_csv(tmp_path / "subjects.csv", index=False)
    asked = ["fit", "lesion ~ age", str(tmp_path / "subjects.csv"), "--family", PROBIT, "--estimator", "spatial"]
    said = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "maps")])
    assert said.exit_code == 0, said.output
    assert (tmp_path / "maps" / "contrast-age_stat-positive_statmap.nii.gz").exists()


def test_a_refit_by_another_estimator_is_of_the_voxels_that_were_read() -> None:
    rare = masks(np.ones((6, 5, 4), dtype=bool), n=40, level=-2.0)
    v = fn.fit("lesion ~ age", rare, family=PROBIT, estimator="spatial")
    assert fn.refit(v, estimator="mean_br").n_voxels == len(rare.voxels) < v.n_voxels
