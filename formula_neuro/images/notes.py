"""What there is to say of the images and the mask: nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import some
from .folders import Kept
from .store import Store

AT_ONCE = 32 << 20  # bytes of unpacked values that are held at a time


def about_images(names: Sequence[str], held: Kept, threshold: float | None) -> list[str]:
    """Masks of 0 and another number than 1, empty images, missing values, the same image twice."""
    images, n = held.images, len(names)
    said = []
    if threshold is not None:
        said.append(f"values of {threshold:g} and more count as 1 (threshold)")
    elif held.store.binary:
        levels = images.loc[(images["kind"] == "mask") & (np.abs(images["level"] - 1) > 1e-6), "level"]
        for level, count in levels.value_counts().items():
            said.append(f"{count} of {n} images hold 0 and {level:g}, which counts as 1")
    empty = np.flatnonzero(images["events"] == 0)
    if len(empty) and held.store.binary:
        said.append(f"{len(empty)} of {n} images are empty, no voxel is 1 ({_some(names, empty)})")
    missing = np.flatnonzero(images["missing"] > 0)
    if len(missing):
        counts = "as 0" if held.store.binary else "as missing"
        total = int(images["missing"].sum())
        said.append(f"{total} values are missing (NaN) in {len(missing)} of {n} images, and count {counts}")
    twins = np.flatnonzero((images["events"] > 0) & images["hash"].duplicated())
    if len(twins):
        first = dict(zip(images["hash"][::-1], names[::-1], strict=True))
        pairs = [f"{names[int(i)]} as {first[images['hash'][i]]}" for i in twins]
        said.append(f"{len(twins)} of {n} images hold the same values as another ({some(pairs)}); are they copies?")
    return said


def about_mask(
    names: Sequence[str], held: Kept, mask: NDArray[np.bool_], how: str, min_count: int, analysed: int
) -> list[str]:
    """How large the mask is and how it came about; events outside it; voxels left out; images that fill it."""
    inside = int(mask.sum())
    said = [f"mask: {inside} of {held.store.grid.size} voxels, {how}"]
    if analysed < inside:
        said.append(left_out(inside, analysed, min_count, held.store.binary))
    if not held.store.binary:
        return said
    events = held.images["events"].to_numpy()
    outside = events_outside(held.store, mask)
    if outside.any():
        said.append(
            f"{int(outside.sum())} of {int(events.sum())} lesion voxels, in {int((outside > 0).sum())} of {len(names)} "
            "images, lie outside the mask and do not count"
        )
    lost = np.flatnonzero((events > 0) & (events == outside))
    if len(lost):
        said.append(f"{len(lost)} images have no voxel of the mask that is 1 ({_some(names, lost)})")
    full = np.flatnonzero(events - outside == inside)
    if len(full):
        said.append(f"{len(full)} images are 1 in the whole mask ({_some(names, full)}); are they lesions?")
    return said


def left_out(inside: int, analysed: int, min_count: int, binary: bool) -> str:
    """That voxels of the mask are not analysed, and why.

    >>> left_out(10, 8, 1, True)
    '2 of these are 1 in no image and are left out; 8 are analysed'
    """
    fewer = f"fewer than {min_count} images" if min_count > 1 else "no image"
    why = f"are 1 in {fewer}" if binary else f"lack a value in some image, or have one in {fewer},"
    return f"{inside - analysed} of these {why} and are left out; {analysed} are analysed"


def events_outside(store: Store, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) how many voxels outside the mask are 1 in each image."""
    places = np.flatnonzero(~mask.ravel()[store.voxels])
    step = max(1, AT_ONCE // store.n)
    total = np.zeros(store.n, np.int64)
    for i in range(0, len(places), step):
        total += store.values(places[i : i + step]).sum(axis=0, dtype=np.int64)
    return total


def _some(names: Sequence[str], which: Any) -> str:
    return some([names[i] for i in which])
