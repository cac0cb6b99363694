"""Averages over bins, for pictures of responses that are hard to see one by one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..family import Array


@dataclass(frozen=True, eq=False)
class Binned:
    """Bins of about equal weight: mean position, mean value and total weight, each (b,)."""

    x: Array
    mean: Array
    weight: Array


def binned(x: Array, values: Array, weights: Array, bins: int) -> Binned:
    """Weighted means of the values in at most `bins` bins along x (n,), of about equal weight; equal x never part.

    >>> b = binned(np.array([1., 1, 2, 2]), np.array([0., 1, 1, 1]), np.ones(4), 2)
    >>> b.x.tolist(), b.mean.tolist()
    ([1.0, 2.0], [0.5, 1.0])
    """
    distinct, inverse = np.unique(x, return_inverse=True)
    shares = np.cumsum(np.bincount(inverse, weights)) / weights.sum()
    # A hair below, so that a bin that is exactly full does not spill into the next.
    place = np.clip((shares - 1e-9) * bins, 0, bins - 1).astype(int)[inverse]
    place = inverse if len(distinct) <= bins else place
    total: Array = np.bincount(place, weights, bins).astype(float)
    kept = total > 0
    mean, centre = (np.bincount(place, weights * v, bins)[kept] / total[kept] for v in (values, x))
    return Binned(centre, mean, total[kept])


def wilson(share: Array, n: Array, z: float = 1.96) -> tuple[Array, Array]:
    """Wilson's 95 % limits of a share of n trials; they stay within 0 and 1, and around the share.

    >>> low, high = wilson(np.array([0.0]), np.array([10.0]))
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (0.0, 0.278)
    """
    scale = 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / scale
    half = z / scale * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # rounding would put the limits of 0 of n a hair above 0
    return np.clip(centre - half, 0.0, share), np.clip(centre + half, share, 1.0)
