"""What all engines answer alike: maps of coefficients, and their variances in every voxel."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from formula_neuro.family import Array

from .gram import Gram
from .variance import variance


class OnSplines(ABC):
    """Maps on a basis of P splines in V voxels, with coefficients b (C, P) whose covariances are known."""

    @property
    @abstractmethod
    def gram(self) -> Gram: ...

    @property
    @abstractmethod
    def b(self) -> Array: ...

    @abstractmethod
    def covariance(self, r: Array, s: Array, kind: str) -> Array:
        """Of the coefficients r b and s b, (P, P); r, s (C,)."""

    def expand(self, coefficients: Array) -> Array:
        """X times coefficients (m, P): (m, V)."""
        return self.gram.basis.expand(np.asarray(coefficients, dtype=np.float64))

    def project(self, values: Array) -> Array:
        """X' values (m, V): (m, P)."""
        return self.gram.basis.project(np.asarray(values, dtype=np.float64))

    def spread(self, C: Array) -> Array:
        """x_v'C x_v in every voxel, (V,), of C (P, P)."""
        return self.gram.spread(C)

    def variance(self, R: Array, kind: str, what: str = "intensity") -> Array:
        """Covariances of the maps R b, R (k, C), in every voxel: (V, k, k)."""
        return variance(self, R, kind, what)
