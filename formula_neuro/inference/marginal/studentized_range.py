"""The upper tail of the studentized range, which Tukey's comparisons need (many times, to find critical values)."""

from __future__ import annotations

import numpy as np
from scipy import special

from ...family import Array

LEFT = 8.5  # standard normals beyond which nothing is left
NEGLIGIBLE = 42.0  # of a logarithm


def range_tail(q: float, k: float, df: float) -> float:
    """P(Q > q) for the range of k independent normals over an independent s with `df`; k may be fractional.

    Given s it is k times the integral of phi(z) [Phi(z)^(k-1) - (Phi(z) - Phi(z - qs))^(k-1)], z the largest. Both
    integrals are by the trapezoidal rule, z as it is and s by its logarithm: analytic and decaying, so right to about
    1e-12.

    >>> round(range_tail(3.5, 3, 20.0), 6)  # 1 - ptukey(3.5, 3, 20)
    0.055892
    """
    if q <= 0:
        return 1.0
    if np.isinf(df):
        return float(_normal(np.array([q]), k)[0])
    # t = log s has the density exp(-df f(t)), f = (exp(2t) - 1) / 2 - t, at least t^2 on the right
    room = NEGLIGIBLE / df
    high = min(np.sqrt(room), max(0.7, 0.5 * np.log1p(4 * room)))
    t = np.arange(-np.sqrt(2 * room) - room, high, min(1 / np.sqrt(2 * df), 0.5) / 3)
    log_density = df * (t - np.exp(2 * t) / 2)
    w = np.exp(log_density - log_density.max())
    kept = w > 1e-18
    w, t = w[kept], t[kept]
    return float(w @ _normal(q * np.exp(t), k) / w.sum())


def _normal(q: Array, k: float) -> Array:
    """The tail (m,) of the range of k normals."""
    z = np.linspace(-LEFT, LEFT, 205)
    below, step = special.ndtr(z), z[1] - z[0]
    share = special.ndtr(z - q[:, None]) / below
    lost = -np.expm1((k - 1) * np.log1p(-np.minimum(share, 1 - 1e-16)))
    weights = k * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * below ** (k - 1) * step
    return np.asarray(lost @ weights)
