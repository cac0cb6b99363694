"""Stationary Gaussian random fields on a grid, exact: the squared exponential covariance is a product over the axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..family import Array


@dataclass(frozen=True, eq=False)
class Field:
    """A field of mean 0 and variance 1 with C(h) = exp(-|h|^2 / (2 ell^2)).

    `roots` are symmetric square roots of the covariances along the three axes: with C = C1 (x) C2 (x) C3 the field is
    (A1 (x) A2 (x) A3) z of independent normal z, three matrix products.
    """

    roots: tuple[Array, Array, Array]

    @property
    def shape(self) -> tuple[int, int, int]:
        a, b, c = (len(root) for root in self.roots)
        return a, b, c

    def of(self, z: Array) -> Array:
        """The field that independent standard normal numbers z (i, j, k) make."""
        first, second, third = self.roots
        i, j, k = self.shape
        z = (z.reshape(i * j, k) @ third).reshape(i, j, k)
        z = np.matmul(second, z)
        return np.asarray((first @ z.reshape(i, j * k)).reshape(i, j, k))

    def draw(self, rng: np.random.Generator) -> Array:
        """One field, (i, j, k)."""
        return self.of(rng.standard_normal(self.shape))


def gaussian_field(shape: Sequence[int], ell: float, spacing: Sequence[float] = (1.0, 1.0, 1.0)) -> Field:
    """The field on a grid; `ell` and `spacing` in the same unit, voxels or mm.

    R's RandomFields calls s in exp(-h^2 / s^2) the scale of RMgauss: ell is s / sqrt(2).

    >>> field = gaussian_field((8, 6, 4), ell=1.5)
    >>> covariance = field.roots[0] @ field.roots[0]
    >>> covariance[0, :3].round(3).tolist()
    [1.0, 0.801, 0.411]
    """
    if not ell > 0:
        raise ValueError(f"ell is the length scale of the field, above 0; got {ell!r}")
    made = [_root(int(n), float(h) / ell) for n, h in zip(shape, spacing, strict=True)]
    return Field((made[0], made[1], made[2]))


def _root(n: int, step: float) -> Array:
    """The symmetric square root of exp(-(i - j)^2 step^2 / 2), (n, n); what rounding made negative is 0."""
    distance = (np.arange(n)[:, None] - np.arange(n)) * step
    values, vectors = np.linalg.eigh(np.exp(-(distance**2) / 2))
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
