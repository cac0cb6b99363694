"""How well estimated maps find the true ones, over repetitions, by the incidence of lesions.

Per voxel over R repetitions: bias, mean squared error and probability of underestimation, of the estimates that are
finite by maximum likelihood; per repetition: the correlation with the truth and the overlap of the strongest voxels
(Kindalova, Kosmidis and Nichols 2021, section 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..family import Array

EDGES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0)  # of incidence


@dataclass(frozen=True, eq=False)
class Sums:
    """Running sums at every voxel of the reference, (V,): repetitions are added one by one and not kept."""

    count: Array
    error: Array
    squared: Array
    below: Array
    beyond: Array  # repetitions with |z| > 1.96

    @staticmethod
    def empty(voxels: int) -> Sums:
        return Sums(*(np.zeros(voxels) for _ in range(5)))

    def plus(self, at: NDArray[np.intp], estimate: Array, z: Array, truth: Array, use: NDArray[np.bool_]) -> Sums:
        """With one repetition's estimates at the voxels `at`, of which `use` count."""
        at, away = at[use], estimate[use] - truth[use]
        added = [np.ones(len(at)), away, away**2, 1.0 * (away < 0), 1.0 * (np.abs(z[use]) > 1.96)]
        old = (self.count, self.error, self.squared, self.below, self.beyond)
        return Sums(*(_added(total, at, new) for total, new in zip(old, added, strict=True)))


def _added(total: Array, at: NDArray[np.intp], new: NDArray[np.floating]) -> Array:
    result = total.copy()
    result[at] += new
    return result


@dataclass(frozen=True, eq=False)
class Accuracy:
    """One method's sums, with one correlation and one overlap a repetition."""

    sums: Sums
    correlations: tuple[float, ...] = ()
    overlaps: tuple[dict[int, float], ...] = field(default_factory=tuple)

    def table(self, incidence: Array, edges: Sequence[float] = EDGES) -> pd.DataFrame:
        """One row a bin of incidence: voxels, bias, mse, underestimated (share), false_positive (share of |z| > 1.96).

        Means over the voxels of the bin of what each has over its repetitions.
        """
        rows = []
        s = self.sums
        with np.errstate(invalid="ignore", divide="ignore"):
            each = {
                "bias": s.error / s.count,
                "mse": s.squared / s.count,
                "underestimated": s.below / s.count,
                "beyond_1.96": s.beyond / s.count,
            }
        for low, high in pairwise(edges):
            inside = (incidence > low) & (incidence <= high) & (s.count > 0)
            means = {name: float(values[inside].mean()) if inside.any() else np.nan for name, values in each.items()}
            rows.append({"incidence": f"{low:g}-{high:g}", "voxels": int(inside.sum()), **means})
        return pd.DataFrame(rows)


def overlap(a: Array, b: Array, largest: int) -> float:
    """Dice's coefficient of the `largest` voxels by |a| and by |b|; values that are missing are the smallest.

    >>> overlap(np.array([3.0, 1, 2, 0]), np.array([3.0, 2, 1, 0]), 2)
    0.5
    """
    top = [set(np.argsort(-np.nan_to_num(np.abs(values)), kind="stable")[:largest].tolist()) for values in (a, b)]
    return len(top[0] & top[1]) / largest
