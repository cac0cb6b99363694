"""Many small linear programmes over the same rows at once, by the dual simplex method.

For each of C problems, with rows a_i = s_i x_i (s_i is 1, -1, or 0 for a row that takes no part) and a gain c:

    maximise c'b  subject to  a_i'b >= 0 for all i, |b_k| <= 1.

It starts in the corner of the box that c points to. The row that is violated most enters the basis and the ratio test
says which leaves, until none is violated: so all problems take a step together, each a product with X (Bertsimas &
Tsitsiklis 1997, section 4.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..family import Array

FEASIBLE = 1e-11  # rows of length 1: rounding
STEPS = 400


@dataclass(frozen=True, eq=False)
class Best:
    """The maximisers b (C, k) with their values (C,), and which were found (C,)."""

    b: Array
    value: Array
    found: NDArray[np.bool_]


def best(X: Array, S: NDArray[np.int8], gain: Array) -> Best:
    """Solve C problems: rows X (N, k) of length 1, sides S (C, N), gains (C, k).

    >>> X = np.array([[1.0, 0.0], [0.6, 0.8]])
    >>> best(X, np.array([[1, -1]], dtype=np.int8), np.array([[1.0, 0.1]])).b.round(3).tolist()
    [[1.0, -0.75]]
    """
    C, k = gain.shape
    size = np.abs(gain).max(axis=1, keepdims=True)
    c = gain / np.where(size > 0, size, 1.0)
    side = np.where(c >= 0, 1.0, -1.0)
    # normals g of the active constraints g'b <= h, with multipliers m >= 0: c = sum of m g
    basis, h, m = side[:, :, None] * np.eye(k), np.ones((C, k)), np.abs(c)
    b, done = side.copy(), np.zeros(C, dtype=bool)
    for _ in range(STEPS):
        todo = np.flatnonzero(~done)
        if not len(todo):
            break
        worst, by = _violated(X, S[todo], b[todo])
        fine = by >= -FEASIBLE
        done[todo[fine]] = True
        todo, worst = todo[~fine], worst[~fine]
        if not len(todo):
            break
        normal = -S[todo, worst][:, None] * X[worst]
        d = np.linalg.solve(basis[todo].transpose(0, 2, 1), normal[:, :, None])[:, :, 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(d > 1e-12, m[todo] / d, np.inf)
        out = ratio.argmin(axis=1)
        step = ratio[np.arange(len(todo)), out]
        m[todo] = np.maximum(m[todo] - step[:, None] * d, 0.0)
        m[todo, out], basis[todo, out], h[todo, out] = step, normal, 0.0
        b[todo] = np.linalg.solve(basis[todo], h[todo][:, :, None])[:, :, 0]
    return Best(b, (gain * b).sum(axis=1), done & np.isfinite(b).all(axis=1))


def _violated(X: Array, S: NDArray[np.int8], b: Array) -> tuple[NDArray[np.intp], Array]:
    """The row that each b (C, k) violates most, and by how much (C,)."""
    away = b @ X.T
    away *= S
    worst = away.argmin(axis=1)
    return worst, away[np.arange(len(b)), worst]
