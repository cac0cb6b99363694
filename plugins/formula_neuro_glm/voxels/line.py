"""Designs of an intercept and one column: rows lie on a line, where separation has a closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .design import Rows
from .estimates import COMPLETE, OPEN, QUASI

TIE = 1e-6  # of a coefficient's length along its direction: rounding


def along(rows: Rows) -> Array | None:
    """(n,) the covariate of a design that spans an intercept and one column, centred; None for another design."""
    if rows.rank != 2:
        return None
    one = rows.Q.mean(axis=0)  # Q one = 1 where the constant is in the span
    if np.abs(rows.Q @ one - 1).max(initial=0.0) > 1e-9:
        return None
    return np.asarray(rows.Q @ np.array([-one[1], one[0]]))


def on_a_line(rows: Rows, t: Array, Y: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Classes (C,) and signs (C, 2) by the ends of the covariate t (n,) among the events and among the others.

    Separated are events and others whose ends meet at most in one value; the directions (t - edge) of the two ends
    between which nothing lies span the cone. Y (C, n) holds both events and others in every voxel.
    """
    order = np.argsort(t, kind="stable")
    place = _tied(t[order])
    events = Y[:, order] != 0
    n = events.shape[1]
    first1, first0 = events.argmax(axis=1), events.argmin(axis=1)
    last1, last0 = n - 1 - events[:, ::-1].argmax(axis=1), n - 1 - events[:, ::-1].argmin(axis=1)
    kind, signs = np.zeros(len(Y), dtype=np.int8), np.zeros((len(Y), 2), dtype=np.int8)
    one = rows.Q.mean(axis=0)
    inverse = np.linalg.inv(rows.R)
    constant, slope = inverse @ one, inverse @ np.array([-one[1], one[0]])
    size = np.abs(slope) + np.abs(constant) * np.abs(t).max()
    for way, low, high in ((1.0, place[last0], place[first1]), (-1.0, place[last1], place[first0])):
        apart = low <= high
        kind[apart] = np.where(low < high, COMPLETE, QUASI)[apart]
        ends = [way * (slope - edge[apart, None] * constant) / size for edge in (low, high)]
        up, down = (np.maximum(side * ends[0], side * ends[1]) > TIE for side in (1, -1))
        signs[apart] = np.where(up & down, OPEN, up.astype(np.int8) - down)
    return kind, signs


def _tied(t: Array) -> Array:
    """Sorted values with those that differ by rounding alone made equal."""
    new = np.diff(t, prepend=-np.inf) > 1e-10 * max(np.abs(t).max(initial=0.0), 1e-300)
    return np.asarray(t[np.flatnonzero(new)][np.cumsum(new) - 1])
