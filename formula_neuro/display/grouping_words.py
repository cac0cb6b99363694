"""How grouping factors lie to one another, in words: nested, crossed or partly crossed."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..design import RandomTerm


def grouping_notes(random: tuple[RandomTerm, ...]) -> list[str]:
    """One sentence a pair of grouping factors; numbers 1, 2, ... that cross a factor might be counted anew in it."""
    factors = {term.group: term for term in random}
    return [
        relation(a.codes, b.codes, one, other) + _doubt(a, b)
        for (one, a), (other, b) in combinations(factors.items(), 2)
    ]


def _doubt(a: RandomTerm, b: RandomTerm) -> str:
    if len(np.unique(a.codes * len(b.levels) + b.codes)) < len(a.levels) * len(b.levels):
        return ""
    inner, outer = (a, b) if len(a.levels) <= len(b.levels) else (b, a)
    if set(inner.levels) != {str(k + 1) for k in range(len(inner.levels))}:
        return ""
    return f"; if {inner.group} is numbered anew in every {outer.group}, write (1 | {outer.group}/{inner.group})"


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
