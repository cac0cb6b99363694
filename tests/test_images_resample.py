"""Images on other grids are brought to one on request, by nilearn, and that is told."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn.image import resample_to_img

import formula_neuro as fn
from formula_neuro.errors import ImageError

sys.path.insert(0, str(Path(__file__).parent))
from image_files import AFFINE, SHAPE, lesions, stacked, written


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))


def said(images: fn.images.stack.Images) -> str:
    return "\n".join(images.messages)


def all_values(images: fn.images.stack.Images) -> np.ndarray:
    return images.block(0, len(images.voxels))


def test_a_flipped_image_comes_back_exactly(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    plain = stacked(table)
    image = nibabel.load(table["lesion"][2])
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = SHAPE[0] - 1
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[::-1], AFFINE @ flip), table["lesion"][2])
    images = fn.read_images(table, "lesion", resample=True)
    assert (all_values(images) == plain[images.voxels]).all() and len(images.voxels) == plain.any(axis=1).sum()
    assert "1 of 4 images brought to 7 x 6 x 5 voxels of 2 mm (sub-03.nii.gz)" in said(images)


def test_nothing_is_moved_where_all_are_on_the_grid(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    images = fn.read_images(table, "lesion", resample=True)
    assert "brought to" not in said(images)
    assert (all_values(images) == stacked(table)[images.voxels]).all()


def test_masks_go_to_the_grid_of_the_mask_as_nilearn_takes_them(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4, share=0.3))
    affine = AFFINE @ np.array([[0.7, 0, 0, 0.3], [0, 0.8, 0, 0], [0, 0, 1.1, 0], [0, 0, 0, 1]])
    mask = nibabel.Nifti1Image(np.ones((8, 6, 4), np.uint8), affine)
    images = fn.read_images(table, "lesion", mask=mask, resample=True)
    moved = [
        resample_to_img(path, mask, interpolation="nearest", force_resample=True, copy_header=True).get_fdata().ravel()
        for path in table["lesion"]
    ]
    assert (all_values(images) == np.stack(moved, axis=1)[images.voxels]).all()
    assert images.grid.shape == (8, 6, 4)


def test_a_size_of_voxels_keeps_the_field_of_view_and_every_second_voxel(tmp_path: Path) -> None:
    values = lesions(3, share=0.4)
    images = fn.read_images(written(tmp_path, values), "lesion", resample="4 mm")
    assert images.grid.describe() == "4 x 3 x 3 voxels of 4 mm"
    every_second = values[:, ::2, ::2, ::2].reshape(3, -1).T
    assert (all_values(images) == every_second[images.voxels]).all()
    assert len(images.voxels) == every_second.any(axis=1).sum()


def test_an_image_or_its_path_may_be_the_target(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3, share=0.4))
    like = nibabel.Nifti1Image(np.zeros((4, 3, 3)), AFFINE @ np.diag([2.0, 2, 2, 1]))
    nibabel.save(like, tmp_path / "like.nii")
    by_path, by_image = (fn.read_images(table, "lesion", resample=to) for to in (tmp_path / "like.nii", like))
    assert by_path.key == by_image.key == fn.read_images(table, "lesion", resample="4 mm").key


def test_probabilities_are_moved_linearly_before_the_threshold(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((3, *SHAPE))
    table = written(tmp_path, values, dtype=np.float64)
    like = nibabel.Nifti1Image(
        np.zeros((6, 5, 4)), AFFINE @ np.array([[1.0, 0, 0, 0.5], [0, 1, 0, 0.5], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    )
    images = fn.read_images(table, "lesion", resample=like, threshold=0.5)
    corners = [values[:, i : i + 6, j : j + 5, k : k + 4] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    means = np.mean(corners, axis=0).reshape(3, -1).T
    assert (all_values(images) == (means >= 0.5)[images.voxels]).all()


def test_a_mask_on_another_grid_is_moved_too(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3, share=0.4))
    images = fn.read_images(table, "lesion", mask=nibabel.Nifti1Image(np.ones(SHAPE), AFFINE), resample="4 mm")
    assert "mask: 36 of 36 voxels, as given, brought to this grid by nearest neighbours" in said(images)


@pytest.mark.parametrize("asked", ["-2 mm", "0 mm", 0, -2, None, "nowhere.nii"])
def test_a_target_that_is_none_is_refused(tmp_path: Path, asked: object) -> None:
    with pytest.raises(ImageError, match="is not understood; give True"):
        fn.read_images(written(tmp_path, lesions(3)), "lesion", resample=asked)


def test_a_missing_nilearn_is_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = written(tmp_path, lesions(3))
    monkeypatch.setitem(sys.modules, "nilearn.image", None)
    with pytest.raises(ImportError, match=r"resample= needs nilearn: pip install 'formula_neuro\[plot\]'"):
        fn.read_images(table, "lesion", resample="4 mm")


def test_images_in_memory_are_moved_too() -> None:
    values = lesions(3, share=0.4)
    table = pd.DataFrame({"lesion": [nibabel.Nifti1Image(one, AFFINE) for one in values]})
    images = fn.read_images(table, "lesion", resample="4 mm")
    assert (all_values(images) == values[:, ::2, ::2, ::2].reshape(3, -1).T[images.voxels]).all()
