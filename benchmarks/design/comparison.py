"""Optimal designs of events beside the usual analyses, over sequences of events: bias, error and power.

A run of 200 scans of 2 s with 25 events of one second; a constant and cosines down to 128 s are nuisance. The prior is
200 half-cosine responses, the truth 400 fresh ones. Rivals are rescaled to be unbiased on average. Prints two tables in
Markdown, for amplitudes of .6 and 2 standard deviations of the noise: medians over the sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import formula_neuro as fn

SEQUENCES = 5
CHOICES: dict[str, dict[str, Any]] = {
    "phi = .5": {"phi": 0.5, "columns": 2},
    "phi = .1": {"phi": 0.1, "columns": 3},
    "phi = .01": {"phi": 0.01, "columns": 3},
    "phi = .1, minimax": {"phi": 0.1, "columns": 3, "weights": "minimax"},
    "bias at most .3": {"max_bias": 0.3, "columns": 3},
}
SHOWN = ["rms_bias", "max_bias", "sd_ratio", "rmse", "mean_power", "min_power"]


def events(seed: int) -> pd.DataFrame:
    gaps = np.random.default_rng(seed).uniform(8, 21, 25)
    return pd.DataFrame({"onset": 375 * np.cumsum(gaps) / gaps.sum(), "duration": 1.0, "trial_type": "go"})


def designs(seed: int, snr: float) -> tuple[list[Any], Any]:
    """The optimal designs for one sequence, and the answer whose family is the truth."""
    call: dict[str, Any] = {"contrast": "go", "snr": snr, "tr": 2.0, "volumes": 200}
    formula, table = "~ hrf(trial_type) + cosine(128)", events(seed)
    prior, fresh = fn.HalfCosine(n=200, seed=2 * seed + 1), fn.HalfCosine(n=400, seed=2 * seed + 2)
    found = [fn.optimize_design(formula, table, hrf=prior, **choice, **call) for choice in CHOICES.values()]
    return found, fn.optimize_design(formula, table, hrf=fresh, phi=0.5, columns=2, **call)


def scores(seed: int, snr: float) -> pd.DataFrame:
    """All analyses of one sequence."""
    found, truth = designs(seed, snr)
    tables = [one.compare(truth).to_frame() for one in found]
    own = pd.concat([one.iloc[[-1]] for one in tables])
    own["analysis"] = [f"optimal, {name}" for name in CHOICES]
    return pd.concat([tables[0].iloc[:-1], own]).set_index("analysis")


def main() -> None:
    for snr in (0.6, 2.0):
        parts = pd.concat([scores(seed, snr) for seed in range(SEQUENCES)])
        grouped = parts.groupby(level=0, sort=False)
        table = grouped[SHOWN].median().assign(columns=grouped["columns"].first())
        print(f"\namplitude {snr:g}, medians over {SEQUENCES} sequences of events\n")
        print(f"| analysis | columns | {' | '.join(SHOWN)} |\n|---|{'---|' * (len(SHOWN) + 1)}")
        for name, row in table.iterrows():
            cells = ["-" if np.isnan(row[one]) else f"{row[one]:.3f}" for one in SHOWN]
            print(f"| {name} | {int(row['columns'])} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
