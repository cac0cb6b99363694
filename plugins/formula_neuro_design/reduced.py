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
class Reduced:
    """G = |a|^2 (kappa + T) + a'M_B a - 2 a'h + const for an estimator Qa, T the part of M_V that Z does not span."""

    Q: Array  # (n, r) orthonormal, the first q columns span B
    q: int
    M_V: Array  # (r, r)
    M_B: Array  # (r, r)
    h: Array  # (r,)
    kappa: float
    const: float

    @property
    def W(self) -> Array:
        """M_V off the fixed columns, (r - q, r - q)."""
        return self.M_V[self.q :, self.q :]


def reduced(family: Family, B: Array, p: int) -> Reduced:
    """The reduced problem for a design of p columns, of which those of B (n, q) are fixed."""
    n, q = B.shape
    H = family.v * np.sqrt(family.w)
    Q = _basis(B, H)
    G = Q.T @ H
    price, push = 2 * family.phi, 2 - 2 * family.phi
    return Reduced(
        Q=Q,
        q=q,
        M_V=(G * price) @ G.T / (n - p),
        M_B=(G * push) @ G.T,
        h=G @ (push * np.sqrt(family.w) * family.l),
        kappa=float(price @ family.w),
        const=float((push * family.w) @ family.l**2),
    )


def _basis(B: Array, H: Array) -> Array:
    """Orthonormal columns that span B, then H."""
    Q_B = np.linalg.qr(B)[0]
    rest = H - Q_B @ (Q_B.T @ H)
    rest -= Q_B @ (Q_B.T @ rest)  # twice: once leaves rounding of the size of the smallest directions kept
    U, size, _ = np.linalg.svd(rest, full_matrices=False)
    floor = CUT * max(size[0], np.sqrt((H**2).sum(axis=0)).max())
    return np.hstack([Q_B, U[:, size > floor]])
