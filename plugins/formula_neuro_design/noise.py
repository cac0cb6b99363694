"""Noise that is not white: designs are whitened, solved as under white noise, and handed back as they were."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .constraints import Constraints
from .family import Family


@dataclass(frozen=True, eq=False)
class Noise:
    """Noise of n scans with the covariance `root` `root`' (root (n, n) lower triangular), in units of its variance."""

    root: Array

    def whiten(self, x: Array) -> Array:
        """root^-1 x of columns (n, k): their noise is white."""
        return np.asarray(linalg.solve_triangular(self.root, x, lower=True))

    def colour(self, x: Array) -> Array:
        """The columns (n, k) that whiten() makes x."""
        return np.asarray(self.root @ x)

    def family(self, family: Family) -> Family:
        return replace(family, v=self.whiten(family.v))

    def constraints(self, constraints: Constraints) -> Constraints:
        return replace(constraints, B=self.whiten(constraints.B))

    def variance(self, a: Array) -> float:
        """The variance of a'y; |a|^2, which an analysis without whitening reports, is that under white noise."""
        return float(((self.root.T @ a) ** 2).sum())


def ar1(n: int, rho: float) -> Noise:
    """First-order autoregressive noise of n scans whose neighbours correlate by rho, with variance 1.

    Raises DataError for rho outside (-1, 1).

    >>> (ar1(3, 0.5).root @ ar1(3, 0.5).root.T).round(12).tolist()
    [[1.0, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 1.0]]
    """
    if not -1 < rho < 1:
        raise DataError(f"the autocorrelation of neighbouring scans is {rho}; between -1 and 1 is expected")
    lag = np.subtract.outer(np.arange(n), np.arange(n))
    root = np.where(lag >= 0, float(rho) ** np.maximum(lag, 0), 0.0)
    root[:, 1:] *= np.sqrt(1 - rho**2)
    return Noise(root)


def covariance(V: Array, n: int) -> Noise:
    """Noise of the covariance V (n, n), in units of the variance that snr means. Raises DataError."""
    if V.shape != (n, n):
        raise DataError(f"the noise's covariance has the shape {V.shape}; {n} by {n} is expected, a row a scan")
    if not np.isfinite(V).all() or not np.allclose(V, V.T, rtol=1e-9, atol=0):
        raise DataError("the noise's covariance is not symmetric, or has values that are missing or infinite")
    try:
        return Noise(np.asarray(np.linalg.cholesky(V), dtype=float))
    except np.linalg.LinAlgError:
        least = np.linalg.eigvalsh(V)[0]
        raise DataError(
            f"the noise's covariance has the eigenvalue {least:g}; all above 0 are expected: a combination of scans "
            "without noise is no data"
        ) from None
