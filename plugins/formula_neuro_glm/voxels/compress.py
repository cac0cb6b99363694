"""Fewer rows that give the same sums: the likelihood of many subjects from few weighted rows.

Rows of equal covariates become one row of many trials. Where the design is a function of one covariate t (an intercept
and one column) and t is continuous, Chebyshev nodes stand for the rows: any smooth f(t_i) is sum_k L_k(t_i) f(t_k) with
Lagrange's polynomials L_k, so that successes S_k = sum_i y_i L_k(t_i) and trials T_k = sum_i w_i L_k(t_i) reproduce
every sum of the score, the information and the likelihood (Trefethen 2013, Approximation Theory, chapters 5 and 8).
The error falls like rho^-K, with rho set by the links' nearest singularities in the complex plane and by how far eta
ranges over t; `reach` bounds that range, and voxels beyond it take all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .design import Rows
from .line import along

WORTH = 0.7  # share of the rows above which equal rows are left as they are
NODES = 64
REACH = 4.0  # of eta to both sides of its middle, at which 64 nodes give 1e-11 of the information
SMOOTH = ("probit", "logit", "cloglog")
MANY = 3  # times the nodes: fewer rows than that are as quick themselves


@dataclass(frozen=True, eq=False)
class Compressed:
    """Rows Q (k, r) with trials (k,) and offset (k,), and what turns responses into their successes.

    `starts` (k,) are the first places of equal rows in `order` (n,); `lagrange` (n, k) holds L_k(t_i).
    """

    Q: Array
    trials: Array
    offset: Array
    order: NDArray[np.intp] | None = None
    starts: NDArray[np.intp] | None = None
    lagrange: Array | None = None
    w: Array | None = None  # where weights differ

    def successes(self, Y: NDArray[Any]) -> Array:
        """(C, k) of responses Y (C, n), which may be Y itself."""
        if self.lagrange is not None:
            return np.asarray(Y.astype(np.float64) @ self.lagrange)
        S = Y if self.w is None else Y * self.w
        if self.order is None or self.starts is None:
            return np.asarray(S)
        kind = np.float64 if S.dtype.kind == "f" else np.int32
        return np.add.reduceat(S[:, self.order], self.starts, axis=1, dtype=kind).astype(np.float64)

    @property
    def plain(self) -> bool:
        """Whether every row is one trial."""
        return bool((self.trials == 1).all())

    @property
    def representatives(self) -> NDArray[np.intp]:
        """(k,) rows that stand for the compressed ones."""
        return np.arange(len(self.Q)) if self.order is None else self.order[self.starts]

    @property
    def exact(self) -> bool:
        return self.lagrange is None

    def near(self, b: Array) -> NDArray[np.bool_]:
        """(C,) whether the nodes are enough at coefficients b (C, r)."""
        if self.exact:
            return np.ones(len(b), dtype=bool)
        eta = b @ self.Q[[0, -1]].T
        return np.asarray(np.abs(eta[:, 1] - eta[:, 0]) <= 2 * REACH)


def plain(rows: Rows) -> Compressed:
    """Equal rows as one, where that makes clearly fewer; else the rows themselves."""
    w = None if (rows.w == 1).all() else rows.w
    both = np.column_stack([rows.Q, rows.offset])
    order = np.lexsort(np.round(both, 10).T)
    new = np.abs(np.diff(both[order], axis=0, prepend=np.inf)).max(axis=1) > 1e-9
    starts = np.flatnonzero(new)
    if len(starts) > WORTH * len(order):
        return Compressed(rows.Q, rows.w, rows.offset, w=w)
    trials = np.add.reduceat(rows.w[order], starts)
    first = order[starts]
    return Compressed(rows.Q[first], trials, rows.offset[first], order, starts, w=w)


def compressed(rows: Rows) -> Compressed:
    """Nodes where the design is a smooth function of one continuous covariate, else equal rows as one."""
    found = plain(rows)
    t = along(rows)
    if t is None or rows.family.link.name not in SMOOTH or rows.offset.any() or len(found.Q) < MANY * NODES:
        return found
    middle, half = (t.max() + t.min()) / 2, (t.max() - t.min()) / 2
    angle = (np.arange(NODES) + 0.5) * np.pi / NODES
    nodes = np.cos(angle)
    weights = np.sin(angle) * np.where(np.arange(NODES) % 2, -1.0, 1.0)
    L = _lagrange((t - middle) / half, nodes, weights)
    at = np.linalg.lstsq(np.column_stack([np.ones(len(t)), t]), rows.Q, rcond=None)[0]
    Q = np.column_stack([np.ones(NODES), middle + half * nodes]) @ at
    L = L * rows.w[:, None]
    return Compressed(Q, L.sum(axis=0), np.zeros(NODES), lagrange=L)


def _lagrange(x: Array, nodes: Array, weights: Array) -> Array:
    """(n, k) Lagrange's polynomials of the nodes (k,) at x (n,), by the barycentric formula."""
    distance = x[:, None] - nodes
    hit = distance == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        share = weights / distance
        L = share / share.sum(axis=1, keepdims=True)
    return np.asarray(np.where(hit.any(axis=1)[:, None], hit.astype(float), L))
