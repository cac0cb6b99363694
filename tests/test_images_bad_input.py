"""Every image that cannot be used is named, with what was seen and what to do; odd ones are read and told."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, ImageError

sys.path.insert(0, str(Path(__file__).parent))
from image_files import AFFINE, SHAPE, lesions, stacked, written


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def replaced(table: pd.DataFrame, row: int, values: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    nibabel.save(nibabel.Nifti1Image(values, affine), table["lesion"][row])


def said(images: fn.images.stack.Images) -> str:
    return "\n".join(images.messages)


# ---- grids ------------------------------------------------------------------------------------------
def moved(row: int, column: int, value: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[row, column] = value
    return affine


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (moved(1, 3, -119.0), "shifted by (0, 7, 0) mm"),
        (moved(0, 3, 90.002), "shifted by (0.002, 0, 0) mm"),
        (moved(0, 0, 2.0), "flipped left-right: its axes run RAS, not LAS"),
        (moved(2, 2, -2.0), "flipped up-down: its axes run LAI, not LAS"),
        (AFFINE[:, [1, 0, 2, 3]], "its axes run in another order: ALS, not LAS"),
        (
            AFFINE @ np.diag([0.5, 0.5, 0.5, 1.0]),
            "other voxel size: 7 x 6 x 5 voxels of 1 mm, not 7 x 6 x 5 voxels of 2 mm",
        ),
    ],
)
def test_an_image_on_another_grid_is_named_with_the_difference(tmp_path: Path, affine: np.ndarray, words: str) -> None:
    table = written(tmp_path, lesions(4))
    replaced(table, 2, lesions(1)[0], affine)
    with pytest.raises(ImageError) as error:
        fn.read_images(table, "lesion")
    assert f"sub-03.nii.gz: {words}" in str(error.value)
    assert "1 of 4 images" in str(error.value) and "read_images(..., resample=True)" in str(error.value)


def test_a_rotated_image_is_named_with_the_distance(tmp_path: Path) -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    table = written(tmp_path, lesions(4))
    replaced(table, 2, lesions(1)[0], turn @ AFFINE)
    with pytest.raises(ImageError, match=r"rotated or sheared: corners lie up to \d+\.\d+ mm away"):
        fn.read_images(table, "lesion")


def test_an_image_of_another_shape_is_named(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    replaced(table, 0, np.ones((7, 6, 4), np.uint8))
    with pytest.raises(ImageError, match=r"sub-01\.nii\.gz: other shape: 7 x 6 x 4 voxels of 2 mm"):
        fn.read_images(table, "lesion")


def test_what_a_float32_header_loses_is_no_other_grid(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    replaced(table, 2, lesions(1, seed=9)[0], moved(0, 3, 90.0005))
    assert len(fn.read_images(table, "lesion")) == 4


def test_a_mask_on_another_grid_is_refused(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    mask = nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), moved(0, 3, 88.0))
    with pytest.raises(ImageError, match=r"the mask is on another grid than the images: shifted by \(-2, 0, 0\) mm"):
        fn.read_images(table, "lesion", mask=mask)
    with pytest.raises(ImageError, match=r"mask= has shape \(3, 3, 3\)"):
        fn.read_images(table, "lesion", mask=np.ones((3, 3, 3)))


def test_an_empty_mask_and_a_mask_of_probabilities_are_refused(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    with pytest.raises(ImageError, match="mask= is empty"):
        fn.read_images(table, "lesion", mask=np.zeros(SHAPE))
    with pytest.raises(ImageError, match="mask= is not a mask of 0 and 1: it holds values between 0 and"):
        fn.read_images(table, "lesion", mask=np.random.default_rng(0).random(SHAPE))


# ---- values -----------------------------------------------------------------------------------------
def numbers(kind: str) -> np.ndarray:
    values = lesions(1, seed=5)[0].astype(np.float32)
    spots = np.flatnonzero(values)
    if kind == "labels":
        values.ravel()[spots[::2]] = 2
    if kind == "probabilities":
        values *= np.linspace(0.1, 0.9, values.size, dtype=np.float32).reshape(SHAPE)
    if kind == "ringing":
        values.ravel()[spots[0]], values.ravel()[spots[1]] = -0.04, 1.1
    if kind == "NaN":
        values.ravel()[spots[:3]] = np.nan
    if kind == "Inf":
        values.ravel()[spots[:2]] = np.inf
    return values


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("labels", r"the whole numbers 0, 1 \(\d+ voxels\), 2 \(\d+ voxels\), as labels; give threshold=1"),
        ("probabilities", r"values between 0 and 0\.\d+ such as 0\.\d+, as probabilities; give threshold="),
        ("ringing", r"values from -0\.04 to 1\.1, 2 below 0 or above 1, as an interpolated mask; give threshold=0\.5"),
        ("NaN", r"holds 3 missing values \(NaN\) besides 0 and 1; fill them in, or give threshold="),
        ("Inf", r"holds 2 infinite values; write the image anew"),
    ],
)
def test_a_value_that_is_not_0_or_1_is_refused_with_what_was_seen(tmp_path: Path, kind: str, words: str) -> None:
    table = written(tmp_path, lesions(4))
    replaced(table, 2, numbers(kind))
    with pytest.raises(ImageError, match=rf"sub-03\.nii\.gz .*{words}"):
        fn.read_images(table, "lesion")


def test_binary_refuses_images_of_numbers(tmp_path: Path) -> None:
    table = written(tmp_path, np.random.default_rng(1).normal(size=(3, *SHAPE)), dtype=np.float32)
    with pytest.raises(ImageError, match=r"sub-01\.nii\.gz is not a mask of 0 and 1: it holds values from -"):
        fn.read_images(table, "lesion", binary=True)


def test_a_mask_among_images_of_numbers_is_refused_and_may_be_allowed(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=(3, *SHAPE))
    values[1] = lesions(1)[0]
    table = written(tmp_path, values, dtype=np.float32)
    with pytest.raises(ImageError, match=r"sub-02\.nii\.gz holds 0 and 1 only, but sub-01\.nii\.gz other numbers"):
        fn.read_images(table, "lesion")
    assert not fn.read_images(table, "lesion", binary=False).binary


def test_a_threshold_makes_masks_and_says_so(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((5, *SHAPE))
    values[2, 3, 3, 3] = np.nan
    table = written(tmp_path, values, dtype=np.float64)
    images = fn.read_images(table, "lesion", threshold=0.5)
    assert (images.block(0, len(images.voxels)) == (stacked(table) >= 0.5)[images.voxels]).all()
    assert "values of 0.5 and more count as 1" in said(images)
    assert "1 values are missing (NaN) in 1 of 5 images, and count as 0" in said(images)


def test_a_threshold_of_0_would_take_the_background(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="above 0, else the empty background would count as 1"):
        fn.read_images(written(tmp_path, lesions(3)), "lesion", threshold=0)


def test_another_number_than_1_counts_as_1_and_is_told(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3) * 255)
    images = fn.read_images(table, "lesion")
    assert "3 of 3 images hold 0 and 255, which counts as 1" in said(images)
    assert images.block(0, 9).max() == 1


def test_the_slope_of_the_header_is_honoured(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    stored = lesions(1, seed=7)[0] * 250
    image = nibabel.Nifti1Image(stored, AFFINE)
    image.header.set_slope_inter(1 / 250, 0)
    image.header.set_data_dtype(np.uint8)
    nibabel.save(image, table["lesion"][1])
    assert nibabel.load(table["lesion"][1]).get_fdata().max() == pytest.approx(1)
    images = fn.read_images(table, "lesion")
    assert (images.block(0, len(images.voxels)) == (stacked(table) > 0.5)[images.voxels]).all()


def test_a_slope_and_intercept_are_those_of_nibabel(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    for row, path in enumerate(table["lesion"]):
        image = nibabel.Nifti1Image(np.random.default_rng(row).normal(size=SHAPE), AFFINE)
        image.header.set_data_dtype(np.int16)  # scaled by nibabel to use the whole range
        nibabel.save(image, path)
    images = fn.read_images(table, "lesion")
    assert (images.block(0, len(images.voxels)) == stacked(table)[images.voxels]).all()


def test_complex_values_are_refused(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    replaced(table, 1, np.ones(SHAPE, np.complex64))
    with pytest.raises(ImageError, match=r"sub-02\.nii\.gz holds values of type complex64; real numbers are expected"):
        fn.read_images(table, "lesion")


def test_an_empty_image_is_named_and_kept(tmp_path: Path) -> None:
    values = lesions(4)
    values[1] = 0
    images = fn.read_images(written(tmp_path, values), "lesion")
    assert "1 of 4 images are empty, no voxel is 1 (sub-02.nii.gz)" in said(images)
    assert not images.block(0, len(images.voxels))[:, 1].any()


def test_empty_images_alone_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="all 3 images are empty"):
        fn.read_images(written(tmp_path, lesions(3) * 0), "lesion")


def test_a_lesion_that_fills_the_mask_is_named(tmp_path: Path) -> None:
    values = lesions(4)
    values[2, 1:] = 1
    mask = np.zeros(SHAPE, bool)
    mask[1:] = True
    images = fn.read_images(written(tmp_path, values), "lesion", mask=mask)
    assert "1 images are 1 in the whole mask (sub-03.nii.gz)" in said(images)


def test_events_outside_the_mask_are_counted(tmp_path: Path) -> None:
    values = np.zeros((3, *SHAPE), np.uint8)
    values[0, 1, 1, 1] = values[0, 5, 1, 1] = values[1, 5, 2, 2] = values[2, 1, 1, 1] = values[2, 1, 2, 2] = 1
    mask = np.zeros(SHAPE, bool)
    mask[:3] = True
    images = fn.read_images(written(tmp_path, values), "lesion", mask=mask)
    assert "2 of 5 lesion voxels, in 2 of 3 images, lie outside the mask and do not count" in said(images)
    assert "1 images have no voxel of the mask that is 1 (sub-02.nii.gz)" in said(images)


def test_a_mask_beside_all_events_leaves_nothing(tmp_path: Path) -> None:
    values = lesions(3)
    values[:, 0] = 0
    mask = np.zeros(SHAPE, bool)
    mask[0] = True
    with pytest.raises(ImageError, match="no voxel is left to analyse"):
        fn.read_images(written(tmp_path, values), "lesion", mask=mask)


def test_the_mask_and_its_size_are_always_told(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    ever = int(stacked(table).any(axis=1).sum())
    assert f"mask: {ever} of 210 voxels, those that are 1 in any image" in said(fn.read_images(table, "lesion"))
    given = said(fn.read_images(table, "lesion", mask=np.ones(SHAPE)))
    assert "mask: 210 of 210 voxels, as given" in given
    assert f"{210 - ever} of these are 1 in no image and are left out; {ever} are analysed" in given


def test_two_equal_images_are_asked_about(tmp_path: Path) -> None:
    values = lesions(4)
    values[3] = values[1]
    images = fn.read_images(written(tmp_path, values), "lesion")
    assert "1 of 4 images hold the same values as another (sub-04.nii.gz as sub-02.nii.gz); are they copies?" in said(
        images
    )


def large(n: int) -> np.ndarray:
    """Images whose header can be read from a part of the file."""
    return np.random.default_rng(2).integers(0, 2, (n, 20, 20, 20))


# ---- files ------------------------------------------------------------------------------------------
def test_missing_files_are_counted_and_named(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    Path(table["lesion"][1]).unlink()
    Path(table["lesion"][3]).unlink()
    with pytest.raises(FileNotFoundError, match=r"2 of 4 images do not exist: .*sub-02.nii.gz, .*\(rows 2, 4\)"):
        fn.read_images(table, "lesion")


def test_a_file_that_stands_twice_is_named(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    table.loc[3, "lesion"] = table["lesion"][0]
    with pytest.raises(ImageError, match=r"stands in 2 rows \(rows 1, 4\); an image belongs to one row"):
        fn.read_images(table, "lesion")


def test_a_link_to_the_same_file_is_the_same_file(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    link = tmp_path / "sub-99.nii.gz"
    link.symlink_to(table["lesion"][0])
    table.loc[3, "lesion"] = str(link)
    with pytest.raises(ImageError, match="stands in 2 rows"):
        fn.read_images(table, "lesion")


def test_rows_without_an_image_are_named(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(4))
    table.loc[2, "lesion"] = None
    with pytest.raises(ImageError, match=r"lesion: 1 of 4 rows have no image \(row 3\)"):
        fn.read_images(table, "lesion")


def test_a_column_of_numbers_holds_no_images(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"age holds 40\.0 in row 1; a column of image paths"):
        fn.read_images(written(tmp_path, lesions(3)), "age")


def test_an_unknown_column_is_told_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'wmh' is not a column of the data \(there are age, lesion\)"):
        fn.read_images(written(tmp_path, lesions(3)), "wmh")


@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_a_compressed_file_that_is_cut_short_is_named(tmp_path: Path, kept: float) -> None:
    table = written(tmp_path, large(4))
    path = Path(table["lesion"][2])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(ImageError, match=r"sub-03\.nii\.gz: its data cannot be read to the end.*cut short"):
        fn.read_images(table, "lesion")


def test_a_cut_file_is_found_before_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = written(tmp_path, large(4))
    path = Path(table["lesion"][3])
    path.write_bytes(path.read_bytes()[:-9])
    monkeypatch.setattr("formula_neuro.images.reading.build", lambda plan, folder: pytest.fail("data were read"))
    with pytest.raises(ImageError, match=r"sub-04\.nii\.gz: its data cannot be read to the end"):
        fn.read_images(table, "lesion")


def test_an_uncompressed_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    path = tmp_path / "sub-02.nii"
    nibabel.save(nibabel.Nifti1Image(lesions(1, seed=8)[0], AFFINE), path)
    path.write_bytes(path.read_bytes()[:-9])
    table.loc[1, "lesion"] = str(path)
    with pytest.raises(ImageError, match=r"sub-02\.nii: its data cannot be read to the end \(201 of 210 bytes"):
        fn.read_images(table, "lesion")


def test_a_flipped_byte_is_found_by_the_checksum(tmp_path: Path) -> None:
    table = written(tmp_path, large(3))
    path = Path(table["lesion"][1])
    held = bytearray(path.read_bytes())
    held[-6] ^= 1  # within gzip's checksum
    path.write_bytes(bytes(held))
    with pytest.raises(ImageError, match=r"sub-02\.nii\.gz: its data cannot be read to the end"):
        fn.read_images(table, "lesion")


def test_a_file_of_several_gzip_parts_is_read(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    plain, path = stacked(table), Path(table["lesion"][1])
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(text[:400]) + gzip.compress(text[400:]))
    images = fn.read_images(table, "lesion")
    assert (images.block(0, len(images.voxels)) == plain[images.voxels]).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", r"its header cannot be read \(Empty file"),
        (b"not an image at all", r"its data cannot be read to the end \(Not a gzipped file"),
        (gzip.compress(b"x" * 2000, mtime=0), r"its header cannot be read .*is it an image\?"),
    ],
)
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    table = written(tmp_path, lesions(3))
    Path(table["lesion"][1]).write_bytes(content)
    with pytest.raises(ImageError, match=rf"sub-02\.nii\.gz: {words}"):
        fn.read_images(table, "lesion")


def test_a_file_whose_ending_says_compressed_and_is_not_is_to_be_renamed(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    Path(table["lesion"][1]).write_bytes(gzip.decompress(Path(table["lesion"][1]).read_bytes()))
    with pytest.raises(ImageError, match=r"sub-02\.nii\.gz is not compressed.*rename it to end in \.nii$"):
        fn.read_images(table, "lesion")


def test_a_compressed_file_without_the_ending_is_to_be_renamed(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    plain = Path(table["lesion"][1]).with_suffix("")
    Path(table["lesion"][1]).rename(plain)
    with pytest.raises(ImageError, match=r"sub-02\.nii is compressed by gzip.*rename it to end in \.nii\.gz"):
        fn.read_images(table.replace({table["lesion"][1]: str(plain)}), "lesion")


@pytest.mark.parametrize("rows", [1, 3])
def test_a_file_of_volumes_in_the_column_says_how_it_goes_in(tmp_path: Path, rows: int) -> None:
    table = written(tmp_path, lesions(3))
    nibabel.save(nibabel.concat_images([str(path) for path in table["lesion"]]), tmp_path / "all.nii.gz")
    table.loc[: rows - 1, "lesion"] = str(tmp_path / "all.nii.gz")
    with pytest.raises(ImageError, match=r'fn\.read_images\(table, "all\.nii\.gz"\)'):
        fn.read_images(table, "lesion")


def test_lists_of_images_say_that_they_belong_in_a_column(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    with pytest.raises(DataError, match="a list of 3 images; give a table"):
        fn.read_images(list(table["lesion"]), "lesion")
    with pytest.raises(DataError, match="put the images into a column"):
        fn.read_images(table, list(table["lesion"]))


def test_a_threshold_above_all_values_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no voxel is of the threshold, 50, or above it"):
        fn.read_images(written(tmp_path, lesions(3)), "lesion", threshold=50)


def test_a_masker_is_asked_for_its_mask(tmp_path: Path) -> None:
    maskers = pytest.importorskip("nilearn.maskers")
    with pytest.raises(ImageError, match=r"got NiftiMasker.*give its \.mask_img_"):
        fn.read_images(written(tmp_path, lesions(3)), "lesion", mask=maskers.NiftiMasker())


def test_a_column_that_is_misspelt_is_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'lesion'"):
        fn.read_images(written(tmp_path, lesions(3)), "lesions")


def test_an_affine_without_extent_is_refused(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    image = nibabel.load(table["lesion"][1])
    image = nibabel.Nifti1Image(np.asarray(image.dataobj), None, image.header)
    image.header["srow_x"] = 0
    image.header["qform_code"] = 0
    image.header["sform_code"] = 1
    nibabel.save(image, table["lesion"][1])
    with pytest.raises(ImageError, match=r"sub-02\.nii\.gz: its affine places no voxels in space"):
        fn.read_images(table, "lesion")


def test_a_trailing_axis_of_1_is_taken(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    plain = stacked(table)
    replaced(table, 1, np.asarray(nibabel.load(table["lesion"][1]).dataobj)[..., None])
    images = fn.read_images(table, "lesion")
    assert (images.block(0, len(images.voxels)) == plain[images.voxels]).all()


def test_a_4d_image_in_a_row_is_refused(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    replaced(table, 1, np.ones((*SHAPE, 2), np.uint8))
    with pytest.raises(ImageError, match=r"sub-02\.nii\.gz has 2 volumes; an image a row is expected"):
        fn.read_images(table, "lesion")


def test_a_4d_file_has_one_volume_a_row(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((*SHAPE, 4), np.uint8), AFFINE), tmp_path / "all.nii.gz")
    with pytest.raises(ImageError, match="all has 4 volumes, but the table has 3 rows"):
        fn.read_images(pd.DataFrame({"age": [1, 2, 3]}), tmp_path / "all.nii.gz")


def test_qform_and_sform_that_disagree_are_told(tmp_path: Path) -> None:
    table = written(tmp_path, lesions(3))
    image = nibabel.load(table["lesion"][1])
    image = nibabel.Nifti1Image(np.asarray(image.dataobj), AFFINE)
    image.set_sform(AFFINE, 4)
    image.set_qform(moved(0, 3, 95.0), 1)
    nibabel.save(image, table["lesion"][1])
    images = fn.read_images(table, "lesion")
    assert "qform and sform disagree, and the sform is used, in 1 of 3 images (sub-02.nii.gz)" in said(images)
    assert said(fn.read_images(table, "lesion")).startswith("qform and sform disagree")  # also from the kept store


def test_masks_with_missing_values_are_masks_all_the_same(tmp_path: Path) -> None:
    values = lesions(3).astype(np.float32)
    values[:, 6] = np.nan
    with pytest.raises(
        ImageError, match=r"sub-01\.nii\.gz holds 30 missing values \(NaN\) besides 0 and 1; fill them in"
    ):
        fn.read_images(written(tmp_path, values, dtype=np.float32), "lesion")
