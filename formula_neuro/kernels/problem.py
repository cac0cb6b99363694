"""The data of a generalized linear model's scoring, and what it makes small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..family import Array, Family


@dataclass(frozen=True, eq=False)
class Problem:
    """X (n, r) of full rank, y, w > 0 and offset (n,): what stays the same over the iterations."""

    X: Array
    y: Array
    w: Array
    offset: Array
    family: Family

    def eta(self, b: Array) -> Array:
        return np.asarray(self.X @ b + self.offset)

    def objective(self, eta: Array) -> float:
        """The deviance to a constant; infinite where eta leaves the family's range."""
        if not self.family.inside(eta).all():
            return np.inf
        with np.errstate(over="ignore"):
            value = self.family.objective(self.y, self.family.link.inverse(eta), self.w)
        return value if np.isfinite(value) else np.inf
