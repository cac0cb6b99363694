"""A model in every voxel: from images to maps, and what they answer."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.images.stack import Images
from formula_neuro.maps.fit import MapFit


@pytest.fixture(scope="module")
def simulated() -> fn.lesions.simulate.SimulatedLesions:
    return fn.simulate_lesions(120, reference=fn.lesion_reference(spacing=10), seed=3)


@pytest.fixture(scope="module")
def fitted(simulated) -> MapFit:
    return fn.fit("lesion ~ age", simulated.images, family="binomial(probit)", estimator="mean_br")


def test_a_voxel_has_the_numbers_of_its_own_table(fitted) -> None:
    coef, se = fitted.values["coef"], fitted.values["se"]
    for number in (0, fitted.n_voxels // 2, fitted.n_voxels - 1):
        alone = fitted.at(number)
        # both end where a scoring step moves by less than 1e-8 of a standard error
        assert np.abs((coef[number] - alone.beta) / alone.se).max() < 1e-7
        assert np.abs(se[number] / alone.se - 1).max() < 1e-7


def test_maps_lie_on_the_grid_of_the_images_and_are_missing_elsewhere(fitted) -> None:
    z = fitted.maps["z", "age"]
    images = fitted.request.images
    assert z.shape == images.grid.shape and np.array_equal(z.affine, images.grid.affine)
    assert np.isfinite(z.get_fdata()).sum() == fitted.n_voxels


def test_a_place_in_millimetres_is_the_voxel_that_holds_it(fitted) -> None:
    images = fitted.request.images
    ijk = np.array(np.unravel_index(images.voxels[5], images.grid.shape))
    world = images.grid.affine[:3, :3] @ ijk + images.grid.affine[:3, 3] + 2.0  # voxels are 10 mm wide
    assert fitted.number_of(tuple(world)) == 5


def test_a_place_outside_is_an_error_that_names_the_voxel(fitted) -> None:
    with pytest.raises(fn.errors.DataError, match="outside the images"):
        fitted.at((900.0, 0.0, 0.0))


def test_a_map_that_is_not_there_is_answered_with_those_that_are(fitted) -> None:
    with pytest.raises(KeyError, match="incidence"):
        fitted.maps["z", "height"]


def test_a_row_without_a_covariate_is_dropped_with_its_image(simulated) -> None:
    images: Images = simulated.images
    table = images.table.copy()
    table.loc[7, "age"] = np.nan
    from dataclasses import replace

    v = fn.fit("lesion ~ age", replace(images, table=table), family="binomial(probit)", estimator="mean_br")
    assert v.nobs == len(table) - 1
    assert any("1 of 120 rows dropped" in message for message in v.messages)


def test_other_block_sizes_give_the_same_numbers(simulated, fitted, monkeypatch) -> None:
    monkeypatch.setattr("formula_neuro.kernels.voxel_blocks.NUMBERS", 120 * 37)
    again = fn.fit("lesion ~ age", simulated.images, family="binomial(probit)", estimator="mean_br")
    # products of other sizes round otherwise
    assert np.nanmax(np.abs(again.values["coef"] - fitted.values["coef"])) < 1e-9


def test_masks_written_to_a_folder_give_the_same_maps(simulated, fitted, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))
    table = simulated.to_nifti(tmp_path / "masks")
    v = fn.fit("lesion ~ age", table, family="binomial(probit)", estimator="mean_br")
    assert np.array_equal(v.request.images.voxels, fitted.request.images.voxels)
    # ages went through a text file, with all their digits
    assert np.nanmax(np.abs(v.values["coef"] - fitted.values["coef"])) < 1e-9


def test_written_maps_read_back_as_they_are(fitted, tmp_path) -> None:
    paths = fitted.to_nifti(tmp_path)
    z = nib.load(tmp_path / "contrast-age_stat-z_statmap.nii.gz").get_fdata()
    assert np.array_equal(z, fitted.maps["z", "age"].get_fdata(), equal_nan=True)
    assert (tmp_path / "contrast-age_stat-z_statmap.json").exists() and len(paths) > 10


@pytest.mark.parametrize("layout, name", [("fsl", "zstat2.nii.gz"), ("spm", "spmT_0002.nii")])
def test_other_layouts_have_the_names_that_their_programs_know(fitted, tmp_path, layout, name) -> None:
    fitted.to_nifti(tmp_path, layout=layout)
    assert (tmp_path / name).exists()


def test_a_contrast_of_one_coefficient_is_its_own_map(fitted) -> None:
    found = fn.contrast(fitted, "age")
    assert np.allclose(found.values["z"], fitted.maps.at_voxels(("z", "age")), rtol=1e-12)


def test_a_joint_contrast_of_one_row_twice_has_its_square_as_statistic(fitted) -> None:
    joint = fn.contrast(fitted, ["age", "2*age"])
    z = fitted.maps.at_voxels(("z", "age"))
    assert np.allclose(joint.values["statistic"], z**2, rtol=1e-8)


def test_what_stands_out_is_what_benjamini_and_hochberg_keep(fitted) -> None:
    p = np.sort(fitted.maps.at_voxels(("p", "(Intercept)")))
    level = float(np.median(p))
    limit = p[p <= level * np.arange(1, len(p) + 1) / len(p)].max()
    kept = fn.contrast(fitted, "(Intercept)").threshold("fdr", level).kept
    assert kept.sum() == (p <= limit).sum() < len(p)


def test_clusters_hold_all_voxels_that_stand_out(fitted) -> None:
    found = fn.contrast(fitted, "age").threshold("none", 0.05, alternative="greater")
    table = found.to_frame()
    assert table["voxels"].sum() == found.kept.sum() and (table["sign"] == "+").all()


def test_linear_models_have_t_and_a_z_with_its_tail(simulated) -> None:
    from scipy import stats

    v = fn.fit("lesion ~ age", simulated.images)
    t, z = v.maps.at_voxels(("t", "age")), v.maps.at_voxels(("z", "age"))
    assert np.allclose(stats.norm.sf(z), stats.t.sf(t, v.nobs - 2), rtol=1e-9)
    assert any("least squares" in message for message in v.messages)


@pytest.mark.r
def test_r_agrees_with_a_sample_of_voxels(fitted) -> None:
    check = fn.crosscheck(fitted, voxels=12)
    assert check.ok, str(check)


def test_maps_are_fitted_again_with_a_change_and_no_image_is_read(fitted) -> None:
    smaller = fn.refit(fitted, ". ~ . - age", estimator="ml")
    assert smaller.names == ("(Intercept)",) and smaller.request.estimator.word == "ml"
    assert smaller.request.images.store is fitted.request.images.store


def test_a_subset_is_taken_from_all_images_that_were_read(simulated, fitted) -> None:
    old = fn.refit(fitted, subset="age > 60")
    assert old.nobs == int((simulated.table["age"] > 60).sum())
    assert fn.refit(old, subset=None).nobs == fitted.nobs


def test_other_searches_are_refused_for_maps(fitted) -> None:
    with pytest.raises(fn.errors.Unable, match="of tables"):
        fn.refit(fitted, optimizer="powell")
