"""Lesions of each subject counted and measured, and their medians by age."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import DataError
from ..images.stack import AT_ONCE, Images
from ..images.store import Indices

STRUCTURE = ndimage.generate_binary_structure(3, 1)  # six neighbours, as the paper
GROUP = 256  # subjects whose masks are unpacked at a time
MEASURES = ("volume", "count", "size")


def lesion_summaries(images: Images) -> pd.DataFrame:
    """One row a subject: volume (voxels), count (lesions of six neighbours), size (voxels a lesion; NaN without one).

    >>> import formula_neuro as fn
    >>> from formula_neuro.lesions.reference import lesion_reference
    >>> s = fn.simulate_lesions(3, reference=lesion_reference(spacing=8), seed=1)
    >>> lesion_summaries(s.images).columns.tolist()
    ['volume', 'count', 'size']
    """
    if not isinstance(images, Images):
        raise DataError(
            f"lesions are counted in what fn.read_images gave, or in .images of simulated ones; got {images!r}"
        )
    if not images.binary:
        raise DataError("lesions are counted in masks of 0 and 1; make masks with fn.read_images(..., threshold=)")
    rows = []
    for mask in masks(images):
        volume, count = int(mask.sum()), int(ndimage.label(mask, STRUCTURE)[1])
        rows.append((volume, count, volume / count if count else np.nan))
    return pd.DataFrame(rows, columns=list(MEASURES))


def masks(images: Images) -> Iterator[NDArray[np.bool_]]:
    """The analysed voxels of each subject as a box that just holds them all, in the table's order."""
    shape, places = box(images.voxels, images.grid.shape)
    for first in range(0, len(images), GROUP):
        rows = images.rows[first : first + GROUP]
        values = _of_subjects(images, rows)
        for k in range(len(rows)):
            mask = np.zeros(int(np.prod(shape)), dtype=bool)
            mask[places] = values[:, k]
            yield mask.reshape(shape)


def box(voxels: Indices, shape: Sequence[int]) -> tuple[tuple[int, ...], Indices]:
    """The shape of the smallest box around voxels (V,) of a grid, and their flat indices in it.

    >>> shape, places = box(np.array([5, 10]), (3, 2, 4))
    >>> shape, places.tolist()
    ((2, 2, 2), [2, 5])
    """
    ijk = np.stack(np.unravel_index(voxels, tuple(shape)), axis=1)
    low = ijk.min(axis=0)
    inner = tuple((ijk.max(axis=0) - low + 1).tolist())
    return inner, np.ravel_multi_index(tuple((ijk - low).T), inner).astype(np.int64)


def _of_subjects(images: Images, rows: Indices) -> NDArray[np.uint8]:
    """The analysed voxels (V, k) of a few of the store's subjects, from the bytes that hold them."""
    places = images.store.places(images.voxels)
    V, step = len(places), max(1, AT_ONCE // -(-images.store.n // 8))
    values = np.zeros((V, len(rows)), np.uint8)
    for v in range(0, V, step):
        at = places[v : v + step]
        held = images.store.rows.take(np.maximum(at, 0))[:, rows // 8]
        values[v : v + step] = (held >> (7 - rows % 8).astype(np.uint8) & 1) * (at >= 0)[:, None]
    return values


def decile_edges(ages: Sequence[float] | pd.Series) -> NDArray[np.float64]:
    """The eleven limits of ten groups of age with equal numbers, the outer ones open."""
    inner = np.quantile(np.asarray(ages, dtype=float), np.arange(1, 10) / 10)
    return np.concatenate([[-np.inf], inner, [np.inf]])


def medians_by_age(summaries: pd.DataFrame, ages: Sequence[float] | pd.Series, edges: Sequence[float]) -> pd.DataFrame:
    """The median of each measure in each group of age, (groups, 3); a group without subjects is NaN."""
    groups = pd.cut(np.asarray(ages, dtype=float), list(edges), labels=False)
    found = summaries.groupby(groups)[list(MEASURES)].median()
    return found.reindex(range(len(edges) - 1))
