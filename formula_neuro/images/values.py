"""What the values of an image are: a mask of 0 and one other value, or something that needs a threshold to be one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ImageError
from ..family import Array
from .layout import Sparse
from .store import Indices

FEW = 50  # distinct whole values that may still be the labels of regions


@dataclass(frozen=True, eq=False)
class Seen:
    """What the values of one image look like, and the words for it.

    kind: "empty" (0 only), "mask" (0 and one positive value, `level`), "labels", "whole", "probabilities", "ringing",
    "numbers"; `missing` counts the NaN, which the kind does not see, and `infinite` the infinite values.
    """

    kind: str
    words: str
    level: float = 1.0
    missing: int = 0
    infinite: int = 0


def look(values: Array) -> Seen:
    """What one image holds, from its values that are not 0 (m,).

    >>> look(np.array([255.0, 255.0])).words
    '0 and 255'
    >>> look(np.array([1.0, 2.0, 1.0])).kind
    'labels'
    """
    unknown = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    missing = int(unknown.sum())
    if missing:
        values = values[~unknown]
    infinite = int(np.isinf(values).sum()) if values.dtype.kind == "f" else 0
    if infinite:
        return Seen("numbers", f"{infinite} infinite values", missing=missing, infinite=infinite)
    if not len(values):
        return Seen("empty", "0 only", missing=missing)
    low, high = float(values.min()), float(values.max())
    if low == high and low > 0:
        return Seen("mask", f"0 and {low:g}", low, missing)
    kind, words = _other(values, low, high)
    return Seen(kind, words, missing=missing)


def _other(values: Array, low: float, high: float) -> tuple[str, str]:
    """The kind and the words of values that are no mask."""
    if values.dtype.kind in "iub" or (values == np.round(values)).all():
        distinct, counts = np.unique(values, return_counts=True)
        shown = ", ".join(f"{v:g} ({n} voxels)" for v, n in zip(distinct[:4], counts[:4], strict=True))
        more = f" and {len(distinct) - 4} values more" if len(distinct) > 4 else ""
        kind = "labels" if low > 0 and len(distinct) <= FEW else "whole"
        return kind, f"the whole numbers 0, {shown}{more}" + (", as labels" if kind == "labels" else "")
    if low > 0 and high <= 1:
        return (
            "probabilities",
            f"values between 0 and {high:.4g} such as {values[len(values) // 2]:.4g}, as probabilities",
        )
    outside = int(((values < 0) | (values > 1)).sum())
    if low > -0.5 and high < 1.5:
        return "ringing", f"values from {low:.4g} to {high:.4g}, {outside} below 0 or above 1, as an interpolated mask"
    return "numbers", f"values from {low:.4g} to {high:.4g}"


@dataclass(frozen=True, eq=False)
class Events:
    """The voxels of one mask image that count as 1: C-order flat indices (m,); and what its values were."""

    voxels: Indices
    seen: Seen


def events(found: Sparse, name: str, threshold: float | None) -> Events:
    """The voxels that are 1 in an image.

    Without a threshold the image must hold 0 and one positive value; with one, values of at least the threshold are 1
    and a missing value is 0. Raises ImageError that says what was seen.
    """
    seen = look(found.values)
    if seen.infinite:
        raise ImageError(f"{name} holds {seen.words}; write the image anew with finite values")
    if threshold is not None:
        return Events(found.voxels[found.values >= threshold], seen)
    if seen.missing:
        raise ImageError(
            f"{name} holds {seen.missing} missing values (NaN) besides {seen.words}; fill them in, or give threshold=, "
            "under which they count as 0"
        )
    if seen.kind not in ("mask", "empty"):
        raise ImageError(f"{name} is not a mask of 0 and 1: it holds {seen.words}; {REMEDY[seen.kind]}")
    return Events(found.voxels, seen)


WORDS = {
    "labels": "whole numbers, as labels",
    "whole": "whole numbers",
    "probabilities": "values between 0 and 1, as probabilities",
    "ringing": "values below 0 or above 1, as an interpolated mask",
    "numbers": "numbers",
}
REMEDY = {
    "labels": "give threshold=1 if all labels count as 1, or write masks of the one that is meant",
    "whole": "give threshold= to make masks of them, or write masks of 0 and 1",
    "probabilities": "give threshold=, as 0.5, from which on a voxel counts as 1",
    "ringing": "give threshold=0.5 to make masks of them, or resample the masks with nearest neighbours",
    "numbers": "give threshold=, from which on a voxel counts as 1, or choose a family for numbers",
}
