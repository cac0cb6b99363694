"""Clusters, coordinates, atlases, tails and thresholds of maps, on statistics that are put where they are wanted."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

import formula_neuro as fn
from formula_neuro.maps.inference.contrast import MapContrast


@pytest.fixture(scope="module")
def fit():
    simulated = fn.simulate_lesions(40, reference=fn.lesion_reference(spacing=10), seed=3)
    return fn.fit("lesion ~ age", simulated.images, family="binomial(probit)", estimator="mean_br")


def painted(fit, z) -> MapContrast:
    """A contrast whose z values are these, (V,)."""
    from formula_neuro.maps.inference.retested import values_of

    return replace(fn.contrast(fit, "age"), values=values_of(np.asarray(z, dtype=float), 1, np.inf))


def positions(fit) -> np.ndarray:
    images = fit.request.images
    ijk = np.stack(np.unravel_index(images.voxels, images.grid.shape), axis=1)
    return ijk @ images.grid.affine[:3, :3].T + images.grid.affine[:3, 3]


def neighbours(fit) -> tuple[int, int]:
    """Two analysed voxels that share a face."""
    xyz = positions(fit)
    for a in range(len(xyz)):
        near = np.flatnonzero(np.isclose(np.linalg.norm(xyz - xyz[a], axis=1), 10))
        if len(near):
            return a, int(near[0])
    raise AssertionError("no neighbours")


def test_a_cluster_lies_at_the_millimetres_of_its_peak(fit) -> None:
    a, b = neighbours(fit)
    z = np.zeros(fit.n_voxels)
    z[a], z[b] = 4.0, 5.0
    row = painted(fit, z).threshold("none", 0.001).to_frame().iloc[0]
    assert np.allclose(row[["x", "y", "z"]].astype(float), positions(fit)[b])
    assert (row["voxels"], row["peak_z"], row["sign"]) == (2, 5.0, "+")
    assert row["mm3"] == pytest.approx(2000, rel=1e-12)


def test_the_place_of_a_cluster_leads_back_to_its_voxel(fit) -> None:
    z = np.zeros(fit.n_voxels)
    z[7] = -6.0
    row = painted(fit, z).threshold("none", 0.001).to_frame().iloc[0]
    assert fit.number_of((row["x"], row["y"], row["z"])) == 7 and row["sign"] == "-"


def test_neighbours_of_other_sign_are_other_clusters(fit) -> None:
    a, b = neighbours(fit)
    z = np.zeros(fit.n_voxels)
    z[a], z[b] = 4.0, -5.0
    assert painted(fit, z).threshold("none", 0.001).to_frame()["sign"].tolist() == ["-", "+"]


@pytest.mark.parametrize("tail, signs", [("two.sided", ["-", "+"]), ("greater", ["+"]), ("less", ["-"])])
def test_a_tail_keeps_its_own_side(fit, tail, signs) -> None:
    z = np.zeros(fit.n_voxels)
    z[3], z[-3] = 4.0, -5.0
    assert painted(fit, z).threshold("none", 0.001, alternative=tail).to_frame()["sign"].tolist() == signs


def test_voxels_without_a_statistic_take_no_part(fit) -> None:
    z = np.full(fit.n_voxels, np.nan)
    z[:2] = 5.0, 2.5
    found = painted(fit, z).threshold("bonferroni", 0.05)
    assert found.kept.sum() == 2 and np.isnan(found.adjusted[2:]).all()  # 2 tests, not all voxels


def test_small_clusters_are_left_out_and_large_ones_kept(fit) -> None:
    a, b = neighbours(fit)
    z = np.zeros(fit.n_voxels)
    z[a] = z[b] = 4.0
    far = int(np.argmax(np.linalg.norm(positions(fit) - positions(fit)[a], axis=1)))
    z[far] = 9.0
    kept = painted(fit, z).threshold("none", 0.001, min_size=2).kept
    assert set(np.flatnonzero(kept)) == {a, b}


def test_a_joint_test_has_one_side(fit) -> None:
    joint = fn.contrast(fit, ["age", "(Intercept)"])
    table = joint.threshold("none", 0.9).to_frame()
    assert set(table["sign"]) == {"+"} and table["voxels"].sum() == (joint.values["p"] <= 0.9).sum()


def atlas_of(fit, numbers) -> nib.Nifti1Image:
    """An atlas on a grid of 5 mm that gives the analysed voxels these numbers."""
    images = fit.request.images
    values = images.unmask(np.asarray(numbers, dtype=float), fill=0.0)
    fine = np.repeat(np.repeat(np.repeat(values, 2, 0), 2, 1), 2, 2)
    affine = images.grid.affine.copy()
    affine[:3, :3] /= 2
    affine[:3, 3] -= 2.5  # the finer voxels' centres
    return nib.Nifti1Image(fine.astype(np.int16), affine)


@pytest.mark.parametrize("labels", [["outside", "here", "there"], {1: "here", 2: "there"}])
def test_an_atlas_of_another_grid_names_the_peak_and_the_share(fit, labels) -> None:
    a, b = neighbours(fit)
    z, numbers = np.zeros(fit.n_voxels), np.zeros(fit.n_voxels)
    z[a], z[b], numbers[a], numbers[b] = 4.0, 5.0, 1, 2
    row = painted(fit, z).threshold("none", 0.001).to_frame(atlas_of(fit, numbers), labels).iloc[0]
    assert row["region"] == "there" and row["share"] == 0.5


def test_nilearn_s_table_of_labels_names_regions(fit) -> None:
    """As atlas.lut of nilearn's fetchers: columns index and name."""
    import pandas as pd

    lut = pd.DataFrame({"index": [0, 17], "name": ["Background", "Caudate"]})
    z, numbers = np.zeros(fit.n_voxels), np.full(fit.n_voxels, 17)
    z[4] = 5.0
    row = painted(fit, z).threshold("none", 0.001).to_frame(atlas_of(fit, numbers), lut).iloc[0]
    assert row["region"] == "Caudate"


def test_an_atlas_of_probabilities_is_refused(fit) -> None:
    image = nib.Nifti1Image(np.full(fit.request.images.grid.shape, 0.4), fit.request.images.grid.affine)
    found = painted(fit, np.full(fit.n_voxels, 5.0)).threshold("none", 0.001)
    with pytest.raises(fn.errors.DataError, match="whole numbers"):
        found.to_frame(image)


def test_infinite_coefficients_have_no_wald_test_and_keep_no_other_from_one(fit) -> None:
    ml = fn.fit("lesion ~ age", fit.request.images, family="binomial(probit)")
    found = fn.contrast(ml, "age")
    infinite = ~np.isfinite(ml.values["coef"][:, 1])
    assert infinite.any() and np.isnan(found.values["z"][infinite]).all()
    assert np.isfinite(found.values["z"][~infinite]).all()
    assert not found.threshold("fdr", 0.5).kept[infinite].any()
