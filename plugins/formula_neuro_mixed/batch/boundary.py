"""Minima over templates whose best value may be singular, for many replicates at once: boundary.settle in a batch.

theta, the first elements of every point, is the lower triangle of one K x K template.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array
from formula_neuro.kernels.templates import positions

from .newton import Minima, Which

WEAK = 2.0  # of the deviance: what a variance is worth that may have two minima
FIRST = 0.1  # of the way from 0 to the minimum found
SINGULAR = 1e-4  # of the largest standard deviation (at least the residual's)

Search = Callable[[Array, Which], Minima]
Value = Callable[[Array, Which], Array]


@dataclass(frozen=True)
class Template:
    """The K x K template that theta fills, for stacks (A, K, K) of it."""

    K: int

    @property
    def size(self) -> int:
        return self.K * (self.K + 1) // 2

    @property
    def elements(self) -> list[tuple[int, int]]:
        """Row and column of each element of theta."""
        return [(int(i), int(j)) for i, j in zip(*positions(self.K), strict=True)]

    def of(self, point: Array) -> Array:
        """(A, K, K) of points (A, m)."""
        L = np.zeros((len(point), self.K, self.K))
        L[:, *positions(self.K)] = point[:, : self.size]
        return L

    def filled(self, point: Array, F: Array) -> Array:
        """Points with the lower-triangular factor of F F', no diagonal negative and dust removed, as theta."""
        L = np.linalg.qr(F.transpose(0, 2, 1))[1].transpose(0, 2, 1)
        L = L * np.where(np.diagonal(L, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None, :]
        L = np.where(np.abs(L) < 1e-12 * np.sqrt((L**2).sum(axis=2, keepdims=True)), 0.0, L)
        out = point.copy()
        out[:, : self.size] = L[:, *positions(self.K)]
        return out


def settle_many(search: Search, value: Value, template: Template, start: Array, which: Which) -> Minima:
    """The minimum of each replicate from its start (A, m), with directions of hardly any variance at 0 exactly.

    A direction at 0 may be a lower minimum, where the way from there to the one found does not lead down. And where the
    minimum found is on the boundary there may be a lower one inside: it is sought from the identity.
    """
    found = search(start, which)
    found = replace(found, point=template.filled(found.point, template.of(found.point)))  # no diagonal negative
    for k in range(template.K):
        left, values, small = _directions(template, found.point)
        keep = np.arange(template.K) != k
        point = template.filled(found.point, left * np.where(keep, values, 0.0)[:, None, :])
        asked = ~small[:, k] & np.isfinite(found.value)
        if asked.any():
            at_0 = value(point[asked], which[asked])
            near = value((point + FIRST * (found.point - point))[asked], which[asked])
            asked[asked] = (at_0 < found.value[asked] + WEAK) & (at_0 <= near)
        found = _better(found, search, point, which, asked, -1e-9)
    identity = template.filled(found.point, np.tile(np.eye(template.K), (len(start), 1, 1)))
    found = _better(found, search, identity, which, singular(template, found.point), -1e-9)
    left, values, small = _directions(template, found.point)
    flat = template.filled(found.point, left * np.where(small, 0.0, values)[:, None, :])
    asked = small.any(axis=1) & (flat != found.point).any(axis=1) & np.isfinite(found.value)
    return _better(found, search, flat, which, asked, 1e-9)


def singular(template: Template, point: Array) -> NDArray[np.bool_]:
    """Which points (A, m) have a direction of hardly any variance, (A,)."""
    return np.asarray(_directions(template, point)[2].any(axis=1))


def _directions(template: Template, point: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Left singular vectors and values of the templates, and which values count as 0."""
    left, values, _ = np.linalg.svd(template.of(point))
    return left, values, values < SINGULAR * np.maximum(1.0, values[:, :1])


def _better(
    found: Minima, search: Search, point: Array, which: Which, asked: NDArray[np.bool_], margin: float
) -> Minima:
    """The minima with those replaced that a search from `point` leaves no higher than `margin` above (relative)."""
    if not asked.any():
        return found
    place = np.flatnonzero(asked)
    other = search(point[place], which[place])
    room = margin * np.maximum(1.0, np.abs(found.value[place]))
    won = other.converged & (other.value < found.value[place] + room)
    out = Minima(found.point.copy(), found.value.copy(), found.converged.copy())
    out.point[place[won]], out.value[place[won]], out.converged[place[won]] = (
        other.point[won],
        other.value[won],
        other.converged[won],
    )
    return out
