"""What is wrong with the model is said before any image is read, and what is wrong with an image by its name."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import formula_neuro as fn
from formula_neuro.errors import DataError, FormulaError, ImageError

sys.path.insert(0, str(Path(__file__).parent))
from image_files import SHAPE, lesions, written


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORMULA_NEURO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A table whose images must not be read."""
    monkeypatch.setattr("formula_neuro.images.reading.stamps", lambda images: pytest.fail("images were looked at"))
    return pd.DataFrame({"lesion": [f"{i}.nii.gz" for i in range(6)], "age": np.arange(6.0), "sex": list("MFMFMF")})


def test_an_unknown_covariate_is_named_first(unread: pd.DataFrame) -> None:
    with pytest.raises((DataError, FormulaError), match="volume"):
        fn.fit("lesion ~ volume", unread, family="binomial")


def test_a_covariate_without_values_is_named_first(unread: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"no row is complete.*age: 6"):
        fn.fit("lesion ~ age", unread.assign(age=np.nan), family="binomial")


def test_too_few_images_are_named_first(unread: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="6 images cannot determine 6 coefficients"):
        fn.fit("lesion ~ poly(age, 5)", unread, family="binomial")


def test_a_binomial_family_refuses_the_first_image_that_is_no_mask(tmp_path: Path) -> None:
    values = lesions(6).astype(float)
    values[2] *= 0.5 + np.random.default_rng(0).random(SHAPE) / 4
    table = written(tmp_path, values, dtype=np.float32)
    with pytest.raises(ImageError, match=r"sub-03\.nii\.gz is not a mask of 0 and 1: it holds values between 0 and"):
        fn.fit("lesion ~ age", table, family="binomial")
