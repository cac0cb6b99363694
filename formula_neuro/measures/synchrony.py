"""How much oscillating nodes are in phase."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..errors import DataError
from ..family import Array
from .series import as_series


def kuramoto(ts: Any, *, smoothing: float = 0.0, distance: int = 10, prominence: float = 5.0) -> Array:
    """Kuramoto's order parameter at each time, |mean over nodes of e^(i phase)|: 1 in phase, about 0 without order.

    Phases of a series (time, node) rise by 2 pi from peak to peak. smoothing: a Gaussian's sd, distance: the least
    between peaks, both in samples; prominence: the least height of a peak over its surroundings, in the series' units
    (5 suits rates in Hz). All NaN, with a warning, where a node has no peak. Raises DataError.
    """
    series = as_series(ts)
    if distance < 1 or smoothing < 0:
        raise DataError(f"distance={distance}, smoothing={smoothing}; 1 or more and 0 or more are expected")
    phases = [_phase(x, smoothing, distance, prominence) for x in series.T]
    silent = [i for i, phase in enumerate(phases) if phase is None]
    if silent:
        warnings.warn(
            f"{len(silent)} of {series.shape[1]} nodes have no peak of prominence {prominence:g}, so no phase: the "
            "order parameter is NaN",
            stacklevel=2,
        )
        return np.full(len(series), np.nan)
    total = np.exp(1j * np.array([phase for phase in phases if phase is not None]))
    return np.abs(total.mean(axis=0))


def _phase(x: Array, smoothing: float, distance: int, prominence: float) -> Array | None:
    """Phases (time,); the first cycle begins with the series and the last ends with it."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    smooth = gaussian_filter1d(x, smoothing) if smoothing > 0 else x
    peaks = find_peaks(smooth, distance=distance, prominence=prominence)[0]
    if not len(peaks):
        return None
    knots = np.concatenate([[0], peaks, [len(x) - 1]])
    t = np.arange(len(x))
    cycle = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
    phase: Array = 2 * np.pi * (t - knots[cycle]) / (knots[cycle + 1] - knots[cycle])
    return phase
