"""One design's rows, prepared once for all voxels: the estimable columns, orthonormalised, and what scales them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import ML, Estimator
from formula_neuro.family import Array, Family
from formula_neuro.kernels.rank import GLM_TOLERANCE, TOLERANCE, orthonormal_basis


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of positive weight: the estimable columns X (n, r) = Q R with Q'Q = n I, weights and offset (n,)."""

    used: NDArray[np.intp]
    kept: NDArray[np.intp]
    columns: int
    X: Array
    Q: Array
    R: Array
    w: Array
    offset: Array
    family: Family
    how: Estimator

    @classmethod
    def of(cls, X: Array, w: Array, offset: Array, family: Family, how: Estimator) -> Rows:
        """The table GLM's rank rules: R's of glm() for maximum likelihood, of brglm2 for the others."""
        used = np.flatnonzero(w > 0)
        basis = orthonormal_basis(X[used], GLM_TOLERANCE if isinstance(how, ML) else TOLERANCE)
        scale = np.sqrt(max(len(used), 1))
        return cls(
            used,
            basis.kept,
            X.shape[1],
            X[np.ix_(used, basis.kept)],
            basis.Q * scale,
            basis.R / scale,
            w[used],
            offset[used],
            family,
            how,
        )

    @property
    def rank(self) -> int:
        return len(self.kept)
