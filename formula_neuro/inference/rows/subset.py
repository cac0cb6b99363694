"""A request on some of its rows: what leaving out a cluster refits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...data.values import keep
from ...design import RandomTerm
from ...request import Request


def on_rows(request: Request, kept: NDArray[np.bool_]) -> Request:
    """The same model on the rows that are kept; levels of grouping factors that are gone leave their terms.

    Columns stay, so that one which is 0 in all rows left has no coefficient (NaN).
    """
    design = request.design
    smaller = replace(
        design,
        y=None if design.y is None else design.y[kept],
        matrix=np.asfortranarray(design.matrix[kept]),
        random=tuple(_term(term, kept) for term in design.random),
        offset=design.offset[kept],
        extra_offset=None if design.extra_offset is None else design.extra_offset[kept],
        weights=None if design.weights is None else design.weights[kept],
        rows=design.rows[kept],
        index=design.index[kept],
        data=design.data[kept],
        beside={name: keep(value, np.flatnonzero(kept)) for name, value in design.beside.items()},
    )
    return request.on_rows(smaller, kept)


def _term(term: RandomTerm, kept: NDArray[np.bool_]) -> RandomTerm:
    left, codes = np.unique(term.codes[kept], return_inverse=True)
    levels = tuple(term.levels[i] for i in left)
    return replace(term, codes=codes.astype(np.intp), levels=levels, basis=np.ascontiguousarray(term.basis[kept]))
