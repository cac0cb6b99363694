"""Which space the images say that they are in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...images.stack import Images

ALIGNED, MNI = 2, 4  # NIfTI's codes


def space_code(images: Images) -> int:
    """NIfTI's code of the space, by the first header or BIDS name that tells it; else 2, aligned to something."""
    if images.response not in images.table.columns:
        return ALIGNED
    for cell in images.table[images.response].head(3):
        if code := _code(cell):
            return code
    return ALIGNED


def _code(cell: Any) -> int:
    """The code that one image tells, 0 where it tells none."""
    if "space-MNI" in str(cell):
        return MNI
    header = getattr(cell, "header", None)
    if header is None and isinstance(cell, (str, os.PathLike)) and Path(cell).is_file():
        import nibabel as nib

        header = getattr(nib.load(cell), "header", None)
    try:
        return int(header["sform_code"] or header["qform_code"])  # type: ignore[index]
    except (TypeError, KeyError, ValueError, IndexError):  # no NIfTI header
        return 0
