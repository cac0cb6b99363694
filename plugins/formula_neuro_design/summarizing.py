"""The text that an optimal design shows of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from formula_neuro.display.shown import Summary

from .sentences import percent

if TYPE_CHECKING:
    from .answer import OptimalDesign

VERBS = ".design, .contrast, .power(), .compare(), .pareto(), .columns(), .plot(), .report(path), .to_fsl(stem)"


def summary(d: OptimalDesign) -> Summary:
    """The objective, the contrast, the bias and the measures' ranges by block, the notes, and what to ask next."""
    if len(d.labels) > 1:
        return Summary("\n\n".join(f"{label}: {summary(d.of(label))}" for label in d.labels))
    n, p = d.design.shape
    fixed = d.constraints.A.shape[1]
    lines = [
        f"Design of {n} scans and {p} columns ({p - fixed} found, {fixed} given)",
        f"for {len(d.bias)} designs of {d.formula}",
        f"objective {d.objective:.6f} (sum over designs), {d.iterations} steps",
        f"contrast  {_contrast(d)}",
        f"bias      {_bias(d)}",
        "",
        block_ranges(d).to_string(index=False),
        *(f"\nNote: {message}" for message in d.messages),
        f"\nNext: {VERBS}",
    ]
    return Summary("\n".join(lines))


def block_ranges(d: OptimalDesign) -> pd.DataFrame:
    """A row a block: how many designs it has, and the ranges of the three measures, as texts of three digits."""
    numbers = d.table["block"].to_numpy()
    measures = {"bias": d.bias, "variance change": d.variance_change, "variance bias": d.variance_bias}
    rows = []
    for block in np.unique(numbers):
        own = numbers == block
        spans = {name: f"{_short(x[own].min())} to {_short(x[own].max())}" for name, x in measures.items()}
        rows.append({"block": int(block), "designs": int(own.sum()), **spans})
    return pd.DataFrame(rows)


def _contrast(d: OptimalDesign) -> str:
    named = [(str(name), float(value)) for name, value in zip(d.design.columns, d.contrast, strict=True)]
    shown = [f"{name}: {value:.4g}" for name, value in named if value]
    return ", ".join([*shown, *(["0 elsewhere"] if len(shown) < len(named) else [])])


def _bias(d: OptimalDesign) -> str:
    some = d.family.l != 0
    rms = np.sqrt(np.average(d.bias[some] ** 2, weights=d.family.w[some]))
    return f"{percent(rms)} of the truth (root mean square over designs), {percent(np.abs(d.bias[some]).max())} at most"


def _short(value: float) -> str:
    """Three digits; rounding about 0 is 0."""
    return f"{round(float(value), 12) + 0.0:.3g}"
