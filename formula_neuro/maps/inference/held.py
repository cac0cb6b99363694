"""A hypothesis L b = r about the coefficients of maps as a split of the design: columns tested, and the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ...family import Array
from ...inference.intervals.restrict import coordinates, independent_rows

if TYPE_CHECKING:
    from ..fit import MapFit


@dataclass(frozen=True, eq=False)
class Split:
    """X b = Z g + x d with d = L b: columns x (n, q) tested, Z (n, k) the nuisance, and the offset with x r in it."""

    x: Array
    Z: Array
    offset: Array


def split(fit: MapFit, L: Array, value: Array) -> Split:
    """The split that a hypothesis makes of a fit's estimable columns; dependent rows of L are left out."""
    L, value = independent_rows(L, value)
    design = fit.request.design
    kept = estimable(fit)
    lost = [
        name for name, own, there in zip(fit.names, np.abs(L).sum(axis=0) > 0, kept, strict=True) if own and not there
    ]
    if lost:
        raise DataError(f"{', '.join(lost)} is aliased (a combination of earlier columns), so it cannot be tested")
    X, M = design.matrix[:, kept], L[:, kept]
    q = len(M)
    if (np.count_nonzero(M, axis=1) == 1).all() and (M.sum(axis=1) == 1).all():
        places = M.argmax(axis=1)
        x, Z = X[:, places], np.delete(X, places, axis=1)
    else:
        turned = X @ coordinates(X, M)
        x, Z = turned[:, -q:], turned[:, :-q]
    return Split(x, Z, design.offset + x @ value)


def estimable(fit: MapFit) -> NDArray[np.bool_]:
    """Which columns of the design are no combinations of earlier ones, (p,)."""
    X = fit.request.design.matrix[fit.request.weights > 0]
    scale = np.linalg.norm(X, axis=0)
    kept: list[int] = []
    basis = np.zeros((len(X), 0))
    for j in range(X.shape[1]):
        if scale[j] == 0:
            continue
        rest = X[:, j] / scale[j]
        for _ in range(2):  # once more, as the first time leaves rounding
            rest = rest - basis @ (basis.T @ rest)
        size = np.linalg.norm(rest)
        if size > 1e-7:  # R's
            kept.append(j)
            basis = np.column_stack([basis, rest / size])
    return np.isin(np.arange(X.shape[1]), kept)
