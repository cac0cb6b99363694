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
    theta: Index  # which elements of theta are its own, and where they stand in L if that is unstructured
    rows: Index
    columns: Index

    def template(self, theta: Array) -> Array:
        """L (K, K)."""
        L = np.zeros((self.K, self.K))
        L[self.rows, self.columns] = theta[self.theta]
        return L

    def slopes(self, theta: Array) -> Array:
        """dS / dtheta (m, K, K) = E L' + L E', for its own elements of theta."""
        out = np.zeros((len(self.rows), self.K, self.K))
        out[np.arange(len(self.rows)), self.rows] = self.template(theta)[:, self.columns].T
        return np.asarray(out + out.transpose(0, 2, 1))

    def bends(self, theta: Array, D: Array) -> Array:
        """tr(D d2S / dtheta2) (m, m) for a symmetric D (K, K)."""
        same = self.columns[:, None] == self.columns  # E_i E_j' is not 0 for elements of one column of L
        return np.asarray(np.where(same, 2 * D[self.rows][:, self.rows], 0.0))


@dataclass(frozen=True, eq=False)
class StructuredFactor(Factor):
    """A factor of which some terms have a covariance structure: L and its derivatives come from each term."""

    own: tuple[Term, ...]

    def template(self, theta: Array) -> Array:
        return self._wide([term.template(theta)[None] for term in self.own]).sum(axis=0)

    def slopes(self, theta: Array) -> Array:
        half = self._wide([term.changes(theta) for term in self.own]) @ self.template(theta).T
        return np.asarray(half + half.transpose(0, 2, 1))

    def bends(self, theta: Array, D: Array) -> Array:
        E, DL = self._wide([term.changes(theta) for term in self.own]), D @ self.template(theta)
        out, start = 2 * np.einsum("ab,ibc,jac->ij", D, E, E, optimize=True), 0
        for term, (_, where) in zip(self.own, self.members, strict=True):
            m = term.theta.stop - term.theta.start
            if term.structure is not None:  # E_i of an unstructured L do not move
                twice = term.structure.bends(theta[term.theta])
                out[start : start + m, start : start + m] += 2 * np.einsum("ijab,ab->ij", twice, DL[where, where])
            start += m
        return np.asarray(out)

    def _wide(self, stacks: Sequence[Array]) -> Array:
        """(sum of m, K, K): each term's (m, k, k) in its place."""
        out, start = np.zeros((sum(map(len, stacks)), self.K, self.K)), 0
        for stack, (_, where) in zip(stacks, self.members, strict=True):
            out[start : start + len(stack), where, where] = stack
            start += len(stack)
        return out


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
    t, r, c = (np.array(x, dtype=np.intp) for x in (theta, rows, columns))
    own, levels = tuple(terms[i] for i in members), terms[members[0]].levels
    if all(term.structure is None for term in own):
        return Factor(tuple(placed), levels, start, t, r, c)
    return StructuredFactor(tuple(placed), levels, start, t, r, c, own)
