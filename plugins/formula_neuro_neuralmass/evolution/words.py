"""An evolution in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from .answer import Evolution

SHOWN = 5  # individuals


def words(evolution: Evolution) -> str:
    """What was searched, the last population's parameters, the best individuals, and the messages."""
    h, names = evolution.history, list(evolution.plan.names)
    left = evolution.population
    fitness = list(left.filter(regex=r"^f\d+$"))
    directions = ", ".join(
        f"f{k} {'minimised' if w < 0 else 'maximised'}{'' if abs(w) == 1 else f' (weight {w:g})'}"
        for k, w in enumerate(evolution.weights)
    )
    lines = [
        f"Evolution by {evolution.plan.method}: {len(h)} individuals in {h.generations} generations, {directions}; "
        f"seed {evolution.seed}, {evolution.seconds:.2g} s",
        "",
        f"The {len(left)} individuals of the last population:",
    ]
    if len(left):
        spread = left[[*names, *fitness]].agg(["mean", "std", "min", "max"]).T
        several = evolution.plan.method == "nsga2" and len(fitness) > 1
        first = "Of the first front:" if several else "Best:"
        lines += [
            _table(spread),
            "",
            first,
            _table(left[["id", "generation", *names, *fitness]].head(SHOWN), index=False),
        ]
    return "\n".join([*lines, *(f"\nNote: {message}" for message in evolution.messages)])


def _table(table: pd.DataFrame, index: bool = True) -> str:
    return table.to_string(index=index, float_format=lambda v: f"{v:.4g}" if np.isfinite(v) else "-")
