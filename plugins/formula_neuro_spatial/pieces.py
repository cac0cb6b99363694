"""Which pieces of a mask are analysed: the prior says nothing of the level of each, so that its data must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.images.masks import WITH_EVENTS
from formula_neuro.images.notes import left_out
from formula_neuro.images.stack import Images, analysed
from formula_neuro.kernels.cone import recession_cone

from .graph import MaskGraph
from .rows import Rows

AT_ONCE = 4_000_000  # values that are looked at together


def whole_mask(images: Images) -> Images:
    """All voxels of the mask, whatever their events."""
    voxels, counts = analysed(images.store, images.mask, images.rows, 0)
    return replace(images, voxels=voxels, counts=counts, min_count=0)


def chosen(images: Images, rows: Rows, components: str) -> tuple[Images, MaskGraph, tuple[str, ...]]:
    """The images in the pieces of the mask to be analysed, their graph, and what was left out; see Spatial."""
    graph = MaskGraph.of(images.voxels, images.grid.shape)
    sizes = graph.components
    if sizes[0] < 2:
        raise DataError(
            f"no two of the {len(images.voxels):,} voxels of the mask share a face, so that the prior has no "
            "neighbours to smooth over; give mask= a mask of the brain"
        )
    if len(sizes) == 1:
        return images, graph, ()
    fine = np.arange(len(sizes)) == 0 if components == "largest" else overlapping(images, rows, graph)
    if not fine.any():
        raise DataError(
            f"in none of the mask's {len(sizes):,} pieces do the data, taken together, have finite estimates; leave "
            "out the covariate, or level, in which there are no events"
        )
    kept = fine[graph.component]
    within = replace(images, voxels=images.voxels[kept], counts=images.counts[kept])
    return within, MaskGraph.of(within.voxels, images.grid.shape), (_told(sizes, fine, components),)


def overlapping(images: Images, rows: Rows, graph: MaskGraph) -> NDArray[np.bool_]:
    """Which pieces (c,) have finite maximum-likelihood estimates, all their voxels taken together."""
    sizes = graph.components
    S = np.zeros((len(sizes), len(rows.trials)))
    step = max(1, AT_ONCE // len(images))
    for first in range(0, len(images.voxels), step):
        last = min(first + step, len(images.voxels))
        np.add.at(S, graph.component[first:last], rows.successes(images.block(first, last)))
    return np.array([_overlaps(rows.X, own, rows.trials * size) for own, size in zip(S, sizes, strict=True)])


def _overlaps(X: Array, S: Array, m: Array) -> bool:
    return bool(S.any()) and recession_cone(X, (m == S).astype(float) - (S == 0)) is None


def _told(sizes: NDArray[np.int64], fine: NDArray[np.bool_], components: str) -> str:
    lost = int(sizes[~fine].sum())
    if components == "largest":
        return (
            f"the mask has {len(sizes):,} components: the largest was analysed ({sizes[0]:,} voxels), and {lost:,} "
            "voxels of the others were left out, as the level of every component would be fitted from its own data "
            "alone; estimator=fn.Spatial(components='overlapping') keeps those whose data suffice for that"
        )
    if not lost:
        return f"the mask has {len(sizes):,} components, each of which has a level of its own"
    return (
        f"the mask has {len(sizes):,} components: {int(fine.sum()):,} were analysed, each with a level of its own, and "
        f"{lost:,} voxels of the others were left out, whose data leave their level infinite"
    )


def about_voxels(source: Images, within: Images) -> tuple[str, ...]:
    """The notes of reading, but that voxels with few events are left out; here they are analysed."""
    inside = int(source.mask.sum())
    dropped = left_out(inside, len(source.voxels), source.min_count, True)
    few = int((within.counts < max(source.min_count, 1)).sum())
    said = [message for message in source.messages if message != dropped]
    if few:
        fewer = f"fewer than {source.min_count} events" if source.min_count > 1 else "no event"
        said.append(f"{few:,} of the voxels have {fewer} and are analysed too: they borrow from their neighbours")
    if any(message.endswith(WITH_EVENTS) for message in said):
        said.append(
            "no mask was given: the voxels without an event in any image are missing, and with them what they say of "
            "their neighbours; give mask= a mask of the brain"
        )
    return tuple(said)
