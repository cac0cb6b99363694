"""The problem in the few directions that matter: the fixed columns and the family of designs.

All optima lie in the span of B and H, H = columns sqrt(w_i) v_i: projecting the estimator a onto it keeps its bias and
shortens it. After this step no cost depends on the number of scans or designs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from formula_neuro.family import Array

from .family import Family

CUT = 1e-10  # of the largest singular value: what is below is rounding
CHUNK = 4  # times n designs at once: fewer spend their time on the triangle again, more gain nothing (measured)


@dataclass(frozen=True, eq=False)
class Coordinates:
    """An orthonormal basis Q of the fixed columns (the first q) and the family, and the family in it, v = Q'V (r, M).

    Other weights than 0, phi or numbers of columns leave it as it is, so a path or a sweep needs one.
    """

    Q: Array  # (n, r)
    q: int
    v: Array


@dataclass(frozen=True, eq=False)
class Reduced:
    """G = sum_s |a_s|^2 (kappa_s + T_s) + a_s'M_B,s a_s - 2 a_s'h_s + const for estimators Qa_s of s contrasts.

    T_s is the trace of the part of M_V,s that Z does not span.
    """

    Q: Array  # (n, r) orthonormal, the first q columns span B
    q: int
    M_V: Array  # (s, r, r)
    M_B: Array  # (s, r, r)
    h: Array  # (s, r)
    kappa: Array  # (s,)
    const: float

    @property
    def W(self) -> Array:
        """M_V off the fixed columns, (s, r - q, r - q)."""
        return self.M_V[:, self.q :, self.q :]


def coordinates(family: Family, B: Array) -> Coordinates:
    """The basis for a family and fixed columns B (n, q), of all directions above rounding.

    With more designs than scans it takes n x n numbers beside the family and its coordinates.
    """
    n, q = B.shape
    Q_B = np.linalg.qr(B)[0]
    if family.v.shape[1] > n:
        rest, longest = _triangle(Q_B, family)
    else:
        rest, longest = _off(Q_B, family, slice(None))
    U, size, _ = np.linalg.svd(rest, full_matrices=False)
    # vectors of singular values near the cut have lost digits of their right angle with B: QR gives them back
    Q = np.linalg.qr(np.hstack([Q_B, U[:, size > CUT * max(size[0], longest)]]))[0]
    return Coordinates(Q, q, Q.T @ family.v)


def reduced(space: Coordinates, family: Family, p: int) -> Reduced:
    """The reduced problem for a design of p columns; phi and weights are the family's."""
    v, truth, push = space.v, family.truth, family.push
    return Reduced(
        Q=space.Q,
        q=space.q,
        M_V=_moments(v, family.price) / (len(space.Q) - p),
        M_B=_moments(v, push),
        h=(push * truth) @ v.T,
        kappa=family.kappa,
        const=float((push * truth**2).sum()),
    )


def _moments(v: Array, weights: Array) -> Array:
    return np.stack([(v * own) @ v.T for own in weights])


def _off(Q_B: Array, family: Family, columns: slice) -> tuple[Array, float]:
    """Columns of H without the fixed columns' part, and the length of the longest one with it."""
    H = family.v[:, columns] * np.sqrt(family.by_column(family.w)[columns])
    rest = H - Q_B @ (Q_B.T @ H)
    rest -= Q_B @ (Q_B.T @ rest)  # twice: once leaves rounding of the size of the smallest directions kept
    return rest, float(np.sqrt((H**2).sum(axis=0)).max())


def _triangle(Q_B: Array, family: Family) -> tuple[Array, float]:
    """L (n, n) with LL' = RR' of R = H without the fixed columns' part, by QR of R' in chunks, and H's longest column.

    It has R's left singular vectors to double precision; eigenvectors of RR' itself have them to half of it only.
    """
    n, M = family.v.shape
    upper: Array = np.zeros((0, n))
    longest = 0.0
    for first in range(0, M, CHUNK * n):
        rest, length = _off(Q_B, family, slice(first, first + CHUNK * n))
        longer = np.vstack([upper, rest.T])
        upper = np.asarray(linalg.qr(longer, mode="r", overwrite_a=True, check_finite=False)[0][:n], dtype=float)
        longest = max(longest, length)
    return np.asarray(upper.T), longest
