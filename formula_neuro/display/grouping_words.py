"""How grouping factors lie to one another, in words: nested, crossed or partly crossed."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..design import RandomTerm


def grouping_notes(random: tuple[RandomTerm, ...]) -> list[str]:
    """One sentence a pair of grouping factors."""
    factors = {term.group: term for term in random}
    return [relation(a.codes, b.codes, one, other) for (one, a), (other, b) in combinations(factors.items(), 2)]


def relation(a: NDArray[np.intp], b: NDArray[np.intp], one: str = "a", other: str = "b") -> str:
    """How two factors, given as codes (n,), lie to one another.

    >>> relation(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]), "batch", "cask")
    'cask is nested in batch'
    >>> relation(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), "plate", "sample")
    'plate and sample are crossed'
    """
    met = np.unique(np.stack([a, b], axis=1), axis=0)
    n_a, n_b = len(np.unique(a)), len(np.unique(b))
    if len(met) == n_a == n_b:
        return f"{one} and {other} are the same grouping"
    if len(met) == n_b:
        return f"{other} is nested in {one}"
    if len(met) == n_a:
        return f"{one} is nested in {other}"
    if len(met) == n_a * n_b:
        return f"{one} and {other} are crossed"
    return f"{one} and {other} are partly crossed ({len(met)} of {n_a * n_b} combinations occur)"
