"""How U = Z L(theta) moves with theta: dU_k = Z dL_k, row by row among the M effects that a row meets.

An element of an unstructured template moves one column of U; a parameter of a covariance structure may move them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from formula_neuro.family import Array

from .layout import Layout


class Moves(Protocol):
    """What the derivatives ask of dU_k (n, M), k = 1 ... cut."""

    def along(self, own: Array) -> Array:
        """(n, cut): dU_k times every row's own effects (n, M)."""

    def add(self, entries: Array, rows: Array) -> None:
        """Adds rows (n,) times dU_k to entries[:, :, k], entries (n, M, m)."""

    def across(self, rows: Array, own: Array) -> Array:
        """(cut, m): sums over rows (n,) times dU_k times effects (n, M, m)."""

    def twice(self, rows: Array, inverse: Array) -> Array:
        """(cut, cut): sums over rows (n,) times dU_k inverse dU_l', inverse (n, M, M)."""

    def outer(self, out: Array, rows: Array, U: Array) -> None:
        """Adds rows (n,) times dU_k'U + U'dU_k to out[..., k], out (n, M, M, m)."""

    def bends(self, of_L: Array) -> Array | float:
        """(cut, cut): what L's own second derivatives add, of_L (M, M) being the criterion's first in L."""


@dataclass(frozen=True, eq=False)
class ByElement:
    """Unstructured templates: dL_k is 1 at one element."""

    layout: Layout

    def along(self, own: Array) -> Array:
        out = np.empty((len(own), len(self.layout.elements)))
        for k, (i, j) in enumerate(self.layout.elements):
            out[:, k] = self.layout.basis[:, i] * own[:, j]
        return out

    def add(self, entries: Array, rows: Array) -> None:
        for k, (i, j) in enumerate(self.layout.elements):
            entries[:, j, k] += self.layout.basis[:, i] * rows

    def across(self, rows: Array, own: Array) -> Array:
        return np.array([(rows * self.layout.basis[:, i]) @ own[:, j] for i, j in self.layout.elements])

    def twice(self, rows: Array, inverse: Array) -> Array:
        elements, basis = self.layout.elements, self.layout.basis
        out = np.empty((len(elements), len(elements)))
        for k, (i, j) in enumerate(elements):
            for m, (i2, j2) in enumerate(elements[: k + 1]):
                out[k, m] = out[m, k] = float((rows * basis[:, i] * basis[:, i2]) @ inverse[:, j, j2])
        return out

    def outer(self, out: Array, rows: Array, U: Array) -> None:
        for k, (i, j) in enumerate(self.layout.elements):
            side = (rows * self.layout.basis[:, i])[:, None] * U
            out[:, j, :, k] += side
            out[:, :, j, k] += side

    def bends(self, of_L: Array) -> Array | float:
        return 0.0


@dataclass(frozen=True, eq=False)
class ByParameter:
    """Templates of covariance structures."""

    layout: Layout
    theta: Array

    @cached_property
    def _dU(self) -> Array:
        """(cut, n, M)."""
        return np.asarray(self.layout.basis @ self.layout.changes(self.theta))

    def along(self, own: Array) -> Array:
        return np.asarray((self._dU * own).sum(axis=2).T)

    def add(self, entries: Array, rows: Array) -> None:
        entries[:, :, : len(self._dU)] += (self._dU * rows[:, None]).transpose(1, 2, 0)

    def across(self, rows: Array, own: Array) -> Array:
        weighted = (self._dU * rows[:, None]).reshape(len(self._dU), -1)
        return np.asarray(weighted @ own.reshape(weighted.shape[1], -1))

    def twice(self, rows: Array, inverse: Array) -> Array:
        cut = len(self._dU)
        through = (inverse @ self._dU[..., None])[..., 0]
        return np.asarray((self._dU * rows[:, None]).reshape(cut, -1) @ through.reshape(cut, -1).T)

    def outer(self, out: Array, rows: Array, U: Array) -> None:
        for k, dU in enumerate(self._dU):
            side = (rows[:, None] * dU)[:, :, None] * U[:, None, :]
            out[..., k] += side + side.transpose(0, 2, 1)

    def bends(self, of_L: Array) -> Array | float:
        out = np.zeros((len(self._dU), len(self._dU)))
        for term, slot in zip(self.layout.terms, self.layout.slots, strict=True):
            if term.structure is not None:
                own = slice(slot.place, slot.place + term.K)
                twice = term.structure.bends(self.theta[term.theta])
                out[term.theta, term.theta] = np.einsum("klij,ij->kl", twice, of_L[own, own])
        return out


def moves_of(layout: Layout, theta: Array) -> Moves:
    return ByParameter(layout, theta) if layout.structured else ByElement(layout)
