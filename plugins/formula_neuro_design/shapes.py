"""Haemodynamic responses on a fine grid of seconds, one for each member of a family."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.hrf import HRF, DoubleGamma, HalfCosine, Range, Shapes

Knot: TypeAlias = float | Array  # one response, or one a column
UNDERSHOOTS = 6  # of its standard deviations after the undershoot, a double gamma is over: 2e-5 of the peak is left


@dataclass(frozen=True, eq=False)
class Kernels:
    """Responses h (L, m) at `start`, start + step, ... seconds after an event; 0 outside. `table` (m rows) says which.

    Between the points a response is a straight line.
    """

    start: float
    step: float
    h: Array
    table: pd.DataFrame

    @property
    def end(self) -> float:
        return self.start + self.step * (len(self.h) - 1)


def kernels(hrf: HRF) -> Kernels:
    """The family's responses. Raises DataError."""
    if isinstance(hrf, HalfCosine):
        return _half_cosines(hrf)
    return _double_gammas(hrf) if isinstance(hrf, DoubleGamma) else _own(hrf)


# ---- half-cosines --------------------------------------------------------------------------------
def half_cosine(t: Array, h1: Knot, h2: Knot, h3: Knot, h4: Knot, f: Knot) -> Array:
    """The response at t seconds: 0 until h1, up to 1 over h2, down to -f over h3, back to 0 over h4.

    >>> half_cosine(np.array([1.0, 6.0, 11.0, 17.0]), 1.0, 5.0, 5.0, 6.0, 0.3).round(12).tolist()
    [0.0, 1.0, -0.3, -0.0]
    """
    S2, S3, S4 = h1 + h2, h1 + h2 + h3, h1 + h2 + h3 + h4
    rise = np.cos(np.pi / 2 - np.pi * (t - h1) / (2 * h2))
    fall = np.cos((np.pi / 2 + np.arcsin(f)) / h3 * (S2 - t))
    back = -f * np.cos(np.pi * (t - S3) / (2 * h4))
    zero = np.zeros_like(rise)
    return np.select([t <= h1, t <= S2, t <= S3, t <= S4], [zero, rise, fall, back], 0.0)


def _half_cosines(hrf: HalfCosine) -> Kernels:
    rng = np.random.default_rng(hrf.seed)
    names = ["h1", "h2", "h3", "h4", "f"]
    low, high = np.array([getattr(hrf, name) for name in names], dtype=float).T
    drawn = rng.uniform(low, high, (hrf.n, 5))
    t = _grid(0.0, float(high[:4].sum()), hrf.step)
    h = half_cosine(t[:, None], *drawn.T)
    return Kernels(0.0, hrf.step, h, pd.DataFrame(drawn, columns=names))


# ---- double gammas -------------------------------------------------------------------------------
def double_gamma(
    t: Array, delay: float, undershoot: float, width: float, undershoot_width: float, ratio: float
) -> Array:
    """The difference of two gamma densities at t seconds after the event, as in SPM; not scaled.

    >>> t = np.arange(0, 32, 0.1)
    >>> round(float(t[double_gamma(t, 6, 16, 1, 1, 1 / 6).argmax()]), 1)
    5.0
    """
    from scipy.stats import gamma

    peak = gamma.pdf(t, delay / width, scale=width)
    return np.asarray(peak - ratio * gamma.pdf(t, undershoot / undershoot_width, scale=undershoot_width))


def _double_gammas(hrf: DoubleGamma) -> Kernels:
    latencies, widths = _values(hrf.latency, hrf.n), _values(hrf.dispersion, hrf.n)
    pairs = np.array(list(itertools.product(latencies, widths)))
    spread = max(np.sqrt(hrf.undershoot * hrf.undershoot_dispersion), np.sqrt(hrf.delay * widths.max()))
    t = _grid(float(latencies.min()), float(latencies.max() + hrf.undershoot + UNDERSHOOTS * spread), hrf.step)
    fine = _grid(0.0, hrf.delay + 10.0, 0.01)
    others = (hrf.undershoot_dispersion, hrf.ratio)
    peaks = {w: double_gamma(fine, hrf.delay, hrf.undershoot, w, *others).max() for w in widths}
    h = [double_gamma(t - latency, hrf.delay, hrf.undershoot, w, *others) / peaks[w] for latency, w in pairs]
    return Kernels(float(t[0]), hrf.step, np.column_stack(h), pd.DataFrame(pairs, columns=["latency", "dispersion"]))


def _values(given: float | Range, n: int) -> Array:
    return np.linspace(*given, n) if isinstance(given, (tuple, list)) else np.array([float(given)])


# ---- shapes of one's own -------------------------------------------------------------------------
def _own(hrf: Shapes) -> Kernels:
    t = _grid(0.0, hrf.length, hrf.step)
    found = []
    for name, shape in hrf.named.items():
        try:
            h = np.asarray(shape(t) if callable(shape) else shape, dtype=float)
        except (TypeError, ValueError) as error:
            raise DataError(f"the response {name} is no function of seconds and no array ({error})") from None
        if h.ndim != 1 or (callable(shape) and h.shape != t.shape):
            raise DataError(f"the response {name} has the shape {h.shape}; one value a time point is expected")
        if not np.isfinite(h).all() or not h.any():
            raise DataError(f"the response {name} has values that are missing or infinite, or none but 0")
        found.append(h)
    length = max(map(len, found))
    h = np.column_stack([np.pad(one, (0, length - len(one))) for one in found])
    return Kernels(0.0, hrf.step, h, pd.DataFrame({"response": list(hrf.named)}))


def _grid(start: float, end: float, step: float) -> Array:
    """start, start + step, ... until `end` is passed."""
    return np.asarray(start + step * np.arange(int(np.ceil((end - start) / step - 1e-9)) + 1), dtype=float)
