"""What the voxels of a linear mixed model share: rows scaled by the roots of their weights, X made orthonormal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import DataError
from formula_neuro.estimator import REML
from formula_neuro.family import Array
from formula_neuro.kernels.rank import Basis, orthonormal_basis
from formula_neuro.maps.request import MapRequest


@dataclass(frozen=True, eq=False)
class Rows:
    """n rows of weight above 0, whose columns of X have rank r."""

    used: NDArray[np.intp] | None  # None: all
    root: Array | None  # (n, 1) of the weights; None: all 1
    offset: Array | None  # (n, 1); None: all 0
    basis: Basis
    n: int
    reml: bool
    constant: float  # of the criterion: log-determinants of the weights and of X's scale

    @classmethod
    def of(cls, request: MapRequest) -> Rows:
        design, weights = request.design, request.weights
        used = np.flatnonzero(weights > 0)
        root, offset = np.sqrt(weights[used])[:, None], design.offset[used][:, None]
        basis = orthonormal_basis(design.matrix[used] * root)
        n, reml = len(used), isinstance(request.estimator, REML)
        if basis.rank >= n:
            raise DataError(f"{n} rows cannot carry {basis.rank} fixed coefficients and random effects; drop columns")
        constant = -2 * float(np.log(root).sum())
        constant += 2 * float(np.log(np.abs(np.diag(basis.R))).sum()) if reml else 0.0
        return cls(
            None if n == len(weights) else used,
            None if (root == 1).all() else root,
            offset if offset.any() else None,
            basis,
            n,
            reml,
            constant,
        )

    @property
    def df(self) -> int:
        """What sigma^2 is divided by."""
        return self.n - self.basis.rank if self.reml else self.n

    def taken(self, Y: NDArray[np.generic]) -> NDArray[np.generic]:
        """The columns of Y (C, all rows) that count."""
        return Y if self.used is None else Y[:, self.used]
