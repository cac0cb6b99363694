"""Calcium events of cells measured at several times: in few mice (example 2), and twice (example 3)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .cells import scattered

TIMES = ("1", "2", "3", "4")  # 24 h, 48 h, 72 h and a week after ketamine
CELLS = ((81, 254, 88, 43), (206, 101, 210, 222), (33, 18, 51, 207), (63, 52, 58, 37))  # of mouse 1 to 4, published
# of mouse 1 to 4: the means nearest to a common time course that give both published fits
MEANS = (
    (0.57697, 0.58816, 0.5946, 0.6049),
    (0.7706, 0.68178, 0.77822, 0.80852),
    (0.76195, 0.81313, 0.75957, 0.75987),
    (0.68549, 0.72668, 0.69311, 0.71341),
)
WITHIN = 0.2322  # standard deviation of the cells of one mouse at one time


def calcium_frequency() -> pd.DataFrame:
    """1724 SIMULATED cells of 4 mice: res (event frequency), treatment_idx ("1" 24 h to "4" a week), midx.

    The numbers of cells are the published ones: mouse 2 has 43 % of them. So are the estimates of the pooled
    res ~ treatment_idx (.7149, -.0780, .0091, .0497), which are wrong, and of res ~ treatment_idx + (1|midx)
    (.6998, -.0175, .0094, .0294).

    >>> cells = calcium_frequency()
    >>> pd.crosstab(cells["midx"], cells["treatment_idx"]).to_numpy().tolist() == [list(row) for row in CELLS]
    True
    """
    counts = np.array(CELLS).ravel()
    mouse, time = (index.ravel() for index in np.indices((len(CELLS), len(TIMES))))
    res = scattered(counts.astype(float), np.array(MEANS).ravel(), np.full(len(counts), WITHIN), seed=2)
    cells = pd.DataFrame(
        {
            "res": res.round(4),
            "treatment_idx": pd.Categorical(np.repeat(np.array(TIMES)[time], counts), TIMES),
            "midx": np.repeat(mouse + 1, counts),
        }
    )
    cells.attrs["note"] = "SIMULATED calcium event frequencies, tuned to two published fits; no real mice"
    return cells


PAIRED = (104, 31, 88, 47, 62, 25, 71, 39, 83, 20, 52)  # cells of mouse 1 to 11, 622 in all
EFFECT = 0.339  # of treatment, among all 622 pairs
SEED = 3


def calcium_amplitude() -> pd.DataFrame:
    """622 SIMULATED cells of 11 mice, each measured twice: res, treatment ("1" before, "2" 24 h after), midx, cidx.

    res is the integrated amplitude of calcium events; 12 values are missing. The cells of one mouse resemble one
    another, and a cell resembles itself: pooled, treatment has p = .0036; with random intercepts of mice and cells,
    (1|midx/cidx), p = .0001, as published. After treatment the cells scatter more.

    >>> rows = calcium_amplitude()
    >>> len(rows), rows["cidx"].nunique(), rows["midx"].nunique(), int(rows["res"].isna().sum())
    (1244, 622, 11, 12)
    """
    rng = np.random.Generator(np.random.PCG64(SEED))
    mouse = np.repeat(np.arange(len(PAIRED)), PAIRED)
    n = len(mouse)
    common = 0.55 * rng.standard_normal(len(PAIRED))[mouse] + 1.25 * rng.standard_normal(n)
    before, after = 1.15 * rng.standard_normal(n), 1.75 * rng.standard_normal(n)
    shift = EFFECT - (after.mean() - before.mean())
    res = np.column_stack([7.0 + common + before, 7.0 + common + after + shift]).ravel().round(4)
    res[rng.choice(2 * n, size=12, replace=False)] = np.nan
    rows = pd.DataFrame(
        {
            "res": res,
            "treatment": pd.Categorical(np.tile(["1", "2"], n), ["1", "2"]),
            "midx": np.repeat(mouse + 1, 2),
            "cidx": np.repeat(np.arange(1, n + 1), 2),
        }
    )
    rows.attrs["note"] = "SIMULATED calcium event amplitudes, tuned to published p values; no real mice"
    return rows
