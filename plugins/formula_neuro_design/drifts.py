"""Slow drifts of the signal as columns: discrete cosines, as SPM and nilearn have them, and a constant."""

from __future__ import annotations

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .events import Run


def cosines(run: Run, period: float) -> dict[str, Array]:
    """The cosines of periods down to `period` seconds, of length 1, and a constant, by name, each (n,).

    Raises DataError. The columns are those of nilearn.

    >>> list(cosines(Run(tr=2.0, volumes=100), 128))
    ['drift_1', 'drift_2', 'drift_3', 'constant']
    """
    n = run.volumes
    if not np.isfinite(period) or period <= 2 * run.tr:
        raise DataError(
            f"cosine({period:g}): the shortest period in seconds is expected, above 2 tr = {2 * run.tr:g} s"
        )
    order = int(np.floor(2 * run.length / period + 1e-9))
    at = np.pi / n * (np.arange(n) + 0.5)
    drifts = {f"drift_{k}": np.sqrt(2 / n) * np.cos(k * at) for k in range(1, order + 1)}
    return {**drifts, "constant": np.ones(n)}
