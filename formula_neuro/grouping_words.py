"""How grouping factors lie to one another, in words: nested, crossed or partly crossed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .design import RandomTerm

FEW = 5  # with fewer levels a variance is little more than a guess (Bolker et al. 2009, Trends Ecol Evol 24:127)


def grouping_notes(random: tuple[RandomTerm, ...], said: Sequence[str] = ()) -> list[str]:
    """One sentence a pair of grouping factors, and one for each factor with few levels that is not `said` already."""
    factors = {term.group: term for term in random}
    notes = [f"{relation(a.codes, b.codes, one, other)}" for (one, a), (other, b) in combinations(factors.items(), 2)]
    for name, term in factors.items():
        if len(term.levels) < FEW and not any(text.startswith(f"{name} has") for text in said):
            notes.append(
                f"{name} has {len(term.levels)} levels: a variance between fewer than {FEW} is poorly known; "
                f"{name} as a fixed effect may serve better"
            )
    return notes


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
