"""At which frequencies a series varies."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..dynamics.durations import milliseconds
from ..errors import DataError
from .series import as_series


def power_spectrum(
    ts: Any,
    dt: float | str,
    *,
    window: float | str = "1 s",
    maximum: float = 70.0,
    normalize: bool = False,
) -> pd.DataFrame:
    """Power by frequency (Hz) up to below `maximum`, by Welch's method, the mean over nodes of (time, node).

    dt: the time between samples, ms; window: of Welch's segments, half overlapping, Hann; power is in the series' units
    squared, or 1 at its largest (normalize). Raises DataError for a series shorter than the window.

    >>> import numpy as np
    >>> t = np.arange(0, 4000, 1.0)
    >>> s = power_spectrum(np.sin(2 * np.pi * 0.01 * t), dt=1.0)
    >>> s.loc[s["power"].idxmax()].round(3).tolist()
    [10.0, 0.5]
    """
    from scipy.signal import welch

    dt, length = milliseconds(dt, "dt"), milliseconds(window, "window")
    samples = int(length / dt)
    if samples < 2:
        raise DataError(f"the window of {length:g} ms has {samples} samples of {dt:g} ms")
    series = as_series(ts, samples=samples)
    frequency, power = welch(series, 1000 / dt, window="hann", nperseg=samples, scaling="spectrum", axis=0)
    below = frequency < maximum
    mean = power[below].mean(axis=1)
    if normalize and mean.max() > 0:
        mean = mean / mean.max()
    return pd.DataFrame({"frequency": frequency[below], "power": mean})
