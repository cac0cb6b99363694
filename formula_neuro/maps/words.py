"""A fit in every voxel in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .fit import MapFit


def summary(fit: MapFit) -> str:
    """What was fitted where, the classes of voxels, the coefficients, and what there is to say."""
    request, images = fit.request, fit.request.images
    kind = "masks" if images.binary else "images"
    lines = [
        f"{request.design.formula} in {fit.n_voxels:,} voxels of {fit.nobs:,} {kind}",
        f"{request.family}, {request.estimator.word}, by {fit.backend} in {fit.seconds:.1f} s",
        "",
        *_classes(fit),
        fit.tidy().to_string(index=False, float_format=lambda value: f"{value:.3g}"),
    ]
    notes = list(dict.fromkeys(fit.messages))
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _classes(fit: MapFit) -> list[str]:
    """How many voxels are separated, constant or unconverged; nothing where none is."""
    from .fit import CLASSES

    lines = []
    if "class" in fit.values:
        kinds = np.asarray(fit.values["class"], dtype=int)
        found = [(CLASSES[k], int((kinds == k).sum())) for k in range(1, len(CLASSES))]
        shown = [f"{name}: {count:,} ({100 * count / fit.n_voxels:.1f} %)" for name, count in found if count]
        lines += [f"Voxels with {'; '.join(shown)}", ""] if shown else []
    return lines


def about(fit: MapFit) -> tuple[str, ...]:
    """Messages that every fit in voxels owes: where estimates are infinite, and how many did not converge."""
    notes = []
    infinite = int(fit.infinite.sum())
    if infinite:
        notes.append(
            f"{infinite:,} of {fit.n_voxels:,} voxels are separated, so that maximum likelihood is infinite there: "
            "such coefficients are inf with their sign, or NaN where the data leave it open, and have no z; "
            'estimator="mean_br" is finite'
        )
    lost = int(fit.unfinished.sum())
    if lost:
        notes.append(
            f"{lost:,} of {fit.n_voxels:,} voxels did NOT converge: their numbers are only where the search stopped; "
            'see maps["converged"]'
        )
    return tuple(notes)
