"""Which studies drive a map: to first order, by how much each moves it.

L_k(v) = x_v' A^-1 u_k, of the scores u_k of study k, is what the estimate in voxel v would lose without it; robust
variances of maps are their sums of squares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from ...errors import DataError
from ...family import Array
from ...maps.inference.clusters import members
from .scores import in_rows
from .wald import terms

if TYPE_CHECKING:
    from ...maps.inference.threshold import Thresholded
    from ..fit import FociFit
    from .contrast import FociContrast

COLUMNS = ("cluster", "x", "y", "z", "peak_z", "study", "foci", "change", "share", "z_without")


def influences(contrast: FociContrast, voxels: Any = slice(None)) -> NDArray[Any]:
    """What the estimate of a contrast of one row would lose without each study, (K, V) of these voxels."""
    fit = contrast.foci_fit
    if len(contrast.matrix) > 1:
        raise DataError("influence is of one row; take contrast.row(0)")
    rows, weights = terms(fit, contrast.hypothesis, contrast.what)
    C, P = fit.engine.b.shape
    solved = fit.engine.solve(np.ascontiguousarray(fit.engine.scores().T))[: C * P].reshape(C, P, -1)
    K, V = solved.shape[2], len(fit.brain.voxels[voxels])
    if contrast.what == "intensity":
        rows, weights = weights @ rows, np.ones((1, 1))
        centers = np.zeros((1, len(fit.brain.voxels)))
    else:
        centers = special.softmax(fit.engine.expand(rows @ fit.engine.b), axis=1)

    def made(studies: slice) -> Array:
        out = np.zeros((studies.stop - studies.start, V))
        for row, weight, center in zip(rows, weights[0], centers, strict=True):
            L = fit.engine.expand(np.einsum("c,cpk->kp", row, solved[:, :, studies]))
            out += weight * (L[:, voxels] - (L @ center)[:, None])
        return out

    return in_rows(made, K, V)


def study_names(fit: FociFit) -> tuple[str, ...]:
    """The studies in the order of their numbers, K of them."""
    first = np.unique(fit.request.cluster, return_index=True)[1]
    return tuple(str(name) for name in fit.request.foci.studies["study"].to_numpy()[first])


def study_map(contrast: FociContrast, study: Any) -> Array:
    """What the estimate would lose without one study, (V,), by its name."""
    names = study_names(contrast.foci_fit)
    if str(study) not in names:
        raise DataError(f"{study!r} is no study of this fit; there are {len(names)}, as {', '.join(names[:3])}")
    return np.asarray(influences(contrast)[names.index(str(study))])


def drivers(contrast: FociContrast, found: Thresholded, top: int = 3) -> pd.DataFrame:
    """The studies that drive each cluster, `top` of each, those first that its peak would lose most without.

    Columns: cluster, x, y, z (of the peak, mm) and peak_z; study, foci (of the study inside the cluster), change (what
    the estimate at the peak would lose without it), share (of the robust variance there), z_without (the peak's Wald z
    without the study, to first order). Influences are of the fit, whatever test found the cluster.
    """
    fit, z = contrast.foci_fit, contrast.values["z"]
    clusters = [inside for _, inside in members(found)]
    if not clusters:
        return pd.DataFrame(columns=list(COLUMNS))
    peaks = [inside[np.argmax(np.abs(z[inside]))] for inside in clusters]
    names, world = study_names(fit), fit.brain.world
    L, K = influences(contrast, np.asarray(peaks)), len(names)
    away = contrast.values["estimate"] - (0.0 if contrast.alternative == "greater" else contrast.value[0])
    rows = []
    for number, (inside, peak, change) in enumerate(zip(clusters, peaks, L.T, strict=True), start=1):
        squares = change**2
        with np.errstate(divide="ignore", invalid="ignore"):
            without = (away[peak] - change) / np.sqrt(K / (K - 1) * (squares.sum() - squares))
        own = fit.request.located.analysis[np.isin(fit.request.located.voxel, inside)]
        foci = np.bincount(fit.request.cluster[own], minlength=K)
        for k in np.argsort(-np.sign(z[peak]) * change, kind="stable")[:top]:
            place = [number, *world[peak], z[peak]]
            rows.append([*place, names[k], int(foci[k]), change[k], squares[k] / squares.sum(), without[k]])
    return pd.DataFrame(rows, columns=list(COLUMNS))
