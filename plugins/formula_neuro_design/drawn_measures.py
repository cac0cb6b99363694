"""Pictures of what a design does to each of the true ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from formula_neuro.display.plot import CYCLE, GREY, Picture
from formula_neuro.family import Array

from .t_statistic import Rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .answer import OptimalDesign

PERCENT = 100.0


def bias(d: OptimalDesign) -> Picture:
    """C_b of each design."""
    return Picture(
        "Bias",
        "What is expected of the estimate beyond the true contrast, as a share of it; below 0 it is too small.",
        lambda axes: _curves(axes, d, PERCENT * np.where(d.family.l != 0, d.bias, np.nan), "bias, %"),
        kind="bias",
    )


def variance(d: OptimalDesign) -> Picture:
    """CV of each design."""
    return Picture(
        "Variance",
        "How much larger the estimated variance is expected to be than in the fit of the true design itself. Below 0 "
        "is possible, since a biased estimate may vary less.",
        lambda axes: _curves(axes, d, PERCENT * d.variance_change, "change of variance, %"),
        kind="variance",
    )


def misfit(d: OptimalDesign) -> Picture:
    """V_b of each design."""
    return Picture(
        "Misfit",
        "What the response leaves unfitted adds so much to the estimated variance of the noise.",
        lambda axes: _curves(axes, d, PERCENT * d.variance_bias, "misfit, % of the noise"),
        kind="misfit",
    )


def places(d: OptimalDesign) -> tuple[Array, str]:
    """Where designs stand on a horizontal axis (m,), and its label."""
    table, some = d.table, d.family.l != 0
    known = {"shift, scans": "shift", "latency, s": "latency"}
    found = {label: table[name] for label, name in known.items() if name in table and table[name].nunique() > 1}
    if {"h1", "h2"} <= set(table.columns):
        found["peak of the response, s"] = table["h1"] + table["h2"]
    for label, values in found.items():
        if values[some].notna().all():  # blocks may have families of their own
            return values.to_numpy(dtype=float), label
    return np.asarray(d.table.groupby("block").cumcount(), dtype=float) + 1, "design"


def first_block(d: OptimalDesign) -> Rows:
    """Row numbers of the designs of the first block that has an effect."""
    numbers, some = d.table["block"].to_numpy(), d.family.l != 0
    return np.flatnonzero(some & (numbers == numbers[some][0]))


def _curves(axes: Axes, d: OptimalDesign, values: Array, label: str) -> None:
    """A curve for each block, blocks of the same values as one."""
    x, name = places(d)
    axes.axhline(0, color=GREY, lw=0.8)
    for i, (blocks, own) in enumerate(_unlike(d, values)):
        order = own[np.argsort(x[own], kind="stable")]
        label_of = f"block{'s' if len(blocks) > 1 else ''} {', '.join(map(str, blocks))}"
        axes.plot(x[order], values[order], color=CYCLE[i % len(CYCLE)], label=label_of, **look(x[own], name))
    if len(np.unique(d.table["block"])) > 1:
        axes.legend(loc="best")
    axes.set_xlabel(name)
    axes.set_ylabel(label)


def look(x: Array, name: str) -> dict[str, Any]:
    """Lines where designs are ordered along x, points where they are drawn at random or stand alone."""
    ordered = name.startswith(("shift", "latency")) and 1 < len(x) == len(np.unique(x))
    return {"lw": 1.6} if ordered else {"ls": "none", "marker": "o", "ms": 3.5}


def _unlike(d: OptimalDesign, values: Array) -> list[tuple[list[int], Rows]]:
    """Blocks whose values are the same, and the designs of the first of them that have a value."""
    numbers = d.table["block"].to_numpy()
    found: list[tuple[list[int], Rows]] = []
    for block in np.unique(numbers):
        own = np.flatnonzero((numbers == block) & np.isfinite(values))
        if not len(own):
            continue
        for blocks, like in found:
            if len(like) == len(own) and np.allclose(values[like], values[own], rtol=1e-6, atol=1e-9):
                blocks.append(int(block))
                break
        else:
            found.append(([int(block)], own))
    return found
