"""The directions of coefficients in which separated data let them run, found once and exactly.

With s_i = 1 for a row at its upper limit, -1 at its lower and 0 in between, the cone is

    C = {b: s_i x_i'b >= 0, and x_i'b = 0 where s_i = 0}.

maximise the sum of s_i x_i'b over the rows not yet moved, subject to |b| <= 1 (Konis 2007), and again until nothing
more is moved: the sum of these b lies inside C (a direction of recession of the likelihood; Geyer 2009). The directions
that leave the other rows where they are span C, and a coefficient is finite when none of them changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space, solve_triangular

from ..family import Array
from .rank import column_norms

TIE = 1e-9  # of a row's or a coefficient's own length: rounding
MARGIN = 1e-8  # of a row's length: what a direction must move it by
EXACT = 1e-10  # HiGHS's own smallest tolerance


@dataclass(frozen=True, eq=False)
class Cone:
    """A direction inside C (p,), the rows that it moves (n,), and each coefficient's sign on C (p,).

    `infinite` are the coefficients that some direction of C changes; `sign` is 0 where directions disagree about it.
    """

    direction: Array
    moved: NDArray[np.bool_]
    infinite: NDArray[np.bool_]
    sign: Array


def recession_cone(X: Array, sides: Array) -> Cone | None:
    """The cone of rows X (n, p) of full rank with sides s (n,); None where it is {0}.

    >>> X = np.array([[1.0, -2], [1, -1], [1, 1], [1, 2]])
    >>> cone = recession_cone(X, np.array([-1.0, -1, 1, 1]))
    >>> cone.moved.tolist(), cone.sign.tolist()
    ([True, True, True, True], [0.0, 1.0])
    """
    norms = column_norms(X)
    Q, R = np.linalg.qr(X / norms)
    Q = Q / np.maximum(np.linalg.norm(Q, axis=1), 1e-300)[:, None]  # only the signs of x_i'b count
    within, limits = Q[sides == 0], np.flatnonzero(sides)
    N = null_space(np.linalg.qr(within, mode="r"), rcond=TIE) if len(within) else np.eye(X.shape[1])
    if N.shape[1] == 0 or len(limits) == 0:
        return None
    A = (sides[:, None] * Q)[limits] @ N
    size = np.linalg.norm(A, axis=1)
    free = size > TIE
    rows, place = np.unique(np.round(A[free] / size[free, None], 13), axis=0, return_inverse=True)
    c, t = _inside(rows)
    if not t.any():
        return None
    moved = np.zeros(len(X), dtype=bool)
    moved[limits[free]] = t[place.ravel()]
    K = null_space(np.linalg.qr(rows[~t], mode="r"), rcond=TIE) if not t.all() else np.eye(N.shape[1])
    unit = solve_triangular(R, np.eye(len(R))) / norms[:, None]  # a coefficient of X from those of Q
    lengths = np.linalg.norm(unit, axis=1)
    along = (unit / lengths[:, None]) @ N
    infinite = np.abs(along @ K).max(axis=1) > 1e3 * TIE
    sign = np.zeros(X.shape[1])
    for j in np.flatnonzero(infinite):
        sign[j] = _sign(along[j] @ K, rows[t] @ K)
    return Cone(unit @ N @ c, moved, infinite, sign)


def _inside(rows: Array) -> tuple[Array, NDArray[np.bool_]]:
    """A direction c (k,) that moves all rows (m, k) that can be moved, and which these are (m,)."""
    m, k = rows.shape
    c, t = np.zeros(k), np.zeros(m, dtype=bool)
    while not t.all():
        way = _best(rows[~t].sum(axis=0), rows, np.zeros(m), 1.0)
        moved = np.zeros(m, dtype=bool) if way is None else (rows @ way > MARGIN) & ~t
        if way is None or not moved.any():
            break
        c, t = c + way, t | moved
    if t.any() and not t.all():
        K = null_space(np.linalg.qr(rows[~t], mode="r"), rcond=TIE)  # the other rows stay exactly where they are
        c = K @ (K.T @ c)
    sure = bool((rows[t] @ c > 0).all())
    return (c, t) if sure else (np.zeros(k), np.zeros(m, dtype=bool))


def _sign(effect: Array, rows: Array) -> float:
    """The sign of effect'z over {z: rows z >= 0}; 0 where both occur. effect (k,), rows (m, k)."""
    cut = np.vstack([rows, -rows.mean(axis=0)])  # the cone up to where the rows have moved by 1 on average
    least = np.r_[np.zeros(len(rows)), -1.0]
    ends = []
    for side in (1.0, -1.0):
        z = _best(side * effect, cut, least, None)
        ends.append(z is None or float(side * effect @ z) > 1e-6)  # no bound at all is a way out too
    return float(ends[0]) - float(ends[1])


def _best(gain: Array, rows: Array, least: Array, box: float | None) -> Array | None:
    """The z (k,) that makes gain'z largest, subject to rows z >= least and |z| <= box; None without an answer."""
    from scipy.optimize import linprog

    bounds = (None if box is None else -box, box)
    tight = {"primal_feasibility_tolerance": EXACT, "dual_feasibility_tolerance": EXACT}
    answer: Any = linprog(-gain, A_ub=-rows, b_ub=-least, bounds=bounds, method="highs", options=cast(Any, tight))
    return None if answer.x is None else np.asarray(answer.x, dtype=np.float64)
