"""What is refused before a meta-regression is fitted, and what is said about its studies and moderators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..estimator import Splines
from ..images.brain import Brain

if TYPE_CHECKING:
    from .locating import Outside
    from .request import Located
    from .spatial_part import Columns, SpatialPart
    from .table import Foci

NAMED = 5  # studies by name
FEW = 10  # studies, below which asymptotic tests of a map are not to be trusted
MUCH = 0.5  # of a moderator's spread, from one analysis


def check_spacing(how: Splines, brain: Brain) -> None:
    """Raise DataError for knots that lie closer than voxels."""
    sizes = np.linalg.norm(brain.grid.affine[:3, :3], axis=0)
    x, y, z = (float(size) for size in sizes)
    if min(how.steps((x, y, z))) < 1:
        raise DataError(
            f"Splines(spacing={how.spacing!r}) is less than a voxel, which has {x:g} x {y:g} x {z:g} mm; 20 mm is usual"
        )


def about_spacing(how: Splines, brain: Brain) -> Iterator[str]:
    """Knots that lie further apart than the mask reaches."""
    sizes = np.linalg.norm(brain.grid.affine[:3, :3], axis=0)
    at = np.unravel_index(brain.voxels, brain.grid.shape)
    extent = np.array([np.ptp(one) + 1 for one in at]) * sizes
    x, y, z = (float(size) for size in sizes)
    if (np.array(how.steps((x, y, z))) * sizes > extent).any():
        shown = " x ".join(f"{mm:g}" for mm in extent)
        yield (
            f"Splines(spacing={how.spacing!r}): knots are further apart than the mask is wide ({shown} mm), so that "
            "maps can hardly have peaks; 20 mm is usual"
        )


def check_cells(foci: NDArray[np.intp], cells: tuple[str, ...]) -> None:
    """Raise DataError where a cell has no foci (n,)."""
    empty = [cell for cell, n in zip(cells, foci, strict=True) if n == 0]
    if empty:
        raise DataError(
            f"{', '.join(empty)}: no foci inside the mask, so that the log intensity would be -infinite; merge the "
            "level with another, or leave its analyses out with subset="
        )


def about_places(foci: Foci, inside: Located, outside: Outside) -> Iterator[str]:
    """Foci outside the mask by study, and analyses that are left with none."""
    lost = outside.studies.sort_values("outside", ascending=False, kind="stable")
    if len(lost):
        first = lost.head(NAMED)
        shown = ", ".join(f"{study}: {n}" for study, n in zip(first["study"], first["outside"], strict=True))
        more = ", ..." if len(lost) > NAMED else ""
        count, of = int(outside.foci.sum()), len(outside.foci)
        yield f"{count:,} of {of:,} foci lie outside the mask and do not count ({shown}{more})"
    empty = int(((np.bincount(inside.analysis, minlength=len(foci)) == 0) & (foci.counts > 0)).sum())
    if empty:
        yield f"{empty} of {len(foci)} analyses have foci, but none inside the mask; they count, with a total of 0"


def about(foci: Foci, maps: SpatialPart, columns: Columns) -> tuple[str, ...]:
    """Notes on cells with few studies, moderators that hang on one analysis, levels that look alike."""
    zero = (*_zero_outside(columns), *_zero_outside_maps(maps))
    return (*_few(foci, maps), *zero, *_influential(foci, maps, columns), *_alike(maps), *_texts(columns))


def _few(foci: Foci, maps: SpatialPart) -> Iterator[str]:
    study = foci.studies["study"].to_numpy()
    counts = [len(set(study[maps.group == g])) for g in range(len(maps.cells))]
    one = [cell for cell, n in zip(maps.cells, counts, strict=True) if n == 1]
    if one:
        yield (
            f"one study alone: {', '.join(one)}; a variance over studies does not exist there (NaN): "
            "vcov='fisher' has that of the model"
        )
    few = [
        f"{cell} ({n} {'study' if n == 1 else 'studies'})"
        for cell, n in zip(maps.cells, counts, strict=True)
        if n < FEW
    ]
    if few:
        yield (
            f"few studies: {', '.join(few)}; below {FEW} standard errors with studies as clusters are too small, and "
            "fn.permutation_test is safer"
        )


def _zero_outside(columns: Columns) -> Iterator[str]:
    """Moderators that are never near 0, where the maps are."""
    for name, column in zip(columns.names, columns.matrix.T, strict=True):
        low, high = float(column.min()), float(column.max())
        if low > 0 or high < 0:
            yield (
                f"{name} runs from {low:g} to {high:g}, and intensity maps are those at 0: take scale({name}), whose 0 "
                "is the mean (relative maps are the same)"
            )


def _zero_outside_maps(maps: SpatialPart) -> Iterator[str]:
    """Numbers in s(...) that are never near 0, where the maps of the cells are."""
    for name, column in zip(maps.columns.names, maps.columns.matrix.T, strict=True):
        values = column[column != 0]  # of s(a:x) the analyses of one level
        if len(np.unique(values)) > 2 and (values.min() > 0 or values.max() < 0):
            yield (
                f"{name} runs from {values.min():g} to {values.max():g}, and intensity maps are those at 0, drawn out "
                "from there: take s(scale(...)), whose 0 is the mean"
            )


def _influential(foci: Foci, maps: SpatialPart, columns: Columns) -> Iterator[str]:
    """Columns of numbers of whose spread within cells one analysis has more than half."""
    ones = (maps.group[:, None] == np.arange(len(maps.cells))).astype(float)
    numbers = zip(columns.names, columns.matrix.T, strict=True)
    for name, column in numbers:
        if len(np.unique(column)) <= 2:
            continue
        rest = column - ones @ ((ones.T @ column) / ones.sum(axis=0))
        share = rest**2 / max(float(rest @ rest), 1e-300)
        worst = int(np.argmax(share))
        if share[worst] > MUCH:
            study = foci.studies["study"].iloc[worst]
            yield (
                f"{name}: the analysis of study {study} has {share[worst]:.0%} of its spread and decides its "
                "coefficient; look at the value, or take a logarithm"
            )


def _alike(maps: SpatialPart) -> Iterator[str]:
    """Levels that differ in capitals or blanks alone."""
    for _, levels in maps.columns.design.recipe.factors:
        yield from _pairs(levels)


def _pairs(levels: Sequence[str]) -> Iterator[str]:
    keys = Counter(_key(level) for level in levels)
    for key, n in keys.items():
        if n > 1:
            same = [repr(level) for level in levels if _key(level) == key]
            yield f"levels that differ in capitals or blanks alone have maps of their own: {', '.join(same)}"


def _key(level: str) -> str:
    return "".join(level.split()).casefold()


def _texts(columns: Columns) -> Iterator[str]:
    """Factors of the global part with so many levels that they may be numbers read as texts."""
    n = len(columns.matrix)
    said = [message for message in columns.design.messages if "texts that look like" in message]
    for name, levels in columns.design.recipe.factors:
        if len(levels) > max(n / 2, 5) and not any(message.startswith(f"{name}:") for message in said):
            yield (
                f"{name} has {len(levels)} levels in {n} analyses, each with a coefficient; if they are numbers read "
                "as texts, convert the column"
            )
