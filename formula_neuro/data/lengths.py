"""Lengths as people write them: "8 mm", "1.5 voxels", and a bare number for millimetres."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

_WRITTEN = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(mm|voxels?)?\s*")


def length(given: Any, what: str) -> tuple[float, str]:
    """The number and its unit, "mm" or "voxels". Raises ValueError that begins with `what`, the argument's name.

    >>> length("1.5 voxels", "ell"), length(8, "ell")
    ((1.5, 'voxels'), (8.0, 'mm'))
    """
    number = isinstance(given, Real) and not isinstance(given, bool)
    match = _WRITTEN.fullmatch(str(float(given)) if number else given) if number or isinstance(given, str) else None
    if match is None or not float(match[1]) > 0:
        raise ValueError(f"{what}={given!r} is no length; write '8 mm', a number of millimetres, or '1.5 voxels'")
    return float(match[1]), "voxels" if (match[2] or "mm").startswith("voxel") else "mm"


def written(given: Any) -> str:
    """A length as messages have it.

    >>> written(8.0), written("1.5voxels"), written("1 voxel")
    ('8 mm', '1.5 voxels', '1 voxel')
    """
    number, unit = length(given, "length")
    return "1 voxel" if (number, unit) == (1, "voxels") else f"{number:g} {unit}"
