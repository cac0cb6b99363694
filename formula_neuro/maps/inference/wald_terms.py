"""Wald's tests of the terms of a fit in every voxel, from its covariances: each term given all others (type III)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...errors import Unable
from ...family import Array
from .contrast import jointly

if TYPE_CHECKING:
    from ..fit import MapFit


def wald_values(fit: MapFit, kind: str) -> tuple[dict[str, dict[str, Array]], dict[str, int]]:
    """The maps of every term and their degrees of freedom: F where statistics of coefficients are t."""
    from ...inference.terms.sum_contrasts import in_sums

    if kind != "III":
        raise Unable(f"type={kind!r} by Wald's test would need smaller models; take type='III', or another test")
    design = fit.request.design
    sums = in_sums(design)
    turned = np.linalg.lstsq(sums.matrix, design.matrix, rcond=None)[0]
    turned[np.abs(turned) < 1e-9] = 0.0  # rounding, which would mix in coefficients that may be infinite
    values, df = {}, {}
    for term in sums.terms:
        if term.variables:
            L = np.asarray(turned[term.start : term.stop], dtype=float)
            values[term.name], df[term.name] = jointly(fit, L), len(L)
    return values, df
