"""A coarse model of many rows: a few of them stand for all, as polynomials see it.

Rows are cut into cells of neighbours. In a cell, m rows are chosen (approximate Fekete points: Sommariva and Vianello
2009) through which every polynomial of a low degree in the covariates is interpolated: p(x_i) = sum_k L_ik p(x_k). With
successes S_k = sum_i y_i L_ik and trials T_k = sum_i w_i L_ik, the sums of the score and the information are those of
all rows as far as such polynomials describe the links in a cell, at a fraction of the cost; a few passes over all rows
correct what is left (coarse.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from formula_neuro.family import Array

from .compress import Compressed

CELLS = 8
TERMS = 130  # of a cell's polynomials, at most: their degree is as high as that allows
WORTH = 4  # rows a representative below which a coarse model does not pay
SAME = 1e-7  # of the largest, below which a direction or polynomial is that of others


@dataclass(frozen=True, eq=False)
class Cell:
    """Rows (n,) of which `chosen` (m,) represent the others by `shares` (n, m), Lagrange's polynomials at the rows."""

    rows: NDArray[np.intp]
    chosen: NDArray[np.intp]
    shares: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Representatives:
    """The coarse rows as a design, and the cells that turn successes of all rows into theirs."""

    packed: Compressed
    cells: list[Cell]

    def successes(self, S: NDArray[Any]) -> Array:
        """(C, k) of successes S (C, n)."""
        parts = [S[:, cell.rows].astype(np.float32) @ cell.shares for cell in self.cells]
        return np.concatenate(parts, axis=1, dtype=np.float64)


def representatives(packed: Compressed) -> Representatives | None:
    """For compressed rows; None where they are few."""
    if len(packed.Q) < WORTH * CELLS * TERMS or not packed.exact:
        return None
    A = np.column_stack([packed.Q, packed.offset])
    cells = [_cell(A, rows) for rows in _cut(A, np.arange(len(A)), CELLS)]
    chosen = np.concatenate([cell.chosen for cell in cells])
    trials = np.concatenate([packed.trials[cell.rows] @ cell.shares.astype(np.float64) for cell in cells])
    return Representatives(Compressed(packed.Q[chosen], trials, packed.offset[chosen]), cells)


def _cut(A: Array, rows: NDArray[np.intp], cells: int) -> list[NDArray[np.intp]]:
    """Rows of A (n, k) in so many cells, by cuts at the mean of that side whose variance they lessen most."""
    part = A[rows] - A[rows].mean(axis=0)
    lessened = np.abs(part).sum(axis=0) / 2  # mean square between halves is this squared over the halves' sizes
    below = (part <= 0).sum(axis=0)
    gain = np.where(below < len(part), lessened**2 / np.maximum(below * (len(part) - below), 1), 0.0)
    low = part[:, gain.argmax()] <= 0
    if cells == 1 or low.all():
        return [rows]
    return _cut(A, rows[low], cells // 2) + _cut(A, rows[~low], cells // 2)


def _cell(A: Array, rows: NDArray[np.intp]) -> Cell:
    """The representatives of some rows of A (n, k)."""
    part = A[rows] - A[rows].mean(axis=0)
    _, size, ways = np.linalg.svd(np.linalg.qr(part, mode="r"))
    x = part @ (ways[: len(size)][size > SAME * size.max(initial=1e-300)]).T
    P = _polynomials(x / np.abs(x).max(axis=0, initial=1e-300))
    some = _outer(x)
    Q, R, order = qr(P[some].T, mode="economic", pivoting=True, check_finite=False)
    m = int((np.abs(np.diag(R)) > SAME * abs(R[0, 0])).sum())
    shares = solve_triangular(R[:m, :m], Q[:, :m].T @ P.T, check_finite=False).T
    return Cell(rows, rows[some[order[:m]]], shares.astype(np.float32))


def _outer(x: Array) -> NDArray[np.intp]:
    """Rows of x (n, d) among which representatives are sought: the outer ones, and some of the others."""
    order = np.argsort(-(x**2).sum(axis=1), kind="stable")
    rest = order[2 * TERMS :]
    return np.asarray(np.concatenate([order[: 2 * TERMS], rest[:: max(1, len(rest) // (2 * TERMS))]]))


def _polynomials(x: Array) -> Array:
    """(n, t) products of Chebyshev's polynomials of x (n, d) in [-1, 1], of total degree as high as TERMS allows."""
    d = x.shape[1]
    degree = max(1, max(k for k in range(20) if comb(d + k, k) <= TERMS or k == 0))
    T = np.cos(np.arange(degree + 1)[:, None, None] * np.arccos(np.clip(x.T, -1, 1)))  # (degree + 1, d, n)
    out = []
    for k in range(degree + 1):
        for sides in combinations_with_replacement(range(d), k):
            parts = [T[sides.count(side), side] for side in sorted(set(sides))]
            out.append(np.prod(parts, axis=0) if parts else np.ones(len(x)))
    return np.array(out).T
