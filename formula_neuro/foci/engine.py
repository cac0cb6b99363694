"""What inference asks of a fitted meta-regression; the backend's engine answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from ..family import Array

if TYPE_CHECKING:
    from .fit import FociFit
    from .request import FociRequest

KINDS = ("fisher", "observed", "robust")  # covariances; "robust": sandwich, scores summed over studies


class Engine(Protocol):
    """Rows R (k, C) combine maps; voxels are the V of the request's brain.

    b (C, P) are the coefficients of the maps, gamma (q,) those of the global columns, X (V, P) the basis.
    """

    @property
    def b(self) -> Array: ...

    @property
    def gamma(self) -> Array: ...

    def expand(self, coefficients: Array) -> Array:
        """X times coefficients (m, P): (m, V)."""

    def project(self, values: Array) -> Array:
        """X' values (m, V): (m, P)."""

    def spread(self, C: Array) -> Array:
        """x_v'C x_v in every voxel, (V,), of C (P, P)."""

    def variance(self, R: Array, kind: str, what: str = "intensity") -> Array:
        """Covariances of the k maps R b in every voxel, (V, k, k).

        what: "intensity" of x_v'R b; "shape" of log pi = x_v'R b - log sum_v exp(x_v'R b), each row by itself a cell.
        """

    def moderator_covariance(self, kind: str) -> Array:
        """Of gamma, (q, q)."""

    def scores(self, by: NDArray[np.intp] | None = None) -> Array:
        """Sums of scores over the analyses of every study, (K, C P + q): maps first, row by row, gamma last.

        by: numbers (M,) 0..K-1 of other sums, a row each, instead of the studies.
        """

    def solve(self, right: Array, kind: str = "fisher") -> Array:
        """(information or penalised information)^-1 times right (C P + q, m); kind: "fisher" or "observed"."""

    def refit(self, request: FociRequest) -> FociFit:
        """Another model of the same foci, as permutation tests and bootstraps need."""

    def simulate(self, rng: np.random.Generator) -> FociRequest:
        """The request with foci drawn from the fit, at voxel centres; Unable where the family is no distribution."""
