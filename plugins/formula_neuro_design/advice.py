"""What a careful user would want to be told of a design."""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .blocks import Blocks
from .candidates import Candidates

MUCH = 0.1  # bias, as a share of the contrast


def advice(
    designs: Candidates, blocks: Blocks, contrast: str, fixed: list[str], free_contrast: bool, method: str, bias: Array
) -> tuple[str, ...]:
    """Sentences on nuisances read as signal, on tests, on bias and on the search."""
    told = []
    # with the contrast given as 0 at a fixed column, that column's amplitude cannot be read as signal
    read = [n for n in _one_sided(designs, blocks, contrast) if free_contrast or n not in fixed]
    if read:
        told.append(
            f"{', '.join(read)} has one sign in all designs and nothing keeps it out of the contrast, so the optimum "
            "reads it as signal; give snr as a list with both signs and a null design"
        )
    if not fixed:
        told.append("all columns are free, so under no effect t is not Student's; test by permutation")
    worst = float(np.abs(bias[blocks.family.l != 0]).max())
    if worst > MUCH:
        told.append(f"the bias reaches {worst:.1%} of the contrast; a smaller phi usually lowers it")
    if method == "paper":
        told.append('Algorithm 1 stops where its steps gain little; compare the objective of method="exact"')
    return tuple(told)


def _one_sided(designs: Candidates, blocks: Blocks, contrast: str) -> list[str]:
    """The other variables whose amplitude is never of both signs, and not always 0."""
    low, high = blocks.b.min(axis=0), blocks.b.max(axis=0)
    odd = (low != high) | (low != 0)
    odd &= ~((low < 0) & (high > 0))
    return [name for name, one in zip(designs.names, odd, strict=True) if one and name != contrast]
