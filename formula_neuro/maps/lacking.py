"""What a fit cannot do, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .fit import MapFit


def cannot(fit: MapFit, ability: str) -> str:
    """ "spatial cannot: its voxels are fitted together": the reason is its engine's, left out where that has none."""
    reason = getattr(fit.engine, "lacks", {}).get(ability, "")
    return f"{fit.backend} cannot{f': {reason}' if reason else ''}"
