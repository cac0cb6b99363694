"""Whether chains have met, and what their draws are worth: split R-hat and effective sample sizes."""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array


def rhat(x: Array) -> Array:
    """Split R-hat (k,) of traces x (chains, draws, k) (Gelman et al. 2013, 11.4).

    >>> rhat(np.random.default_rng(1).standard_normal((4, 500, 1))).round(2).tolist()
    [1.0]
    """
    half = x.shape[1] // 2
    parts = np.concatenate([x[:, :half], x[:, -half:]])
    within, between = parts.var(axis=1, ddof=1).mean(axis=0), parts.mean(axis=1).var(axis=0, ddof=1)
    return np.asarray(np.sqrt((half - 1) / half + between / within))


def effective_size(x: Array) -> Array:
    """Effective sample sizes (k,) of traces x (chains, draws, k), by Geyer's initial monotone sequence.

    >>> effective_size(np.random.default_rng(1).standard_normal((4, 500, 1))).round(-3).tolist()
    [2000.0]
    """
    chains, n, k = x.shape
    size = 2 ** int(np.ceil(np.log2(2 * n)))
    spectrum = np.abs(np.fft.rfft(x - x.mean(axis=1, keepdims=True), size, axis=1)) ** 2
    covariance = np.fft.irfft(spectrum, size, axis=1)[:, :n].mean(axis=0) / n  # (n, k)
    within = covariance[0] * n / (n - 1)
    between = x.mean(axis=1).var(axis=0, ddof=1) if chains > 1 else np.zeros(k)
    total = within * (n - 1) / n + between
    correlation = 1 - (within - covariance * n / (n - 1)) / total
    correlation[0] = 1.0
    pairs = correlation[: n // 2 * 2].reshape(n // 2, 2, k).sum(axis=1)
    pairs = np.where(np.minimum.accumulate(pairs > 0, axis=0), np.minimum.accumulate(pairs, axis=0), 0.0)
    return np.asarray(chains * n / np.maximum(2 * pairs.sum(axis=0) - 1, 1 / np.log10(chains * n)))
