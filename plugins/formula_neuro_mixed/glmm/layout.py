"""How the random effects of a GLMM lie in rows: the largest grouping factor in blocks, the rest dense.

Every row meets M effects: K of its level of the first factor, then those of its levels of the others. The
effects are numbered level by level, the first factor's first. A = U'WU + I then has G blocks (K, K) and, where
there are other factors, a dense border (Bates et al. 2015, section 5, in the order that fills in least):

    A = [ D  B ]      S = C - B'D^-1 B,  log|A| = log|D| + log|S|,
        [ B' C ]      A^-1 = blockdiag(D^-1, 0) + N S^-1 N',  N = [-D^-1 B; I]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from ..terms import Term

MEMORY = 6e9  # bytes of dense work above which a fit is refused
SQUARES = 8  # arrays of the size of border and corner that are alive at the same time


@dataclass(frozen=True)
class Slot:
    """Where one term's effects are."""

    place: int  # its first entry among a row's M
    start: int  # number of its factor's first effect
    count: int  # levels
    stride: int  # effects a level, of all terms of the factor
    within: int  # its first among these


@dataclass(frozen=True, eq=False)
class Layout:
    """Rows sorted by the levels of the first factor; arrays of rows are in this order."""

    terms: tuple[Term, ...]
    slots: tuple[Slot, ...]
    order: NDArray[np.intp]  # (n,) of the rows used
    K: int  # effects of the first factor that a row meets
    starts: NDArray[np.intp]  # (G,) first row of each of its levels
    codes: NDArray[np.intp]  # (n,) its level, 0 to G - 1
    levels: NDArray[np.intp]  # (G,) their codes in the terms: levels without rows are left out
    basis: Array  # (n, M)
    columns: NDArray[np.intp]  # (n, M) numbers of the effects that a row meets
    q: int

    @cached_property
    def M(self) -> int:
        return int(self.basis.shape[1])

    @cached_property
    def G(self) -> int:
        return len(self.starts)

    @cached_property
    def q1(self) -> int:
        return self.G * self.K

    @cached_property
    def bordered(self) -> bool:
        return self.q > self.q1

    @cached_property
    def elements(self) -> tuple[tuple[int, int], ...]:
        """Row and column, among the M entries, of each element of theta, where no term has a structure."""
        return tuple(
            (slot.place + i, slot.place + j)
            for term, slot in zip(self.terms, self.slots, strict=True)
            for i, j in term.elements
        )

    def factor(self, theta: Array) -> Array:
        """(M, M) block-diagonal: the templates of all terms."""
        if self.M == 1:
            return theta[:, None]
        L = np.zeros((self.M, self.M))
        if self.structured:
            for term, own in zip(self.terms, self._own, strict=True):
                L[own, own] = term.template(theta)
            return L
        rows, columns = self._index
        L[rows, columns] = theta
        return L

    @cached_property
    def structured(self) -> bool:
        """Whether a term's covariance has a structure."""
        return any(term.structure is not None for term in self.terms)

    def changes(self, theta: Array) -> Array:
        """(m, M, M): the derivative of `factor` in each element of theta."""
        out = np.zeros((self.n_theta, self.M, self.M))
        for term, own in zip(self.terms, self._own, strict=True):
            out[term.theta, own, own] = term.changes(theta)
        return out

    def largest(self, theta: Array) -> float:
        """The largest element of all templates."""
        return float(np.abs(self.factor(theta) if self.structured else theta).max())

    @cached_property
    def n_theta(self) -> int:
        return int(self.terms[-1].theta.stop)

    @cached_property
    def _own(self) -> list[slice]:
        """Each term's entries among the M."""
        return [slice(slot.place, slot.place + t.K) for t, slot in zip(self.terms, self.slots, strict=True)]

    @cached_property
    def _index(self) -> tuple[list[int], list[int]]:
        return [i for i, _ in self.elements], [j for _, j in self.elements]

    def of_term(self, k: int, effects: Array) -> Array:
        """(levels, K, ...) of (q, ...): one term's, 0 for levels without rows."""
        term, slot = self.terms[k], self.slots[k]
        own = effects[slot.start : slot.start + slot.count * slot.stride]
        own = own.reshape(slot.count, slot.stride, *effects.shape[1:])[:, slot.within : slot.within + term.K]
        if slot.start > 0 or slot.count == term.levels:
            return np.asarray(own)
        out = np.zeros((term.levels, *own.shape[1:]))
        out[self.levels] = own
        return out

    # ---- between rows and effects --------------------------------------------------------------------
    def gather(self, effects: Array) -> Array:
        """(n, M, ...) of (q, ...): every row's own."""
        return effects.take(self.columns, axis=0)

    def scatter(self, entries: Array) -> Array:
        """(q, c) of (n, M, c): sums over the rows that meet an effect."""
        n, c = len(entries), entries.shape[2]
        if self.M == 1:
            return np.asarray(np.add.reduceat(entries[:, 0], self.starts))
        first = np.add.reduceat(entries[:, : self.K].reshape(n, -1), self.starts).reshape(self.q1, c)
        if not self.bordered:
            return np.asarray(first)
        return np.vstack([first, _sums(self._rest, entries[:, self.K :].reshape(-1, c), self.q - self.q1)])

    def per_unit(self, rows: Array, effects: Array) -> Array:
        """Sums of rows (n,) and effects (q,) over what is independent: levels of a single factor, or everything."""
        if self.bordered:
            return np.array([rows.sum() + effects.sum()])
        by_level = effects if self.K == 1 else effects.reshape(-1, self.K).sum(axis=1)
        return np.asarray(np.add.reduceat(rows, self.starts) + by_level)

    def spread(self, units: Array) -> Array:
        """(q,) or a scalar: what belongs to a unit, for each of its effects."""
        return units if self.bordered or self.K == 1 else np.repeat(units, self.K)

    @cached_property
    def _rest(self) -> NDArray[np.intp]:
        """(n M2,) places of the entries of the other factors."""
        return np.asarray((self.columns[:, self.K :] - self.q1).ravel())

    @cached_property
    def _border(self) -> NDArray[np.intp]:
        """(n K M2,) places in B."""
        q2 = self.q - self.q1
        return np.asarray((self.columns[:, : self.K, None] * q2 + self.columns[:, None, self.K :] - self.q1).ravel())

    @cached_property
    def _corner(self) -> NDArray[np.intp]:
        """(n M2 M2,) places in C."""
        q2, own = self.q - self.q1, self.columns[:, self.K :] - self.q1
        return np.asarray((own[:, :, None] * q2 + own[:, None, :]).ravel())

    def blocks(self, outer: Array) -> tuple[Array, Array | None, Array | None]:
        """D (G, K, K, c), B (G, K, q2, c), C (q2, q2, c) of the sums of (n, M, M, c) over rows."""
        n, c, K, q2 = len(outer), outer.shape[-1], self.K, self.q - self.q1
        D = np.add.reduceat(outer[:, :K, :K].reshape(n, -1), self.starts).reshape(self.G, K, K, c)
        if not self.bordered:
            return D, None, None
        B = _sums(self._border, outer[:, :K, K:].reshape(-1, c), self.q1 * q2).reshape(self.G, K, q2, c)
        C = _sums(self._corner, outer[:, K:, K:].reshape(-1, c), q2 * q2).reshape(q2, q2, c)
        return D, B, C


def _sums(places: NDArray[np.intp], values: Array, size: int) -> Array:
    """(size, c): sums of the rows of values (N, c) that have the same place."""
    out = np.empty((size, values.shape[1]))
    for k in range(values.shape[1]):
        out[:, k] = np.bincount(places, weights=values[:, k], minlength=size)
    return out


def layout_of(terms: Sequence[Term], used: NDArray[np.bool_]) -> Layout:
    """The layout of the rows used; the factor with most effects stands first."""
    groups = _by_group(terms)
    keep = np.flatnonzero(used)
    order = keep[np.argsort(groups[0][0].given.codes[keep], kind="stable")]
    first = groups[0][0].given.codes[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(first)) + 1])
    codes = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
    slots: dict[int, Slot] = {}
    columns: list[NDArray[np.intp]] = []
    place = q = 0
    for own in groups:
        level, count = (codes, len(starts)) if own is groups[0] else (own[0].given.codes[order], own[0].levels)
        stride, within = sum(term.K for term in own), 0
        for term in own:
            slots[id(term)] = Slot(place + within, q, count, stride, within)
            within += term.K
        columns.append(q + level[:, None] * stride + np.arange(stride))
        place, q = place + stride, q + count * stride
    basis = np.hstack([term.basis[order] for own in groups for term in own])
    _check_memory(len(starts) * sum(term.K for term in groups[0]), q)
    return Layout(
        terms=tuple(terms),
        slots=tuple(slots[id(term)] for term in terms),
        order=order,
        K=sum(term.K for term in groups[0]),
        starts=starts,
        codes=codes,
        levels=first[starts],
        basis=np.ascontiguousarray(basis),
        columns=np.hstack(columns),
        q=q,
    )


def _check_memory(q1: int, q: int) -> None:
    """FitError where the border and the corner are too large."""
    need = 8.0 * SQUARES * (q - q1) * q
    if need > MEMORY:
        raise FitError(
            f"{q} random effects, {q - q1} of them outside the largest grouping factor, need about "
            f"{need / 1e9:.0f} GB of dense matrices here (limit {MEMORY / 1e9:.0f} GB); use fewer levels or terms, or "
            "backend='lme4', whose matrices are sparse"
        )


def _by_group(terms: Sequence[Term]) -> list[list[Term]]:
    found: dict[str, list[Term]] = {}
    for term in terms:
        found.setdefault(term.given.group, []).append(term)
    return sorted(found.values(), key=lambda own: -own[0].levels * sum(term.K for term in own))
