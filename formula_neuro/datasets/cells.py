"""Rows that have exactly the means that they shall have, so that a stand-in gives the published fits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def scattered(counts: Array, means: Array, sds: Array, seed: int) -> Array:
    """(sum of counts,) normal values, in blocks of exactly the given means and (n - 1) standard deviations.

    >>> y = scattered(np.array([3, 5]), np.array([1.0, 2.0]), np.array([0.5, 0.5]), seed=1)
    >>> round(float(y[:3].mean()), 9), round(float(y[3:].std(ddof=1)), 9)
    (1.0, 0.5)
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    blocks = []
    for n, mean, sd in zip(counts, means, sds, strict=True):
        z = rng.standard_normal(int(n))
        z -= z.mean()
        blocks.append(mean + sd * z / z.std(ddof=1))
    return np.concatenate(blocks)
