"""What a careful user would want to be told of a design."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from formula_neuro.family import Array

from .blocks import Blocks
from .candidates import Candidates
from .measures import Measures
from .sentences import percent

MUCH = 0.1  # bias, as a share of the contrast
DEAR = 4.0  # times the Gauss-Markov variance: twice the standard error
COLLINEAR = 20.0  # times the variance of a column that stands alone: .95 of it is held by the others


def advice(
    designs: Candidates,
    blocks: Blocks,
    W: Array,
    fixed: Sequence[str],
    free_contrast: bool,
    seen: Measures,
    allowed: float = MUCH,
) -> tuple[str, ...]:
    """Sentences on nuisances read as signal, on tests, on bias and variance, and on nearly collinear columns.

    allowed: the bias that was asked for, about which nothing is said.
    """
    told = []
    # with the contrast given as 0 at a fixed column, that column's amplitude cannot be read as signal
    others = [name for name, own in zip(designs.names, W.T, strict=True) if not own.any()]
    open_ = [name for name in others if free_contrast or name not in fixed]
    read = [name for name in open_ if name in _one_sided(designs, blocks)]
    if read:
        told.append(
            f"{', '.join(read)} has one sign in all designs and nothing keeps it out of the contrast, so the optimum "
            "reads it as signal; give snr as a list with both signs and a null design, or name it in nuisance="
        )
    told += _one_proportion(designs, blocks, W, () if free_contrast else fixed)
    truth = np.atleast_2d(blocks.family.by_design(blocks.family.l**2)) > 0
    if truth.all(axis=1).any() and not read and (open_ or not (fixed or len(designs.nuisance.columns))):
        told.append(
            "no design is without the contrast, so what the estimate is under no effect was not asked for; a null "
            "design is an entry of snr with the amplitude 0"
        )
    if not fixed and not len(designs.nuisance.columns):
        told.append("all columns are free, so under no effect t is not Student's; test by permutation")
    if blocks.known is not blocks.family:
        told.append(
            "amplitudes of either sign (nuisance=) count in the objective and the biases, and leak is what they add to "
            "the estimate, as a standard deviation in units of the noise; power and simulated runs have them at 0"
        )
    told += _collinear(designs, blocks, W)
    worst = float(np.abs(np.atleast_2d(seen.bias)[truth]).max())
    if worst > allowed * (1 + 1e-3):
        told.append(f"the bias reaches {percent(worst)} of the contrast; a smaller phi usually lowers it, or max_bias=")
    price = 1 + float(np.nanmedian(np.atleast_2d(seen.variance_change)[truth]))
    if price > DEAR:
        told.append(
            f"the variance is {price:.3g} times what an analysis that knew the response would have (the median over "
            "designs); a larger phi or max_bias, or fewer and more similar designs, lower it"
        )
    return tuple(told)


def of_columns(rule: str, table: pd.DataFrame, p: int) -> tuple[str, ...]:
    """What is told of a number of columns that was searched."""
    first, last = int(table["columns"].min()), int(table["columns"].max())
    told = [f"{p} columns, nuisance counted, were chosen of {first} to {last} (columns={rule!r})"]
    if p == last and last > first:
        told.append(f"{p} columns are the most that were tried; more may do better")
    return tuple(told)


def _one_sided(designs: Candidates, blocks: Blocks) -> list[str]:
    """The variables whose amplitude is never of both signs, and not always 0."""
    low, high = blocks.b.min(axis=0), blocks.b.max(axis=0)
    odd = (low != high) | (low != 0)
    odd &= ~((low < 0) & (high > 0))
    return [name for name, one in zip(designs.names, odd, strict=True) if one]


def _one_proportion(designs: Candidates, blocks: Blocks, W: Array, fixed: Sequence[str]) -> list[str]:
    """The first contrast of variables that no design has in another proportion, so that parts may stand for the sum."""
    if blocks.known is not blocks.family:
        return []
    for row in W:
        own = [i for i, name in enumerate(designs.names) if row[i] and name not in fixed]
        if len(own) > 1 and np.linalg.matrix_rank(blocks.b[:, own]) < len(own):
            return [
                f"{', '.join(designs.names[i] for i in own)} have no other proportion in any design, so the estimate "
                "is right for that one only; give snr as a list in which each is also alone, or fix their columns"
            ]
    return []


def _collinear(designs: Candidates, blocks: Blocks, W: Array) -> list[str]:
    """The design whose own fit has the largest variance, as a multiple of that of a column that stands alone."""
    if (W != 0).sum() != 1:
        return []
    spread = ((blocks.signal - blocks.signal.mean(axis=0)) ** 2).sum(axis=0)
    times = blocks.g * spread / (W[0] @ W[0]) ** 2  # both have the contrast's weight, squared
    worst = int(times.argmax())
    if times[worst] < COLLINEAR:
        return []
    return [
        f"in design {worst + 1} the contrast's column is nearly collinear with the others: even a fit of the truth has "
        f"{times[worst]:.0f} times the variance of that column alone"
    ]
