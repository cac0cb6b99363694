"""The drug infusion of the paper on optimal designs: a slow ramp at many delays beside a drift."""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array
from formula_neuro_design.family import Family

SCANS, ONSET, LONG = 598, 116, 168


def infusion(n: int = SCANS, delays: int = 50, phi: float = 0.5) -> tuple[Family, Array]:
    """The family of the paper's Validation A, or a shorter one alike, and its fixed columns (n, 2)."""
    scans, onset, long = np.arange(n), round(n * ONSET / SCANS), round(n * LONG / SCANS)
    late = np.stack([np.clip((scans - onset - i) / long, 0, 1) * (scans >= i) for i in range(delays)], axis=1)
    late, drift = late - late.mean(axis=0), scans / n - np.mean(scans / n)
    family = Family(late + 0.5 * drift[:, None], np.ones(delays), np.full(delays, phi), np.ones(delays))
    return family, np.column_stack([late[:, 0], drift])
