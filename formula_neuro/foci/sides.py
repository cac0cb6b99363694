"""Foci whose words say left where their x says right: mirrored files, and slips of signs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..family import Array
from .found import Found
from .ids import as_text, pairs

COLUMNS = ("hemi", "hemisphere", "side", "laterality", "region", "label", "structure", "area")
LEFT, RIGHT = ("l", "lh", "left"), ("r", "rh", "right")
MIDLINE = 3.0  # mm: nearer to it a structure of one side may reach over, or a transform may have moved it


def contradicted(found: Found, points: Array) -> tuple[str, NDArray[np.intp]] | None:
    """The first column that names sides, and the foci (J,) that stand on the other one; None where all agree.

    x is negative on the left, in MNI's space and Talairach's.
    """
    for name in [*found.foci.columns, *found.studies.columns]:
        if str(name).strip().lower() in COLUMNS:
            side = np.array([_side(word) for word in _of_foci(found, str(name))])
            wrong = np.flatnonzero((side * points[:, 0] < 0) & (np.abs(points[:, 0]) > MIDLINE))
            if len(wrong):
                return str(name), wrong
    return None


def _of_foci(found: Found, name: str) -> list[object]:
    """The column's value for each focus, whether it is the focus's own or its analysis's."""
    if name in found.foci.columns:
        return list(found.foci[name])
    values = pd.Series(found.studies[name].to_numpy(), index=pairs(found.studies))
    return list(values.reindex(pairs(found.foci)))


def _side(word: object) -> int:
    """-1 for left, 1 for right, 0 for neither.

    >>> [_side(word) for word in ("L", "Right amygdala", "bilateral", None)]
    [-1, 1, 0, 0]
    """
    first = next(iter(as_text(word).lower().replace("_", " ").replace("-", " ").split()), "").strip(".,:;()")
    return -1 if first in LEFT else 1 if first in RIGHT else 0
