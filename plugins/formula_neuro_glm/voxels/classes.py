"""Whether maximum likelihood is finite in each voxel, exactly: classes and the signs of infinite coefficients.

The cheapest proof first: constant responses; a closed form where an intercept and one column span the design; the
certificate of a converged fit (certificate.py); the linear programme of kernels/cone.py for what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array
from formula_neuro.kernels.separation import SIGMOID, Separation, classify

from .answer import ALL_ONE, ALL_ZERO, COMPLETE, OPEN, OVERLAP, QUASI
from .design import Rows

UNKNOWN = -1
TIE = 1e-6  # of a coefficient's length along its direction: rounding
KINDS = {
    "": OVERLAP, "overlap": OVERLAP, "quasi-complete": QUASI, "complete": COMPLETE, "all 0": ALL_ZERO, "all 1": ALL_ONE,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Classes:
    """Of C voxels: the class (C,), UNKNOWN where not found yet, and signs (C, r) of infinite coefficients, OPEN where
    the data leave the sign of an infinite coefficient open."""

    kind: NDArray[np.int8]
    signs: NDArray[np.int8]


def cheap(rows: Rows, Y: NDArray[Any]) -> Classes:
    """What constants and the closed form settle, for responses Y (C, n)."""
    C = len(Y)
    out = Classes(np.full(C, UNKNOWN, dtype=np.int8), np.zeros((C, rows.rank), dtype=np.int8))
    if rows.rank == 0 or not has_limits(rows):
        out.kind[:] = OVERLAP
        return out
    for value in (0, 1) if rows.family.name == "binomial" else (0,):
        at = np.flatnonzero(np.equal(Y, value).all(axis=1))
        if len(at):
            put(out, at, programmed(rows, np.full(Y.shape[1], float(value))), rows)
    line = along(rows)
    if line is not None and rows.family.link.name in SIGMOID and Y.dtype == np.uint8:
        at = np.flatnonzero(out.kind == UNKNOWN)
        out.kind[at], out.signs[at] = on_a_line(rows, line, Y[at])
    return out


def has_limits(rows: Rows) -> bool:
    """Whether means have limits that a linear predictor reaches at infinity only."""
    shares = rows.family.name == "binomial" and rows.family.link.name in (*SIGMOID, "log")
    return shares or (rows.family.name == "poisson" and rows.family.link.name == "log")


def programmed(rows: Rows, y: Array) -> Separation:
    """The exact answer for one response y (n,)."""
    return classify([str(j) for j in range(rows.rank)], rows.Q @ rows.R, y, rows.w, rows.family)


def put(out: Classes, at: NDArray[np.intp], apart: Separation, rows: Rows) -> None:
    """One voxel's answer for all voxels `at`."""
    out.kind[at] = KINDS[apart.kind]
    signs = np.zeros(rows.rank, dtype=np.int8)
    for name, sign in apart.signs.items():
        signs[int(name)] = int(sign) or OPEN
    out.signs[at] = signs


def along(rows: Rows) -> Array | None:
    """(n,) the covariate of a design that spans an intercept and one column; None for another design."""
    if rows.rank != 2:
        return None
    n = len(rows.Q)
    one = rows.Q.mean(axis=0)  # Q one = 1 where the constant is in the span
    if np.abs(rows.Q @ one - 1).max(initial=0.0) > 1e-9 or n < 2:
        return None
    return np.asarray(rows.Q @ np.array([-one[1], one[0]]))


def on_a_line(rows: Rows, t: Array, Y: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Classes and signs by the ends of the covariate t (n,) among the events and among the others of each voxel."""
    order = np.argsort(t, kind="stable")
    sorted_t = _tied(t[order])
    events = Y[:, order] != 0
    first1, first0 = events.argmax(axis=1), (~events).argmax(axis=1)
    last1, last0 = (events.shape[1] - 1 - part[:, ::-1].argmax(axis=1) for part in (events, ~events))
    kind, signs = np.zeros(len(Y), dtype=np.int8), np.zeros((len(Y), 2), dtype=np.int8)
    one = rows.Q.mean(axis=0)
    inverse = np.linalg.inv(rows.R)
    constant, slope = inverse @ one, inverse @ np.array([-one[1], one[0]])
    for way, low, high in ((1.0, sorted_t[last0], sorted_t[first1]), (-1.0, sorted_t[last1], sorted_t[first0])):
        apart = low <= high
        kind[apart] = np.where(low < high, COMPLETE, QUASI)[apart]
        size = np.abs(slope) + np.abs(constant) * np.abs(t).max()
        ends = [way * (slope - edge[apart, None] * constant) / size for edge in (low, high)]
        up, down = (np.maximum(*(side * end for end in ends)) > TIE for side in (1, -1))
        signs[apart] = np.where(up & down, OPEN, up.astype(np.int8) - down)
    return kind, signs


def _tied(t: Array) -> Array:
    """Sorted values with those that differ by rounding alone made equal."""
    new = np.diff(t, prepend=-np.inf) > 1e-10 * max(np.abs(t).max(initial=0.0), 1e-300)
    return np.asarray(t[np.flatnonzero(new)][np.cumsum(new) - 1])
