"""Grouping factors: random terms that share one are fitted as one block of K columns a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .terms import Term

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Factor:
    """The terms of one grouping factor. Its relative covariance S = L L' (K, K) is block diagonal over them."""

    members: tuple[tuple[int, slice], ...]  # index of each term, and its columns among the K
    levels: int
    K: int
    theta: Index  # which elements of theta are its own, and where they stand in L
    rows: Index
    columns: Index

    def template(self, theta: Array) -> Array:
        """L (K, K)."""
        L = np.zeros((self.K, self.K))
        L[self.rows, self.columns] = theta[self.theta]
        return L

    def slopes(self, L: Array) -> Array:
        """dS / dtheta (m, K, K) = E L' + L E', for its own elements of theta."""
        out = np.zeros((len(self.rows), self.K, self.K))
        out[np.arange(len(self.rows)), self.rows] = L[:, self.columns].T
        return np.asarray(out + out.transpose(0, 2, 1))


def factors_of(terms: Sequence[Term]) -> tuple[Factor, ...]:
    """One factor for the terms that share their levels, in the order of their first terms."""
    shared: list[list[int]] = []
    for i, term in enumerate(terms):
        home = next((same for same in shared if _same_levels(terms[same[0]], term)), None)
        shared.append([i]) if home is None else home.append(i)
    return tuple(factor_of(terms, same) for same in shared)


def _same_levels(one: Term, two: Term) -> bool:
    return one.levels == two.levels and np.array_equal(one.given.codes, two.given.codes)


def factor_of(terms: Sequence[Term], members: Sequence[int]) -> Factor:
    """The factor of the terms with these indices."""
    placed, theta, rows, columns = list[tuple[int, slice]](), list[int](), list[int](), list[int]()
    start = 0
    for i in members:
        term = terms[i]
        placed.append((i, slice(start, start + term.K)))
        theta += range(term.theta.start, term.theta.stop)
        rows += [start + a for a, _ in term.elements]
        columns += [start + b for _, b in term.elements]
        start += term.K
    where = [np.array(x, dtype=np.intp) for x in (theta, rows, columns)]
    return Factor(tuple(placed), terms[members[0]].levels, start, *where)
