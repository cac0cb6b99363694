"""pCREB after ketamine (example 1)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .cells import scattered

# For each treatment: cells and mean of every mouse; the means are drawn so that REML finds the published estimates.
MICE = {
    "1": ((56, 1.5269), (46, 1.2737), (53, 1.1914), (49, 0.8808), (52, 1.4867), (50, -0.0134), (51, 0.6571)),
    "2": ((52, 1.1572), (52, 1.5243), (53, 1.7099), (49, 1.5114), (53, 2.6094), (50, 2.4084)),
    "3": ((46, 1.8273), (47, 1.7411), (46, 1.9625)),
    "4": ((55, 1.0143), (45, 1.9659), (50, 0.594)),
    "5": ((53, 1.1159), (45, 0.5517), (54, 0.0081), (44, 0.8784), (49, 0.8504)),
}
SPREAD = {"1": 0.4202, "2": 0.7954, "3": 0.8174, "4": 0.5333, "5": 0.3902}  # among the cells of one mouse


def pcreb() -> pd.DataFrame:
    """1200 SIMULATED cells of 24 mice: res (pCREB), treatment_idx ("1" baseline to "5"), midx (mouse, 1 to 24).

    Treatments are a day, two days, three days and a week after ketamine; every mouse has one of them. Numbers of
    mice and of cells, and the estimates of res ~ treatment_idx + (1|midx) by REML, are those published: 1.0007,
    .8194, .8429, .1898, -.3200, with standard deviations .513 between mice and .600 within. The cells of the
    treatments scatter very differently, as the real ones do.

    >>> cells = pcreb()
    >>> len(cells), cells["midx"].nunique(), cells["treatment_idx"].value_counts(sort=False).tolist()
    (1200, 24, [357, 309, 139, 150, 245])
    """
    rows = [(treatment, n, mean) for treatment, mice in MICE.items() for n, mean in mice]
    counts = np.array([n for _, n, _ in rows], dtype=float)
    means = np.array([mean for _, _, mean in rows])
    treatment = np.repeat([t for t, _, _ in rows], counts.astype(int))
    cells = pd.DataFrame(
        {
            "res": scattered(counts, means, np.array([SPREAD[t] for t, _, _ in rows]), seed=1).round(4),
            "treatment_idx": pd.Categorical(treatment, list(MICE)),
            "midx": np.repeat(np.arange(1, len(rows) + 1), counts.astype(int)),
        }
    )
    cells.attrs["note"] = "SIMULATED pCREB of cells, tuned to a published fit; no real mice"
    return cells
