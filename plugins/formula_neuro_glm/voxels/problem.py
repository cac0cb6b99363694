"""One generalized linear model for every voxel: prepared once for a design, then asked block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import Estimator
from formula_neuro.family import Array, Family
from formula_neuro.kernels.device import as_device

from .answer import Answer, answer
from .design import Rows
from .estimate import Block, estimate
from .least_squares import least_squares
from .packed import Packed
from .patterns import distinct


@dataclass(frozen=True, eq=False)
class Problem:
    """What all blocks share; small enough to be pickled to other processes."""

    packed: Packed
    device: str | None = None

    @property
    def rows(self) -> Rows:
        return self.packed.rows

    @classmethod
    def of(
        cls,
        X: Array,
        family: Family,
        estimator: Estimator,
        *,
        weights: Array | None = None,
        offset: Array | None = None,
        device: str | None = None,
    ) -> Problem:
        """The problem of a design X (N, P) with prior weights and offset (N,), 1 and 0 where None."""
        as_device(device)
        n = len(X)
        w = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
        o = np.zeros(n) if offset is None else np.asarray(offset, dtype=float)
        return cls(Packed(Rows.of(np.asarray(X, dtype=float), w, o, family, estimator)), device)

    def fit(self, Y: NDArray[Any]) -> Answer:
        """The answer for voxels' responses Y (C, N): 0 and 1 as uint8, or numbers.

        Every array has the voxels as its first axis: coef, se, covariance (packed lower triangle, row by row), loglik,
        deviance, iterations, converged, class (0 overlap, 1 quasi-complete, 2 complete separation, 3 all 0, 4 all 1,
        5 undefined), separated (0, the sign of an infinite coefficient, or 2 where the data leave that sign open), and
        sigma of a gaussian model.

        >>> from formula_neuro.estimator import ML, MeanBR
        >>> from formula_neuro.family import as_family
        >>> X, Y = np.array([[1.0, -2], [1, -1], [1, 1], [1, 2]]), np.array([[0, 0, 1, 1], [0, 1, 0, 1]], np.uint8)
        >>> Problem.of(X, as_family("binomial"), ML()).fit(Y)["coef"].round(2).tolist()
        [[nan, inf], [0.0, 0.42]]
        >>> Problem.of(X, as_family("binomial"), MeanBR()).fit(Y)["coef"].round(2).tolist()
        [[0.0, 1.0], [0.0, 0.26]]
        """
        rows = self.rows
        Y = Y if len(rows.used) == Y.shape[1] else Y[:, rows.used]
        if rows.family.name == "gaussian":
            return least_squares(rows, Y, self.device)
        first, place = distinct(Y)
        found = answer(rows, estimate(Block(self.packed, Y[first], self.device)), Y[first])
        return {name: values[place] for name, values in found.items()}
