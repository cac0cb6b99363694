"""What is computed of simulated and recorded series: connectivity, its dynamics, distances, synchrony and spectra.

Series are arrays (time, node), as n["x"] and n.bold of a simulation are.
"""

from __future__ import annotations

from .connectivity import fc, fcd, fisher_z, matrix_correlation, matrix_kolmogorov, ts_kolmogorov, weighted_correlation
from .spectrum import power_spectrum
from .synchrony import kuramoto

__all__ = [
    "fc",
    "fcd",
    "fisher_z",
    "kuramoto",
    "matrix_correlation",
    "matrix_kolmogorov",
    "power_spectrum",
    "ts_kolmogorov",
    "weighted_correlation",
]


def __dir__() -> list[str]:
    return sorted(__all__)
