"""What a fit cannot do, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import Unable

if TYPE_CHECKING:
    from .fit import MapFit


def cannot(fit: MapFit, ability: str) -> str:
    """ "spatial cannot: its voxels are fitted together": the reason is its engine's, left out where that has none."""
    reason = getattr(fit.engine, "lacks", {}).get(ability, "")
    return f"{fit.backend} cannot{f': {reason}' if reason else ''}"


def refuse_maps(fit: Any, verb: str, instead: str) -> None:
    """Raise Unable where the fit is one of maps, saying what there is instead."""
    if hasattr(fit, "n_voxels"):
        raise Unable(f"{verb}() is of fits on tables, not of maps; {instead}")
