"""Maps of foci as smooth functions: cubic B-splines on a lattice of knots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from ..data.lengths import length
from .base import Estimator

BASES, SNAPS = ("renormalised", "nimare"), ("exact", "voxel")


@dataclass(frozen=True, repr=False)
class Splines(Estimator):
    """Log intensities of foci as tensor products of cubic B-splines (Yu et al. 2024); "splines" is the word.

    spacing: of the knots: "20 mm", a number of millimetres, or "10 voxels" (NiMARE's words); three of them, one an
        axis. Maps are the more detailed, and the less certain, the closer the knots: below 20 mm smooth= is needed.
    smooth: "auto", a penalty on second differences of neighbouring coefficients whose strength REML chooses, taken
        where knots are closer than 20 mm, or foci too few for the coefficients; "reml" takes it always, "none" never,
        and a number is the strength itself. Fitted totals do not depend on it.
    basis: "renormalised", splines that sum to 1 in every voxel, so that a map can be constant; or "nimare", NiMARE's,
        which do not near the mask's border, for comparison with it.
    snap: foci count at their "exact" coordinates (shared by the eight voxels around them, by nearness), or at the
        centre of their "voxel", as in NiMARE.
    cluster: of family="clustered_negative_binomial", what shares one random level: None, each analysis by itself, or
        "study", all analyses of a study.

    >>> Splines("15 mm").steps((2.0, 2.0, 2.5))  # in voxels
    (7.5, 7.5, 6.0)
    >>> Splines(spacing="10 voxels") == Splines("10 voxels", smooth="auto")
    True
    """

    spacing: str | float | tuple[str | float, ...] = "20 mm"
    smooth: str | float = "auto"
    basis: str = "renormalised"
    snap: str = "exact"
    cluster: str | None = None

    word = "splines"

    def __post_init__(self) -> None:
        if isinstance(self.spacing, Sequence) and not isinstance(self.spacing, str):
            object.__setattr__(self, "spacing", tuple(self.spacing))
        self.steps((1.0, 1.0, 1.0))
        for field, known in (("basis", BASES), ("snap", SNAPS)):
            if getattr(self, field) not in known:
                raise ValueError(
                    f"Splines: {field}={getattr(self, field)!r} is not known; there are {', '.join(known)}"
                )
        if self.cluster not in (None, "study"):
            raise ValueError(f"Splines: cluster= is None (each analysis by itself) or 'study', got {self.cluster!r}")
        smooth: Any = self.smooth
        number = _is_number(smooth) and 0 <= float(smooth) < float("inf")
        if not number and smooth not in ("auto", "reml", "none"):
            raise ValueError(f"Splines: smooth= is 'auto', 'reml', 'none' or a number, 0 or more; got {smooth!r}")

    def __repr__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return f"Splines({', '.join(f'{name}={value!r}' for name, value in given)})"

    def steps(self, sizes: tuple[float, float, float]) -> tuple[float, float, float]:
        """Distance of the knots along each axis, in voxels of these sizes (mm)."""
        each = self.spacing if isinstance(self.spacing, tuple) else (self.spacing,) * 3
        if len(each) != 3:
            raise ValueError(f"Splines: spacing= is one distance, or three, one an axis; got {len(each)}")
        x, y, z = (_voxels(given, size) for given, size in zip(each, sizes, strict=True))
        return x, y, z


def _is_number(given: Any) -> bool:
    return not isinstance(given, bool) and isinstance(given, Real)


def _voxels(given: Any, size: float) -> float:
    """A distance in voxels of `size` mm."""
    number, unit = length(given, "Splines: spacing")
    return number if unit == "voxels" else number / size
