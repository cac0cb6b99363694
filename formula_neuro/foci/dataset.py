"""NiMARE's older datasets in JSON: studies with contrasts, whose coordinates are lists of x, y and z."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ..errors import DataError
from .covariates import about_sizes, columns_of
from .found import AXES, Found, from_records


def from_dataset(content: Mapping[str, Any], source: str) -> Found:
    """The coordinates of every contrast, and its metadata and labels."""
    foci: list[dict[str, Any]] = []
    analyses: list[dict[str, Any]] = []
    images = 0
    for study, record in content.items():
        for name, contrast in (record.get("contrasts") or {}).items():
            if not isinstance(contrast, Mapping):
                raise DataError(f"{source}: contrast {name!r} of study {study!r} is {contrast!r}; a record is expected")
            points = _points(contrast.get("coords") or {}, (study, name), source)
            if not points and contrast.get("images"):
                images += 1
                continue
            foci.extend(points)
            analyses.append({"study": study, "analysis": name, **_about(record, contrast)})
    said = [f"{images} contrasts hold images but no coordinates and are left out"] if images else []
    return from_records(source, foci, analyses, [*said, *about_sizes(pd.DataFrame(analyses))])


def _points(coords: Mapping[str, Any], key: tuple[str, str], source: str) -> list[dict[str, Any]]:
    axes = [coords.get(axis) or [] for axis in AXES]
    if not all(isinstance(values, list) for values in axes) or len({len(values) for values in axes}) != 1:
        lengths = ", ".join(
            f"{axis} {len(values) if isinstance(values, list) else values!r}"
            for axis, values in zip(AXES, axes, strict=True)
        )
        raise DataError(
            f"{source}: contrast {key[1]!r} of study {key[0]!r} has coordinates of different lengths ({lengths}); "
            "x, y and z list a number for each focus"
        )
    n = len(axes[0])
    more = {
        name: values
        for name, values in coords.items()
        if name not in (*AXES, "space") and isinstance(values, list) and len(values) == n
    }
    return [
        {
            **{"study": key[0], "analysis": key[1], "x": x, "y": y, "z": z, "space": coords.get("space")},
            **{name: values[i] for name, values in more.items()},
            "place": f"contrast {key[1]!r}, focus {i + 1}",
        }
        for i, (x, y, z) in enumerate(zip(*axes, strict=True))
    ]


def _about(record: Mapping[str, Any], contrast: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of an analysis: its own metadata and labels win over the study's."""
    own = {name: value for name, value in record.items() if name not in ("contrasts", "metadata")}
    out: dict[str, Any] = {}
    for part in (own, record.get("metadata"), contrast.get("metadata"), contrast.get("labels")):
        out |= columns_of(part)
    return {name: value for name, value in out.items() if name not in ("study", "analysis")}
