"""A mask as its user gives it -> the Brain whose voxels are analysed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ImageError
from ..images.brain import Brain
from ..images.masks import given_mask, on_grid


def brain_of(mask: Any) -> Brain:
    """From the path of a NIfTI mask, an image or a Brain; raises ImageError where it is no mask of 0 and 1."""
    if isinstance(mask, Brain):
        return mask
    given = given_mask(mask)
    if given is None or given.grid is None:
        raise ImageError("mask= is an image or its path; an array does not say where its voxels lie")
    inside, _ = on_grid(given, given.grid, resample=False)
    return Brain(given.grid, inside, np.flatnonzero(inside), 4)
