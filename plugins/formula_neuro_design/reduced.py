"""The problem in the few directions that matter: the fixed columns and the family of designs.

All optima lie in the span of B and H, H = columns sqrt(w_i) v_i: projecting the estimator a onto it keeps its bias and
shortens it. After this step no cost depends on the number of scans or designs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from .family import Family

CUT = 1e-10  # of the largest singular value: what is below is rounding


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
    """The basis for a family and fixed columns B (n, q), of all directions above rounding."""
    Q = _basis(B, family.v * np.sqrt(family.by_column(family.w)))
    return Coordinates(Q, B.shape[1], Q.T @ family.v)


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


def _basis(B: Array, H: Array) -> Array:
    """Orthonormal columns that span B, then H."""
    Q_B = np.linalg.qr(B)[0]
    rest = H - Q_B @ (Q_B.T @ H)
    rest -= Q_B @ (Q_B.T @ rest)  # twice: once leaves rounding of the size of the smallest directions kept
    U, size, _ = np.linalg.svd(rest, full_matrices=False)
    floor = CUT * max(size[0], np.sqrt((H**2).sum(axis=0)).max())
    return np.hstack([Q_B, U[:, size > floor]])
