"""read_images(): a table and its column of images -> Images, checked before any is read, and kept for the next time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError
from .building import Plan, build
from .checks import check_grids, common_grid, headers, oddities, some, stamps
from .folders import Kept, cache_folder, fresh, identity, keep, kept, reopened, usable
from .grid import Grid
from .masks import GivenMask, check_masks, derived, given_mask, on_grid
from .notes import about_images, about_mask
from .resampling import needs_nilearn, target, with_voxels
from .sources import Source, sources
from .stack import Images, analysed


def read_images(
    data: Any,
    response: Any,
    *,
    mask: Any = None,
    threshold: float | None = None,
    min_count: int = 1,
    resample: Any = False,
    binary: bool | None = None,
    store: Any = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> Images:
    """The images that a column of a table names, as data for fit(): checked, read once and packed by voxel.

    data: a DataFrame or the path of a csv or tsv file, one row an image; or a BIDS derivatives folder.
    response: the column of NIfTI paths (relative to the table's file, or to the working directory) or of nibabel
        images; or one 4-D image whose volumes are the rows; of a BIDS folder, the label or suffix of the images.
    mask: where to look: a path, an image or an array. Without one, the voxels that are 1 in any image (masks) or have
        a value in all (others).
    threshold: makes masks of probabilities and labels: values of at least this count as 1, missing ones as 0.
    min_count: images that must be 1 in a voxel (masks), or other than 0, for it to be analysed.
    resample: True brings images to the mask's grid, or to that of most images; "2 mm" to such voxels; an image or its
        path to its grid. Masks by nearest neighbours, other images and those with a threshold linearly.
    binary: True refuses images that are no masks, False takes masks as numbers; by default the values decide.
    store: the folder that keeps the packed images for the next time; by default one in the cache (FORMULA_NEURO_CACHE,
        else formula_neuro in the user's cache; FORMULA_NEURO_CACHE="" keeps nothing).
    workers: threads that read. progress: a bar; None for one on a terminal, elsewhere a line if it is long.

    Raises ImageError, DataError and FileNotFoundError, which name the image and what was seen.

    >>> import nibabel, numpy as np, pandas as pd, formula_neuro as fn
    >>> box = [nibabel.Nifti1Image(np.eye(4, dtype="u1")[:, :, None] * i, np.eye(4)) for i in (1, 1, 0)]
    >>> images = fn.read_images(pd.DataFrame({"lesion": box, "age": [50, 60, 70]}), "lesion")
    >>> images.block(0, 1).tolist(), images.counts.tolist()
    ([[1, 1, 0]], [2, 2, 2, 2])
    """
    _check_options(threshold, min_count)
    given = sources(data, response)
    looked = given_mask(mask)
    wish = Wish(threshold, binary, resample, looked, workers, progress)
    held, told = _held(given.images, wish, store)
    inside, how = (
        derived(held, threshold) if looked is None else on_grid(looked, held.store.grid, resample is not False)
    )
    rows = np.arange(held.store.n, dtype=np.int64)
    voxels, counts = analysed(held.store, inside, rows, min_count)
    names = [source.name for source in given.images]
    seen = (*about_images(names, held, threshold), *about_mask(names, held, inside, how, min_count, len(voxels)))
    messages = (*given.messages, *held.notes, *told, *seen)
    return Images(given.table, given.response, inside, held.store, rows, min_count, voxels, counts, messages)


def _check_options(threshold: float | None, min_count: int) -> None:
    if threshold is not None and not threshold > 0:
        raise ValueError(f"threshold={threshold!r}: it is above 0, else the empty background would count as 1")
    if not isinstance(min_count, (int, np.integer)) or min_count < 0:
        raise ValueError(f"min_count={min_count!r}: it is a number of images, 0 or more")


@dataclass(frozen=True, eq=False)
class Wish:
    """How the user wants the images read."""

    threshold: float | None
    binary: bool | None
    resample: Any
    mask: GivenMask | None
    workers: int | None
    progress: bool | None

    @property
    def target(self) -> Grid | float | None:
        """The grid to which images are brought, or the size of its voxels; None: that of most images."""
        if self.resample is True:
            return self.mask.grid if self.mask is not None else None
        return None if self.resample is False else target(self.resample)

    def options(self) -> dict[str, Any]:
        """What the store depends on beside the files; whether masks are required changes nothing in it."""
        to = self.target
        grid = [to.shape, to.affine.round(4).tolist()] if isinstance(to, Grid) else to
        asked = [self.resample is not False, grid]
        return {"threshold": self.threshold, "numbers": self.binary is False, "resample": asked}


def _planned(images: Sequence[Source], wish: Wish) -> tuple[Plan, tuple[str, ...]]:
    """The plan of reading, all headers checked; and what there is to say of them."""
    found = headers(images)
    grid, notes = common_grid(found), oddities(found)
    if wish.resample is False:
        check_grids(found, grid)
        if wish.mask is not None:
            wish.mask.check(grid)
    else:
        to = wish.target
        grid = to if isinstance(to, Grid) else grid if to is None else with_voxels(grid, to)
        moved = [one.source.name for one in found if not one.grid.same(grid)]
        if moved:
            needs_nilearn()
            which = f" ({some(moved)})" if len(moved) < len(found) else ""
            notes.append(f"{len(moved)} of {len(found)} images brought to {grid.describe()}{which}")
    return Plan(found, grid, wish.threshold, wish.binary, wish.workers, wish.progress), tuple(notes)


def _held(images: Sequence[Source], wish: Wish, asked: Any) -> tuple[Kept, list[str]]:
    """The store of these images, from its folder where it was made before, and what there is to say of that."""
    stamped = stamps(images)
    names = [source.name for source in images]
    folder, name = _place(images, wish, asked)
    if folder is None:
        plan, notes = _planned(images, wish)
        return Kept(*build(plan, None), notes), []
    before = kept(folder, name, stamped)
    if before is not None and not before[1]:
        if wish.binary:
            check_masks(names, before[0])
        return before[0], [f"packed images taken from {folder}"]
    told = []
    if asked is None and (why := usable(folder)):
        plan, notes = _planned(images, wish)
        return Kept(*build(plan, None), notes), [f"packed images are not kept: {folder.parent} is not usable ({why})"]
    if before is not None:
        stale = [names[i] for i in before[1]]
        told.append(
            f"{len(stale)} of {len(images)} images changed since they were packed ({some(stale)}); all are read"
        )
    plan, notes = _planned(images, wish)
    with fresh(folder) as scratch:
        held = Kept(*build(plan, scratch), notes)
        keep(scratch, name, images, stamped, held)
    return replace(held, store=reopened(folder, held.store.key)), [*told, f"packed images kept in {folder}"]


def _place(images: Sequence[Source], wish: Wish, asked: Any) -> tuple[Path | None, str]:
    """The folder that keeps these images, None where nothing is kept, and their name."""
    if any(source.path is None for source in images):
        if asked is not None:
            raise ImageError(f"store={str(asked)!r}: images in memory have no files to know them by; save them first")
        return None, ""
    name = identity(images, wish.options())
    cache = cache_folder()
    return Path(asked).expanduser() if asked is not None else cache / name if cache is not None else None, name
