"""Small images for tests: written where a test wants them, with what is wrong about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
SHAPE = (7, 6, 5)


def lesions(n: int, seed: int = 1, share: float = 0.1) -> np.ndarray:
    """(n, *SHAPE) of 0 and 1, with no empty and no equal image."""
    values = (np.random.default_rng(seed).random((n, *SHAPE)) < share).astype(np.uint8)
    values[:, 0, 0, 0] = 0
    return values


def written(folder: Path, values: Sequence[Any], affine: np.ndarray = AFFINE, dtype: Any = np.uint8) -> pd.DataFrame:
    """The images as sub-01.nii.gz, ... and the table of their paths, with an age."""
    paths = []
    for i, one in enumerate(values):
        path = folder / f"sub-{i + 1:02d}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(np.asarray(one, dtype), affine), path)
        paths.append(str(path))
    return pd.DataFrame({"age": np.arange(len(paths)) + 40.0, "lesion": paths})


def stacked(table: pd.DataFrame, column: str = "lesion") -> np.ndarray:
    """(voxels, n) as float64 by nibabel and numpy alone: what the fast path must equal."""
    return np.stack([nibabel.load(path).get_fdata().ravel() for path in table[column]], axis=1)
