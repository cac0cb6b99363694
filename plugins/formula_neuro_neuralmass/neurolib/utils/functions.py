"""fn.measures with neurolib's names and its order of axes, (node, time)."""

from __future__ import annotations

from typing import Any

import numpy as np

from formula_neuro import measures
from formula_neuro.family import Array

matrix_correlation = measures.matrix_correlation
matrix_kolmogorov = measures.matrix_kolmogorov
weighted_correlation = measures.weighted_correlation


def fc(ts: Any) -> Array:
    """Correlations between the nodes of (N, time); NaN, with a warning, where a node is constant."""
    return measures.fc(np.transpose(ts))


def fcd(ts: Any, windowsize: int = 30, stepsize: int = 5) -> Array:
    """Functional connectivity dynamics of (N, time) as neurolib defines it."""
    return measures.fcd(np.transpose(ts), windowsize, stepsize, definition="neurolib")


def ts_kolmogorov(ts1: Any, ts2: Any, windowsize: int = 30, stepsize: int = 5) -> float:
    """Kolmogorov and Smirnov's distance between the dynamics of two series (N, time)."""
    return measures.ts_kolmogorov(np.transpose(ts1), np.transpose(ts2), windowsize, stepsize, definition="neurolib")


def kuramoto(traces: Any, smoothing: float = 0.0, distance: int = 10, prominence: float = 5) -> Array:
    """Kuramoto's order parameter (time,) of (N, time)."""
    return measures.kuramoto(np.transpose(traces), smoothing=smoothing, distance=distance, prominence=prominence)


def getPowerSpectrum(
    activity: Any, dt: float, maxfr: float = 70, spectrum_windowsize: float = 1.0, normalize: bool = False
) -> tuple[Array, Array]:
    """Frequencies (Hz) and power of one series; dt in ms, the window in s."""
    return getMeanPowerSpectrum(np.reshape(activity, (1, -1)), dt, maxfr, spectrum_windowsize, normalize)


def getMeanPowerSpectrum(
    activities: Any, dt: float, maxfr: float = 70, spectrum_windowsize: float = 1.0, normalize: bool = False
) -> tuple[Array, Array]:
    """Frequencies (Hz) and the mean over nodes of the power of (N, time)."""
    found = measures.power_spectrum(
        np.transpose(activities), dt, window=1000 * spectrum_windowsize, maximum=maxfr, normalize=normalize
    )
    return found["frequency"].to_numpy(), found["power"].to_numpy()
