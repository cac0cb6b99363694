"""Totals of analyses in two groups of studies, drawn with a seed: what tests of levels and moderators stand on."""

from __future__ import annotations

import numpy as np

from formula_neuro_cbmr.totals import Totals, frailty_units

NAMES = ("a", "b", "x", "year")


def table(seed: int, studies: int = 60, alpha: float = 0.8, each: int = 2) -> dict[str, np.ndarray]:
    """Columns t, group, x, year, offset and study; studies have 1 to `each` analyses that share a gamma frailty."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), rng.integers(1, each + 1, studies))
    M = len(study)
    group, x = rng.integers(0, 2, studies)[study], rng.normal(size=M)
    year = rng.integers(1998, 2024, studies)[study].astype(float)
    offset = rng.choice([0.0, 0.3], M)
    frailty = rng.gamma(1 / alpha, alpha, studies)[study] if alpha else np.ones(M)
    t = rng.poisson(frailty * np.exp(2 + 0.3 * group + 0.2 * x + offset)).astype(float)
    return {"t": t, "group": group, "x": x, "year": year, "offset": offset, "study": study}


def totals(d: dict[str, np.ndarray], shared: bool = False) -> Totals:
    Z = np.column_stack([d["x"], d["year"]])
    return Totals(d["t"], d["group"], Z, d["offset"], d["study"], frailty_units(d["group"], d["study"], shared), NAMES)
