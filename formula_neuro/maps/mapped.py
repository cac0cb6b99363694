"""What contrasts, thresholds, clusters and files ask of a fit that has maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..images.brain import Brain


class Mapped(Protocol):
    """A fit whose maps live in a brain: a model in every voxel of images, or a meta-regression of foci."""

    @property
    def brain(self) -> Brain:
        """Grid, mask and analysed voxels."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What made the maps, for the sidecars of files; it can be written as JSON."""

    @property
    def finite_df(self) -> bool:
        """Whether statistics are t or F, not normal or chi-squared."""
