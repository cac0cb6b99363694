"""The least variance that an unbiased estimate of the contrast can have, were the true design known."""

from __future__ import annotations

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .candidates import Candidates
from .measures import gauss_markov


def least_variances(designs: Candidates, contrast: Array) -> tuple[Array, Array]:
    """Gauss-Markov variances (s, m) of the designs and (s, 1) of the first, all nuisance columns in each.

    contrast (s, k) over the named columns. Raises DataError where columns are collinear.
    """
    X, first = (_apart(columns, designs.nuisance.to_numpy(dtype=float)) for columns in (designs.X, designs.first[None]))
    of_X, of_first = (np.stack([gauss_markov(columns, row) for row in contrast]) for columns in (X, first))
    for values, said in ((of_X, designs.said), (of_first, lambda _: designs.said_first)):
        bad = np.flatnonzero(np.isnan(values).any(axis=0))
        if len(bad):
            beside = " and the nuisance columns" if designs.nuisance.shape[1] else ""
            raise DataError(
                f"the columns {', '.join(designs.names)}{said(bad[0])}{beside} are collinear or 0, so the truth has no "
                "contrast"
            )
    return of_X, of_first


def _apart(X: Array, B: Array) -> Array:
    """X (m, n, k) without what the columns of B (n, q) hold; rounding left of a column within B is 0."""
    if not B.shape[1]:
        return X
    Q = np.linalg.qr(B)[0]
    left = X - Q @ (Q.T @ X)
    size, before = (np.sqrt((one**2).sum(axis=1, keepdims=True)) for one in (left, X))
    return np.where(size > 1e-9 * before, left, 0.0)
