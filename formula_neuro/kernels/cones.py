"""The cones of cone.py for many responses of one design at once: which coefficients separation makes infinite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ..family import Array
from .programmes import best
from .rank import column_norms

MARGIN = 1e-8  # of a row's length: what a direction must move it by
TIE = 1e-6  # of a coefficient's length: rounding
FLAT = 1e-13  # of the rows' second moments: directions in which nothing that stays still extends
DOUBT = 1e-9  # a second moment between FLAT and this is neither rounding nor clearly more
AT_ONCE = 4_000_000  # rows times responses


@dataclass(frozen=True, eq=False)
class Cones:
    """Of C responses: `sure` (C,) whether what follows is exact, `apart` and `complete` (C,) whether some or all rows
    are moved, `infinite` (C, p) the coefficients that run away, `signs` (C, p) 0 where directions disagree."""

    sure: NDArray[np.bool_]
    apart: NDArray[np.bool_]
    complete: NDArray[np.bool_]
    infinite: NDArray[np.bool_]
    signs: NDArray[np.int8]


def recession_cones(X: Array, sides: NDArray[np.int8]) -> Cones:
    """The cones of rows X (n, p) of full rank, all of them at a limit: sides (C, n) of 1 and -1.

    Where rounding leaves a doubt the answer is not sure, and cone.recession_cone is to be asked.

    >>> X = np.array([[1.0, -2], [1, -1], [1, 1], [1, 2]])
    >>> cones = recession_cones(X, np.array([[-1, -1, 1, 1], [-1, 1, -1, 1]], dtype=np.int8))
    >>> cones.apart.tolist(), cones.signs[0].tolist()
    ([True, False], [0, 1])
    """
    norms, Q, R = _directions(X)
    unit = solve_triangular(R, np.eye(len(R))) / norms[:, None]  # a coefficient of X from those of Q
    unit = unit / np.linalg.norm(unit, axis=1)[:, None]
    size = max(1, AT_ONCE // len(X))
    parts = [_some(Q, unit, sides[first : first + size]) for first in range(0, len(sides), size)]
    names = ("sure", "apart", "complete", "infinite", "signs")
    return Cones(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def moved_rows(X: Array, sides: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows of X some direction of the cone moves (C, n), and for which responses that is sure (C,)."""
    Q, size = _directions(X)[1], max(1, AT_ONCE // len(X))
    parts = [_moved(Q, sides[first : first + size]) for first in range(0, len(sides), size)]
    return np.concatenate([moved for moved, _ in parts]), np.concatenate([sure for _, sure in parts])


def _directions(X: Array) -> tuple[Array, Array, Array]:
    """The columns' norms, and X over these as Q R with Q's rows of length 1: only the signs of x_i'b count."""
    norms = column_norms(X)
    Q, R = np.linalg.qr(X / norms)
    return norms, Q / np.maximum(np.linalg.norm(Q, axis=1), 1e-300)[:, None], R


def _some(Q: Array, unit: Array, sides: NDArray[np.int8]) -> Cones:
    C, p = len(sides), Q.shape[1]
    moved, sure = _moved(Q, sides)
    apart = moved.any(axis=1)
    infinite, signs = np.zeros((C, p), dtype=bool), np.zeros((C, p), dtype=np.int8)
    at = np.flatnonzero(apart & sure)
    if len(at):
        reach, certain = _reach(Q, ~moved[at], unit)
        infinite[at], sure[at] = reach, certain
        signs[at], known = _signs(Q, sides[at], unit, reach)
        sure[at] &= known
    return Cones(sure, np.asarray(apart), np.asarray(moved.all(axis=1)), infinite, signs)


def _moved(Q: Array, sides: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows some direction of the cone moves (C, n), and for which responses that was found (C,)."""
    moved, sure = np.zeros(sides.shape, dtype=bool), np.ones(len(sides), dtype=bool)
    todo = np.arange(len(sides))
    while len(todo):
        still = np.where(moved[todo], 0, sides[todo])
        way = best(Q, sides[todo], still @ Q)
        sure[todo] &= way.found
        new = (sides[todo] * (way.b @ Q.T) > MARGIN) & ~moved[todo] & way.found[:, None]
        moved[todo] |= new
        todo = todo[new.any(axis=1) & ~moved[todo].all(axis=1)]
    return moved, sure


def _reach(Q: Array, still: NDArray[np.bool_], unit: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which coefficients change along directions that leave the rows `still` (C, n) in place, and whether surely."""
    p = Q.shape[1]
    products = (Q[:, :, None] * Q[:, None, :]).reshape(len(Q), p * p)
    moments = (still.astype(np.float64) @ products).reshape(-1, p, p)
    values, vectors = np.linalg.eigh(moments)
    top = np.maximum(values[:, -1:], 1.0)
    flat = values <= FLAT * top
    sure = ~((values > FLAT * top) & (values < DOUBT * top)).any(axis=1)
    along = np.einsum("jk,ckd->cjd", unit, vectors * flat[:, None, :])
    return np.abs(along).max(axis=2) > TIE, sure


def _signs(
    Q: Array, sides: NDArray[np.int8], unit: Array, infinite: NDArray[np.bool_]
) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """The signs of infinite coefficients over the cone (C, p), and for which responses all were found (C,)."""
    signs, sure = np.zeros(infinite.shape, dtype=np.int8), np.ones(len(sides), dtype=bool)
    for j in range(Q.shape[1]):
        at = np.flatnonzero(infinite[:, j])
        if not len(at):
            continue
        for side in (1, -1):
            way = best(Q, sides[at], np.repeat(side * unit[j][None, :], len(at), axis=0))
            signs[at, j] += np.where(way.value > TIE, side, 0).astype(np.int8)
            sure[at] &= way.found
    return signs, sure
