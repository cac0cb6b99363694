"""Where foci are looked at without mask=: nilearn's brain mask of 2 mm; and what is odd about a mask that is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..images.brain import Brain
from .masking import brain_of

SMALLEST = 1000.0  # cm3; brains of templates have 1300 to 2000


def analysed_brain(mask: Any) -> tuple[Brain, tuple[str, ...]]:
    """The voxels of the mask that is given, with a note where it is no whole brain; of None, those of nilearn's.

    Raises ImageError for what is no mask in space, ImportError where the default mask needs nilearn.
    """
    if mask is None:
        return brain_of(_template()), ()
    brain = brain_of(mask)
    volume = len(brain.voxels) * abs(np.linalg.det(brain.grid.affine[:3, :3])) / 1000
    if volume >= SMALLEST:
        return brain, ()
    return brain, (
        f"the mask has {volume:,.0f} cm3, less than a brain: foci outside it do not count; a mask made from voxels "
        "that have foci makes intensities too high",
    )


def _template() -> Any:
    try:
        from nilearn import datasets
    except ImportError:
        raise ImportError(
            'the default mask of foci is nilearn\'s: pip install "formula_neuro[plot]", or give mask= the path of one'
        ) from None
    return datasets.load_mni152_brain_mask(resolution=2)
