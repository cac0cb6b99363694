"""The exact distribution of the (restricted) likelihood-ratio test of one variance (Crainiceanu & Ruppert 2004).

With mu_s the K eigenvalues of Z'(I - X(X'X)^-1X')Z, xi_s those of Z'Z, w_s and the chi-squared independent:

    RLRT = sup_lam { (n-p) log(1 + N/D) - sum log(1 + lam mu_s) },   LRT with n and log(1 + lam xi_s)
    N = sum lam mu_s w_s^2 / (1 + lam mu_s),   D = sum w_s^2 / (1 + lam mu_s) + chi2_{n-p-K}
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...family import Array

GRID = 300  # values of lam: the supremum over them is below the true one by about 1e-4 of it
BLOCK = 2000  # draws at a time: a few MB


def spectrum(X: Array, Z: Array) -> tuple[Array, Array]:
    """mu and xi, (K,) each, of X (n, p) and Z (n, K), both scaled by the roots of the weights."""
    Q = np.linalg.qr(X)[0]
    ZZ, QZ = Z.T @ Z, Q.T @ Z
    return _cleared(np.linalg.eigvalsh(ZZ - QZ.T @ QZ)), _cleared(np.linalg.eigvalsh(ZZ))


def _cleared(values: NDArray[Any]) -> Array:
    """Without the rounding below 0 and near it."""
    return np.where(values > 1e-10 * values.max(), values, 0.0).astype(np.float64)


def simulated(mu: Array, xi: Array, n: int, p: int, reml: bool, draws: int, rng: np.random.Generator) -> Array:
    """Draws (draws,) of the statistic where the variance is 0.

    >>> balanced = np.full(11, 5.0)
    >>> T = simulated(balanced, balanced, n=60, p=1, reml=True, draws=4000, rng=np.random.default_rng(1))
    >>> bool(0.5 < (T == 0).mean() < 0.65)  # more than one half in small samples
    True
    """
    mu, xi = np.sort(mu[mu > 0]), xi[xi > 0]
    sizes, counts = np.unique(np.round(mu, 10), return_counts=True)  # equal eigenvalues share a chi-squared
    lam = np.concatenate([[0.0], np.geomspace(1e-5, 1e5, GRID) / sizes.mean()])
    shrink = 1 / (1 + np.outer(sizes, lam))  # (S, grid)
    penalty = np.log1p(np.outer(lam, mu if reml else xi)).sum(axis=1)
    m = n - p if reml else n
    out = np.empty(draws)
    for start in range(0, draws, BLOCK):
        stop = min(start + BLOCK, draws)
        w2 = rng.chisquare(counts, size=(stop - start, len(counts)))
        rest = rng.chisquare(n - p - len(mu), size=(stop - start, 1)) if n - p > len(mu) else 0.0
        below = w2 @ shrink + rest  # D; N + D is the same for every lam
        heights = m * np.log((w2.sum(axis=1, keepdims=True) + rest) / below) - penalty
        out[start:stop] = np.maximum(heights.max(axis=1), 0.0)
    return out


def p_value(statistic: float, null: Array) -> tuple[float, float]:
    """p = P(null >= statistic), counting the observation as one draw, and its Monte-Carlo error."""
    p = (1 + int((null >= statistic - 1e-9).sum())) / (1 + len(null))
    return p, float(np.sqrt(p * (1 - p) / len(null)))
