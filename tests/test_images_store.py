"""The store on disk: taken again, made anew where files changed, whole or not there; and what reading shares out."""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import ImageError
from formula_neuro.images import packing, spool
from formula_neuro.images.folders import cache_folder
from formula_neuro.images.layout import sparse

sys.path.insert(0, str(Path(__file__).parent))
from image_files import AFFINE, SHAPE, lesions, stacked, written


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def said(images: fn.images.stack.Images) -> str:
    return "\n".join(images.messages)


def all_values(images: fn.images.stack.Images) -> np.ndarray:
    return images.block(0, len(images.voxels))


def test_a_second_read_opens_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = written(tmp_path, lesions(5))
    first = fn.read_images(table, "lesion")
    monkeypatch.setattr("formula_neuro.images.reading.headers", lambda images: pytest.fail("images were opened"))
    again = fn.read_images(table, "lesion")
    assert (all_values(again) == all_values(first)).all() and again.key == first.key
    assert again.messages[-1] == first.messages[-1]


def test_a_store_goes_where_it_is_asked_for(tmp_path: Path, cache: Path) -> None:
    table = written(tmp_path, lesions(5))
    images = fn.read_images(table, "lesion", store=tmp_path / "packed")
    assert {path.name for path in (tmp_path / "packed").iterdir()} == {
        "rows.npy", "voxels.npy", "counts.npy", "complete.npy", "images.tsv", "manifest.json",
    }  # fmt: skip
    assert f"packed images kept in {tmp_path / 'packed'}" in said(images)
    assert not cache.exists()


def test_changed_files_are_named_and_read_anew(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(5))
    fn.read_images(table, "lesion")
    nibabel.save(nibabel.Nifti1Image(lesions(1, seed=77)[0], AFFINE), table["lesion"][3])
    os.utime(table["lesion"][3], ns=(1, 1))
    images = fn.read_images(table, "lesion")
    assert "1 of 5 images changed since they were packed (sub-04.nii.gz); all are read" in said(images)
    assert (all_values(images) == stacked(table)[images.voxels]).all()
    assert "packed images taken from" in said(fn.read_images(table, "lesion"))


def test_a_store_of_other_images_is_refused(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(5))
    fn.read_images(table, "lesion", store=tmp_path / "packed")
    with pytest.raises(ImageError, match="is a store of other images, or of these with another threshold or grid"):
        fn.read_images(table[:4], "lesion", store=tmp_path / "packed")
    with pytest.raises(ImageError, match="is a store of other images"):
        fn.read_images(table, "lesion", threshold=0.5, store=tmp_path / "packed")


def test_a_folder_of_the_users_is_never_taken_for_a_store(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(5))
    with pytest.raises(ImageError, match=r"is not a store of images \(no manifest\.json of ours that can be read\)"):
        fn.read_images(table, "lesion", store=tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 0, "name": "a web page"}')
    with pytest.raises(ImageError, match="is not a store of images"):
        fn.read_images(table, "lesion", store=tmp_path)
    assert Path(table["lesion"][0]).exists()


def test_a_store_that_lost_a_file_is_made_anew(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(5))
    fn.read_images(table, "lesion", store=tmp_path / "packed")
    (tmp_path / "packed" / "counts.npy").unlink()
    assert "packed images kept in" in said(fn.read_images(table, "lesion", store=tmp_path / "packed"))


def test_a_store_of_another_format_is_made_anew(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(5))
    fn.read_images(table, "lesion", store=tmp_path / "packed")
    manifest = tmp_path / "packed" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 0}))
    assert "packed images kept in" in said(fn.read_images(table, "lesion", store=tmp_path / "packed"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    table = written(tmp_path, lesions(40))

    def breaks(self: spool.Spool, row: int, values: np.ndarray) -> None:
        if row == 20:
            raise error

    monkeypatch.setattr(spool.Spool, "write", breaks)
    before = threading.active_count()
    with pytest.raises(error):
        fn.read_images(table, "lesion")
    assert list((cache / "images").iterdir()) == []
    assert threading.active_count() == before


def test_an_interrupted_rebuild_leaves_the_old_store(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = written(tmp_path, lesions(5))
    fn.read_images(table, "lesion")
    held = sorted(path.read_bytes() for path in (cache / "images").rglob("*.npy"))
    os.utime(table["lesion"][3], ns=(1, 1))
    monkeypatch.setattr(spool.Spool, "write", lambda self, row, values: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fn.read_images(table, "lesion")
    assert sorted(path.read_bytes() for path in (cache / "images").rglob("*.npy")) == held


def test_a_pickle_of_a_store_that_was_made_anew_says_so(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(5))
    held = pickle.dumps(fn.read_images(table, "lesion"))
    nibabel.save(nibabel.Nifti1Image(lesions(1, seed=77)[0], AFFINE), table["lesion"][3])
    os.utime(table["lesion"][3], ns=(1, 1))
    fn.read_images(table, "lesion")
    with pytest.raises(ImageError, match="the packed images were made anew since; call read_images again"):
        pickle.loads(held)


def test_a_cache_that_cannot_be_written_is_told_and_done_without(tmp_path: Path, cache: Path) -> None:
    table = written(tmp_path, lesions(5))
    cache.write_text("a file where the folder would be")
    images = fn.read_images(table, "lesion")
    assert f"packed images are not kept: {cache / 'images'} is not usable (" in said(images)
    assert (all_values(images) == stacked(table)[images.voxels]).all()
    with pytest.raises(OSError):
        fn.read_images(table, "lesion", store=cache / "packed")


def test_the_cache_is_the_users_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORMULA_NEURO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/formula_neuro/images")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/formula_neuro/images"
    monkeypatch.setenv("FORMULA_NEURO_CACHE", "")
    assert cache_folder() is None


def test_the_key_follows_content_and_not_place(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here, there = (written(tmp_path / name, lesions(5)) for name in "ab")
    assert fn.read_images(here, "lesion").key == fn.read_images(there, "lesion").key
    assert fn.read_images(here, "lesion", min_count=2).key != fn.read_images(there, "lesion").key
    assert fn.read_images(here[::-1], "lesion").key != fn.read_images(there, "lesion").key


@pytest.mark.parametrize("workers", [1, 5])
def test_threads_change_nothing(tmp_path: Path, workers: int) -> None:
    table = written(tmp_path, lesions(23))
    images = fn.read_images(table, "lesion", workers=workers)
    assert (all_values(images) == stacked(table)[images.voxels]).all()


@pytest.mark.parametrize("binary", [True, False])
def test_tiles_of_any_size_give_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, binary: bool) -> None:
    values = lesions(11) if binary else np.random.default_rng(0).normal(size=(11, *SHAPE))
    table = written(tmp_path, values, dtype=np.uint8 if binary else np.float64)
    whole = fn.read_images(table, "lesion", store=tmp_path / "whole")
    monkeypatch.setattr(spool, "AT_ONCE", 70 if binary else 700)
    monkeypatch.setattr(packing, "AT_ONCE", 200)
    cut = fn.read_images(table, "lesion", store=tmp_path / "cut")
    assert cut.key == whole.key and (all_values(cut) == all_values(whole)).all()


@pytest.mark.parametrize("shape", [(7, 6, 5), (8, 4, 2), (1, 3, 2), (3, 1, 1)])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<f4", ">f4", "<f8", ">f8", "<i8"])
def test_files_of_every_type_are_read_as_nibabel_reads_them(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(4)
    paths = []
    for i in range(3):
        values = rng.integers(0, 3, shape) * rng.integers(0, 2, shape)
        values.ravel()[-1] = 2
        header = nibabel.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
        header.set_data_dtype(dtype)
        paths.append(tmp_path / f"{i}.nii{'.gz' * (i % 2)}")
        nibabel.save(nibabel.Nifti1Image(values.astype(dtype), AFFINE, header), paths[-1])
    table = pd.DataFrame({"counts": paths})
    images = fn.read_images(table, "counts", binary=False)
    assert (all_values(images) == stacked(table, "counts")[images.voxels]).all()


def test_nifti_2_files_are_read(tmp_path: Path) -> None:
    values = lesions(3)
    for i, one in enumerate(values):
        nibabel.save(nibabel.Nifti2Image(one, AFFINE), tmp_path / f"{i}.nii.gz")
    table = pd.DataFrame({"lesion": [tmp_path / f"{i}.nii.gz" for i in range(3)]})
    images = fn.read_images(table, "lesion")
    assert (all_values(images) == stacked(table)[images.voxels]).all()


def test_other_formats_are_read_by_nibabel(tmp_path: Path) -> None:
    values = lesions(3)
    nibabel.save(nibabel.Nifti1Pair(values[0], AFFINE), tmp_path / "0.img")
    nibabel.save(nibabel.MGHImage(values[1], AFFINE), tmp_path / "1.mgz")
    nibabel.save(nibabel.Nifti1Image(values[2], AFFINE), tmp_path / "2.nii")
    table = pd.DataFrame({"lesion": [tmp_path / name for name in ("0.img", "1.mgz", "2.nii")]})
    images = fn.read_images(table, "lesion")
    assert (all_values(images) == stacked(table)[images.voxels]).all()


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_4d_file_of_numbers_is_read_once(tmp_path: Path, ending: str) -> None:
    values = np.random.default_rng(0).normal(size=(*SHAPE, 4)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), tmp_path / f"all{ending}")
    table = pd.DataFrame({"age": [1, 2, 3, 4]})
    images = fn.read_images(table, tmp_path / f"all{ending}")
    assert (all_values(images) == values.reshape(-1, 4)[images.voxels]).all()
    assert "packed images taken from" in said(fn.read_images(table, str(tmp_path / f"all{ending}")))


def test_a_4d_image_in_memory_is_taken(tmp_path: Path) -> None:
    values = lesions(4)
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(values, 0, 3), AFFINE), tmp_path / "all.nii.gz")
    images = fn.read_images(pd.DataFrame({"age": [1, 2, 3, 4]}), nibabel.load(tmp_path / "all.nii.gz"))
    assert (all_values(images) == values.reshape(4, -1).T[images.voxels]).all()


def test_sparse_values_are_in_the_order_of_the_last_axis() -> None:
    values = np.asfortranarray(np.arange(24.0).reshape(2, 3, 4) % 3)
    found = sparse(values)
    assert (found.dense(24, float) == values.ravel()).all() and (np.diff(found.voxels) > 0).all()


def test_a_bar_is_shown_on_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fn.read_images(written(tmp_path, lesions(4)), "lesion", progress=True)
    assert "reading images" in capsys.readouterr().err


def test_a_4d_file_that_is_cut_short_names_the_volume(tmp_path: Path) -> None:
    path = tmp_path / "all.nii"
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(lesions(4), 0, 3), AFFINE), path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ImageError, match="volume 3 of all: its data cannot be read to the end"):
        fn.read_images(pd.DataFrame({"age": [1, 2, 3, 4]}), path)


def test_masks_may_be_taken_as_numbers(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    images = fn.read_images(table, "lesion", binary=False)
    assert not images.binary and images.block(0, 1).dtype == np.float64
    assert (all_values(images) == stacked(table)[images.voxels]).all()
    assert len(images.voxels) == stacked(table).any(axis=1).sum()


def test_counts_of_a_few_images_may_be_0_and_1(tmp_path: Path) -> None:
    values = lesions(4)
    values[0] *= 3
    values[0].ravel()[np.flatnonzero(values[0])[0]] = 1
    images = fn.read_images(written(tmp_path, values), "lesion")
    assert not images.binary and (all_values(images) == values.reshape(4, -1).T[images.voxels]).all()


def test_who_requires_masks_takes_the_same_store(tmp_path: Path, cache: Path) -> None:
    table = written(tmp_path, lesions(4))
    fn.read_images(table, "lesion")
    assert "packed images taken from" in said(fn.read_images(table, "lesion", binary=True))
    assert len(list((cache / "images").iterdir())) == 1


def test_who_requires_masks_is_told_of_a_store_of_numbers(tmp_path: Path) -> None:
    table = written(tmp_path, np.random.default_rng(0).normal(size=(3, *SHAPE)), dtype=np.float32)
    fn.read_images(table, "lesion")
    with pytest.raises(ImageError, match=r"sub-01\.nii\.gz is not a mask of 0 and 1: it holds numbers; give"):
        fn.read_images(table, "lesion", binary=True)
