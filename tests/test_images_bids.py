"""A BIDS derivatives folder as data: participants matched with their images, and what does not match is named."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, ImageError

sys.path.insert(0, str(Path(__file__).parent))
from image_files import AFFINE, lesions

NAME = "sub-{}_space-MNI152_label-lesion_mask.nii.gz"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))


def folder(home: Path, images: list[str], rows: list[str], name: str = NAME) -> Path:
    """A derivatives folder with one image in each subject's anat, and participants.tsv with ages 40, 41, ..."""
    for subject, values in zip(images, lesions(len(images)), strict=True):
        (home / "out" / f"sub-{subject}" / "anat").mkdir(parents=True)
        image = nibabel.Nifti1Image(values, AFFINE)
        nibabel.save(image, home / "out" / f"sub-{subject}" / "anat" / name.format(subject))
    lines = ["participant_id\tage", *(f"{row}\t{40 + i}" for i, row in enumerate(rows))]
    (home / "out" / "participants.tsv").write_text("\n".join(lines) + "\n")
    return home / "out"


def test_participants_are_matched_with_their_masks_by_name(tmp_path: Path) -> None:
    images = fn.read_images(folder(tmp_path, ["001", "002", "010"], ["sub-010", "sub-001", "sub-002"]), "lesion")
    assert images.table["age"].tolist() == [40, 41, 42]
    assert [Path(path).name[:7] for path in images.table["lesion"]] == ["sub-010", "sub-001", "sub-002"]
    assert images.response == "lesion"


def test_identities_stay_texts_and_need_no_prefix(tmp_path: Path) -> None:
    images = fn.read_images(folder(tmp_path, ["001", "002"], ["001", "002"]), "lesion")
    assert images.table["participant_id"].tolist() == ["001", "002"]


def test_identities_of_a_csv_file_stay_texts(tmp_path: Path) -> None:
    paths = sorted(folder(tmp_path, ["001", "002"], ["001", "002"]).rglob("*.nii.gz"))
    lines = ["subject,site,mask", *(f"00{i + 1},{i},{path}" for i, path in enumerate(paths))]
    (tmp_path / "subjects.csv").write_text("\n".join(lines))
    table = fn.read_images(tmp_path / "subjects.csv", "mask").table
    assert table["subject"].tolist() == ["001", "002"] and table["site"].tolist() == [0, 1]


def test_those_without_image_and_without_row_are_named(tmp_path: Path) -> None:
    images = fn.read_images(folder(tmp_path, ["01", "02", "04"], ["01", "02", "03", "05"]), "lesion")
    assert images.table["participant_id"].tolist() == ["01", "02"]
    assert "2 of 4 participants have no image and are left out (03, 05)" in images.messages
    assert "1 images belong to no row of participants.tsv and are left out (04)" in images.messages


def test_lost_zeros_are_guessed(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="differ in leading zeros, so keep them as text"):
        fn.read_images(folder(tmp_path, ["001", "002"], ["1", "2"]), "lesion")


def test_a_participant_in_two_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"participants.tsv: 01 stand in more than one row"):
        fn.read_images(folder(tmp_path, ["01", "02"], ["01", "02", "01"]), "lesion")


def test_a_folder_without_participants_is_refused(tmp_path: Path) -> None:
    (folder(tmp_path, ["01"], ["01"]) / "participants.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no participants\.tsv in it"):
        fn.read_images(tmp_path / "out", "lesion")


def test_participants_may_stand_in_the_data_set_above(tmp_path: Path) -> None:
    home = folder(tmp_path, ["01", "02"], ["01", "02"])
    (home / "participants.tsv").rename(tmp_path / "participants.tsv")
    assert len(fn.read_images(home, "lesion")) == 2


@pytest.mark.parametrize("response", ["wmh", "statmap", "mask"])
def test_images_are_found_by_entity_or_suffix(tmp_path: Path, response: str) -> None:
    name = {"wmh": "sub-{}_desc-wmh_probseg.nii.gz", "statmap": "sub-{}_statmap.nii.gz", "mask": "sub-{}_mask.nii.gz"}
    images = fn.read_images(folder(tmp_path, ["01", "02"], ["01", "02"], name[response]), response)
    assert len(images) == 2 and not any("_mask files" in message for message in images.messages)


def test_masks_of_no_label_are_taken_and_told(tmp_path: Path) -> None:
    images = fn.read_images(folder(tmp_path, ["01", "02"], ["01", "02"], "sub-{}_mask.nii.gz"), "lesion")
    assert "no image is called 'lesion'; all *_mask files are taken" in images.messages


def test_what_there_is_is_told_where_nothing_fits(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"there are no images sub-\*_lesion.* there are 2 \*_T1w"):
        fn.read_images(folder(tmp_path, ["01", "02"], ["01", "02"], "sub-{}_T1w.nii.gz"), "lesion")


def test_several_images_of_a_subject_are_named(tmp_path: Path) -> None:
    home = folder(tmp_path, ["01", "02"], ["01", "02"])
    values = nibabel.Nifti1Image(lesions(1, seed=8)[0], AFFINE)
    nibabel.save(values, home / "sub-02" / "sub-02_space-native_label-lesion_mask.nii.gz")
    with pytest.raises(ImageError, match=r"1 subjects have several images \(sub-02: .*native.*MNI152|MNI152.*native"):
        fn.read_images(home, "lesion")


def test_missing_covariates_are_missing(tmp_path: Path) -> None:
    home = folder(tmp_path, ["01", "02"], ["01", "02"])
    text = (home / "participants.tsv").read_text().replace("\t40", "\tn/a")
    (home / "participants.tsv").write_text(text)
    assert pd.isna(fn.read_images(home, "lesion").table["age"][0])
