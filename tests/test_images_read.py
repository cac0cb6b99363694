"""read_images against plain stacking by nibabel and numpy."""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn

sys.path.insert(0, str(Path(__file__).parent))
from image_files import AFFINE, SHAPE, lesions, stacked, written


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_blocks_equal_the_stack_of_all_images(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(19))
    images, plain = fn.read_images(table, "lesion"), stacked(table)
    ever = np.flatnonzero(plain.any(axis=1))
    assert (images.voxels == ever).all()
    assert (images.block(0, len(ever)) == plain[ever]).all()
    assert images.block(3, 8).dtype == np.uint8 and images.block(3, 8).shape == (5, 19)


def test_counts_are_events_by_voxel(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(19))
    images = fn.read_images(table, "lesion")
    assert (images.counts == stacked(table)[images.voxels].sum(axis=1)).all()


@pytest.mark.parametrize("min_count", [0, 1, 3])
def test_a_mask_and_min_count_choose_the_voxels(tmp_path: Path, min_count: int) -> None:
    table = written(tmp_path, lesions(9))
    mask = np.random.default_rng(0).random(SHAPE) < 0.6
    images = fn.read_images(table, "lesion", mask=mask, min_count=min_count)
    counts = stacked(table).sum(axis=1)
    assert (images.voxels == np.flatnonzero(mask.ravel() & (counts >= min_count))).all()
    assert (images.block(0, len(images.voxels)) == stacked(table)[images.voxels]).all()


def test_another_mask_takes_the_same_packed_images(tmp_path: Path, cache: Path) -> None:
    table = written(tmp_path, lesions(9))
    fn.read_images(table, "lesion")
    again = fn.read_images(table, "lesion", mask=np.ones(SHAPE), min_count=2)
    assert len(list((cache / "images").iterdir())) == 1
    assert any(message.startswith("packed images taken from") for message in again.messages)


def test_selected_rows_are_those_of_the_stack(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(9))
    rows = np.array([7, 2, 3])
    images, plain = fn.read_images(table, "lesion", min_count=2).select(rows), stacked(table)[:, rows]
    assert (images.voxels == np.flatnonzero(plain.sum(axis=1) >= 2)).all()
    assert (images.block(0, len(images.voxels)) == plain[images.voxels]).all()
    assert (images.counts == plain[images.voxels].sum(axis=1)).all()
    assert images.table["age"].tolist() == [47.0, 42.0, 43.0]


def test_unmask_puts_values_back_on_the_grid(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(9))
    images = fn.read_images(table, "lesion")
    total = images.unmask(images.counts, fill=0)
    assert (total == stacked(table).sum(axis=1).reshape(SHAPE)).all()
    assert images.unmask(np.ones((len(images.voxels), 2))).shape == (*SHAPE, 2)
    assert np.isnan(images.unmask(images.counts)).sum() == np.prod(SHAPE) - len(images.voxels)


def test_a_pickle_holds_the_way_to_the_bits_and_not_the_bits(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(400))
    images = fn.read_images(table, "lesion")
    held = pickle.dumps(replace(images, table=table[:0]))
    again = pickle.loads(held)
    assert (again.block(0, 9) == images.block(0, 9)).all() and again.key == images.key
    assert (again.mask == images.mask).all() and (again.counts == images.counts).all()
    assert len(held) < 400 * len(images.voxels) / 8  # the bits


def test_a_pickle_of_images_in_memory_holds_them() -> None:
    values = lesions(5)
    images = fn.read_images(pd.DataFrame({"lesion": [nibabel.Nifti1Image(one, AFFINE) for one in values]}), "lesion")
    assert (pickle.loads(pickle.dumps(images)).block(0, 9) == images.block(0, 9)).all()


def test_selected_rows_of_numbers_need_no_value_of_the_others(tmp_path: Path) -> None:
    values = np.random.default_rng(3).normal(size=(6, *SHAPE))
    values[2, 1, 1, 1] = np.nan
    table = written(tmp_path, values, dtype=np.float64)
    images = fn.read_images(table, "lesion", mask=np.ones(SHAPE))
    assert len(images.voxels) == 209 and len(images.select(np.array([0, 1, 5])).voxels) == 210
    told = "1 of these lack a value in some image, or have one in no image, and are left out; 209 are analysed"
    assert told in images.messages


def test_images_in_memory_are_taken_and_keep_nothing(tmp_path: Path, cache: Path) -> None:
    values = lesions(5)
    table = pd.DataFrame({"lesion": [nibabel.Nifti1Image(one, AFFINE) for one in values]})
    images = fn.read_images(table, "lesion")
    assert (images.block(0, len(images.voxels)) == values.reshape(5, -1).T[images.voxels]).all()
    assert not cache.exists()


def test_an_empty_cache_variable_keeps_nothing_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = written(tmp_path, lesions(5))
    monkeypatch.setenv("FORMULA_NEURO_CACHE", "")
    before = set(tmp_path.iterdir())
    images = fn.read_images(table, "lesion")
    assert (images.block(0, len(images.voxels)) == stacked(table)[images.voxels]).all()
    assert set(tmp_path.iterdir()) == before


def test_relative_paths_are_relative_to_the_file_of_the_table(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(5))
    table["lesion"] = [Path(path).name for path in table["lesion"]]
    table.to_csv(tmp_path / "subjects.csv", index=False)
    assert len(fn.read_images(tmp_path / "subjects.csv", "lesion")) == 5


def test_the_volumes_of_a_4d_file_are_the_rows(tmp_path: Path) -> None:
    values = lesions(5)
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(values, 0, 3), AFFINE), tmp_path / "all.nii.gz")
    images = fn.read_images(pd.DataFrame({"age": range(5)}), tmp_path / "all.nii.gz")
    assert images.response == "all"
    assert (images.block(0, len(images.voxels)) == values.reshape(5, -1).T[images.voxels]).all()


def test_numbers_are_analysed_where_all_images_have_a_value(tmp_path: Path) -> None:
    values = np.random.default_rng(3).normal(size=(6, *SHAPE))
    values[:, 0] = 0.0
    values[2, 1, 1, 1] = np.nan
    table = written(tmp_path, values, dtype=np.float32)
    images, plain = fn.read_images(table, "lesion"), stacked(table)
    assert not images.binary
    assert (images.voxels == np.flatnonzero((~np.isnan(plain) & (plain != 0)).all(axis=1))).all()
    assert (images.block(0, len(images.voxels)) == plain[images.voxels]).all()
    assert images.block(0, 1).dtype == np.float64
