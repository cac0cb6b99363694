"""How well estimated maps find the true ones, over repetitions, by the incidence of lesions.

Per voxel over R repetitions: bias, mean squared error and probability of underestimation; per repetition: the
correlation with the truth in a bin of incidence, and the overlap of the strongest voxels (Kindalova, Kosmidis and
Nichols 2021, 2.2.3). Repetitions are added to sums one by one; none is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..family import Array

EDGES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0)  # of incidence
CRITICAL = 1.959963984540054  # two-sided 5 % of the normal distribution
Z_LIMIT, Z_CELLS = 8.0, 1600  # z statistics are counted in cells of 0.01, beyond 8 in the last


@dataclass(frozen=True, eq=False)
class Sums:
    """Running sums over repetitions at every voxel for every coefficient, (V, P)."""

    count: Array
    error: Array
    squared: Array
    below: Array  # estimates below the truth
    beyond: Array  # estimates with |z| above CRITICAL

    @staticmethod
    def empty(shape: tuple[int, int]) -> Sums:
        return Sums(*(np.zeros(shape) for _ in range(5)))

    def plus(self, estimate: Array, z: Array, truth: Array, use: NDArray[np.bool_]) -> Sums:
        """With one repetition's estimates (V, P), of which the voxels `use` (V,) count."""
        held = use[:, None] & np.isfinite(estimate)
        away = np.where(held, estimate - truth, 0.0)
        added = (held, away, away**2, away < 0, held & (np.abs(z) > CRITICAL))
        old = (self.count, self.error, self.squared, self.below, self.beyond)
        return Sums(*(total + new for total, new in zip(old, added, strict=True)))

    def rates(self) -> dict[str, Array]:
        """Per voxel and coefficient (V, P): bias, mse, underestimated and beyond; NaN where nothing was estimated."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return {
                "bias": self.error / self.count,
                "mse": self.squared / self.count,
                "underestimated": self.below / self.count,
                "beyond": self.beyond / self.count,
            }


@dataclass(frozen=True, eq=False)
class Target:
    """What estimates are measured by: coefficients (V, P), their z, bins of incidence, and how many strongest voxels.

    `bin` (V,) is the bin of each voxel, -1 for none. Where the truth does not vary there are no strongest voxels.
    """

    truth: Array
    z: Array
    incidence: Array  # (V,)
    edges: tuple[float, ...]
    largest: tuple[int, ...]

    @property
    def bin(self) -> NDArray[np.int64]:
        found = np.searchsorted(np.asarray(self.edges), self.incidence, side="left") - 1
        return np.where(found < len(self.edges) - 1, found, -1).astype(np.int64)

    @property
    def bins(self) -> list[NDArray[np.bool_]]:
        """The voxels of each bin, and of all bins."""
        number = self.bin
        return [*(number == k for k in range(len(self.edges) - 1)), number >= 0]

    @property
    def labels(self) -> list[str]:
        """The bins in words, "0.005-0.01", and all, "> 0.005"."""
        return [*(f"{low:g}-{high:g}" for low, high in pairwise(self.edges)), f"> {self.edges[0]:g}"]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """One method beside the truth: sums over repetitions, one correlation and overlap a repetition, and counts of z.

    `finite` adds the estimates at voxels where maximum likelihood is finite, `every` all that the method has.
    correlations: each (bins and all, P). overlaps: each (M, P). z: counts (bins and all, P, Z_CELLS) of `finite`.
    """

    target: Target
    names: tuple[str, ...]
    finite: Sums
    every: Sums
    z: Array
    correlations: tuple[Array, ...] = ()
    overlaps: tuple[Array, ...] = ()

    @staticmethod
    def empty(target: Target, names: Sequence[str]) -> Accuracy:
        V, P = target.truth.shape
        z = np.zeros((len(target.edges), P, Z_CELLS))
        return Accuracy(target, tuple(names), Sums.empty((V, P)), Sums.empty((V, P)), z)

    def plus(self, estimate: Array, z: Array, finite: NDArray[np.bool_]) -> Accuracy:
        """With one repetition's estimates and z statistics (V, P), NaN where there are none; finite: of ML, (V,)."""
        target, everywhere = self.target, np.ones(len(finite), dtype=bool)
        return replace(
            self,
            finite=self.finite.plus(estimate, z, target.truth, finite),
            every=self.every.plus(estimate, z, target.truth, everywhere),
            z=self.z + _counted(np.where(finite[:, None], z, np.nan), target.bins),
            correlations=(*self.correlations, _correlations(target, estimate, finite)),
            overlaps=(*self.overlaps, _overlaps(target, z)),
        )

    def to_frame(self, coefficient: str, estimates: str = "finite") -> pd.DataFrame:
        """One row a bin of incidence: voxels, bias, mse, underestimated, correlation, beyond (share of |z| > 1.96).

        Means over the bin's voxels of what each has over its repetitions; the correlation is the mean over repetitions.
        estimates: "finite", those where maximum likelihood is finite, or "every".
        """
        j = self.names.index(coefficient)
        rates = (self.finite if estimates == "finite" else self.every).rates()
        rows = []
        for k, (label, inside) in enumerate(zip(self.target.labels, self.target.bins, strict=True)):
            means = {name: _mean(values[inside, j]) for name, values in rates.items()}
            correlation = _mean(np.array([each[k, j] for each in self.correlations]))
            seen = int(np.isfinite(rates["bias"][inside, j]).sum())
            rows.append({"incidence": label, "voxels": seen, **means, "correlation": correlation})
        return pd.DataFrame(rows)

    def overlap(self, coefficient: str) -> Mapping[int, float]:
        """The mean overlap of the strongest voxels, by their number."""
        j = self.names.index(coefficient)
        return {m: _mean(np.array([each[k, j] for each in self.overlaps])) for k, m in enumerate(self.target.largest)}

    def quantiles(self, coefficient: str, bin: int, probabilities: Array) -> Array:
        """Quantiles of the z statistics in a bin, to a cell's width (0.01)."""
        counts = self.z[bin, self.names.index(coefficient)]
        cells = np.searchsorted(np.cumsum(counts) / max(counts.sum(), 1), probabilities)
        width = 2 * Z_LIMIT / Z_CELLS
        return np.asarray(-Z_LIMIT + (np.minimum(cells, Z_CELLS - 1) + 0.5) * width)


def overlap(a: Array, b: Array, largest: int) -> float:
    """Dice's coefficient of the `largest` voxels by |a| and by |b|; values that are missing are the smallest.

    >>> overlap(np.array([3.0, 1, 2, 0]), np.array([3.0, 2, 1, 0]), 2)
    0.5
    """
    return float(_strongest(a, largest)[_order(b)[:largest]].sum() / largest)


def _order(values: Array) -> NDArray[np.intp]:
    return np.argsort(-np.nan_to_num(np.abs(values)), kind="stable")


def _strongest(values: Array, largest: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(values), dtype=bool)
    chosen[_order(values)[:largest]] = True
    return chosen


def _overlaps(target: Target, z: Array) -> Array:
    """(M, P); NaN for a coefficient that is 0 everywhere, which has no strongest voxels."""
    found = np.full((len(target.largest), z.shape[1]), np.nan)
    for j in np.flatnonzero(target.z.any(axis=0)):
        found[:, j] = [overlap(target.z[:, j], z[:, j], m) for m in target.largest]
    return found


def _correlations(target: Target, estimate: Array, finite: NDArray[np.bool_]) -> Array:
    """Pearson's correlation of estimates and truth in each bin and in all, (bins + 1, P)."""
    found = np.full((len(target.edges), estimate.shape[1]), np.nan)
    for k, inside in enumerate(target.bins):
        for j in range(estimate.shape[1]):
            use = inside & finite & np.isfinite(estimate[:, j])
            a, b = estimate[use, j], target.truth[use, j]
            if len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0:
                found[k, j] = np.corrcoef(a, b)[0, 1]
    return found


def _counted(z: Array, bins: Sequence[NDArray[np.bool_]]) -> Array:
    """How many z statistics (V, P) lie in each cell, by bin, (bins, P, Z_CELLS); what is beyond in the outer ones."""
    known = np.isfinite(z)
    scaled = (np.where(known, z, 0.0) + Z_LIMIT) * (Z_CELLS / (2 * Z_LIMIT))
    cell = np.clip(scaled, 0, Z_CELLS - 1).astype(np.int64)
    return np.array(
        [[np.bincount(cell[inside & known[:, j], j], minlength=Z_CELLS) for j in range(z.shape[1])] for inside in bins],
        dtype=float,
    )


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
