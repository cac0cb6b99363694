"""read_images(): a table and its column of images -> Images, checked before any is read, and kept for the next time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError
from .building import Plan, build
from .checks import check_grids, common_grid, headers, oddities, some
from .folders import Kept, cache_folder, fresh, identity, keep, kept
from .masks import GivenMask, derived, given_mask, on_grid
from .notes import about_images, about_mask
from .resampling import target_grid
from .sources import Sources, sources
from .stack import Images, analysed
from .store import InFile


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
    workers: threads that read. progress: a bar; by default where standard error is a terminal.

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
    plan, notes = _planned(given, looked, threshold, binary, resample)
    plan = replace(plan, workers=workers, progress=progress)
    held, told = _held(plan, store)
    inside, how = (on_grid(looked, plan.grid, bool(resample)), "given") if looked else derived(held)
    rows = np.arange(held.store.n, dtype=np.int64)
    voxels, counts = analysed(held.store, inside, rows, min_count)
    names = [one.source.name for one in plan.headers]
    seen = (*about_images(names, held, plan), *about_mask(names, held, inside, how, min_count, len(voxels)))
    messages = (*given.messages, *notes, *told, *seen)
    return Images(given.table, given.response, inside, held.store, rows, min_count, voxels, counts, messages)


def _check_options(threshold: float | None, min_count: int) -> None:
    if threshold is not None and not threshold > 0:
        raise ValueError(f"threshold={threshold!r}: it is above 0, else the empty background would count as 1")
    if not isinstance(min_count, (int, np.integer)) or min_count < 0:
        raise ValueError(f"min_count={min_count!r}: it is a number of images, 0 or more")


def _planned(
    given: Sources, mask: GivenMask | None, threshold: float | None, binary: bool | None, resample: Any
) -> tuple[Plan, list[str]]:
    """The plan of reading, its headers checked; and what there is to say of them."""
    found = headers(given.images)
    usual = common_grid(found)
    own = mask.grid if mask is not None else None
    if resample is False:
        expected, whose = (own, "the mask") if own is not None else (usual, "most images")
        check_grids(found, expected, whose)
        return Plan(found, expected, threshold, binary), oddities(found)
    grid = target_grid(resample, own if own is not None and resample is True else usual)
    moved = sum(not one.grid.same(grid) for one in found)
    notes = (
        [f"{moved} of {len(found)} images brought to {grid.describe()} (resample={_shown(resample)})"] if moved else []
    )
    return Plan(found, grid, threshold, binary, resample=True), oddities(found) + notes


def _shown(resample: Any) -> str:
    return repr(resample) if isinstance(resample, (bool, str)) else "an image"


def _held(plan: Plan, asked: Any) -> tuple[Kept, list[str]]:
    """The store of the plan, from its folder where it was made before, and what there is to say of that."""
    if any(one.source.path is None for one in plan.headers):
        if asked is not None:
            raise ImageError(f"store={asked!r}: images in memory have no files to know them by; save them first")
        return Kept(*build(plan, None)), []
    name = identity(plan.headers, plan.options())
    cache = cache_folder()
    if asked is None and cache is None:
        return Kept(*build(plan, None)), []
    folder = Path(asked).expanduser() if asked is not None else cache / name  # type: ignore[operator]
    before = kept(folder, name, plan.headers)
    if before is not None and not before.stale:
        return before, [f"packed images taken from {folder}"]
    told = []
    if before is not None:
        told.append(f"{len(before.stale)} images have changed since they were packed ({some(before.stale)}); read anew")
    with fresh(folder) as scratch:
        store, images = build(plan, scratch)
        images = keep(scratch, name, plan.headers, store, images)
    store = replace(store, rows=InFile(folder.absolute() / "rows.npy"))
    return Kept(store, images), [*told, f"packed images kept in {folder}"]
