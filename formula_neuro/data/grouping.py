"""Grouping factors: levels and codes of what stands right of a bar, in lme4's order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .values import Categorical, Value, as_factor

Codes = NDArray[np.intp]
Keys = tuple[tuple[str, ...], ...]


def cross(factors: Sequence[Categorical], name: str) -> tuple[Codes, Keys]:
    """Codes (n,) of the observed combinations, sorted by the first factor's levels, then the next; and their levels.

    Raises DataError when one level only is left.
    """
    codes, columns = factors[0].codes, [np.arange(len(factors[0].levels))]
    for factor in factors[1:]:  # numbered anew each time: the product of many levels would not fit an integer
        found, codes = np.unique(codes * len(factor.levels) + factor.codes, return_inverse=True)
        before, own = np.divmod(found, len(factor.levels))
        columns = [*(column[before] for column in columns), own]
    if len(columns[0]) < 2:
        raise DataError(
            f"{name}: the grouping factor has one level only in the rows used, but a variance between groups needs "
            "two or more (five or more to be worth estimating); leave the random term out"
        )
    named = [[factor.levels[i] for i in column] for factor, column in zip(factors, columns, strict=True)]
    return codes.astype(np.intp), tuple(zip(*named, strict=True))


def codes_of(keys: Keys, values: Sequence[Value]) -> Codes:
    """The place of each row's combination among `keys`; -1 where training has not seen it or a part is missing."""
    factors = [as_factor(value) for value in values]
    n = len(factors[0].codes)
    place, known = np.zeros(n, dtype=np.int64), np.ones(n, dtype=bool)
    trained = np.zeros(len(keys), dtype=np.int64)
    for j, factor in enumerate(factors):
        levels = sorted({key[j] for key in keys})
        index = {level: i for i, level in enumerate(levels)}
        own = np.array([index.get(level, -1) for level in factor.levels] + [-1], dtype=np.int64)[factor.codes]
        seen, trained = np.unique(trained * len(levels) + [index[key[j]] for key in keys], return_inverse=True)
        wanted = place * len(levels) + own
        place = np.minimum(np.searchsorted(seen, wanted), len(seen) - 1)
        known &= (own >= 0) & (seen[place] == wanted)
    return np.where(known, np.argsort(trained)[place], -1).astype(np.intp)


def order_of(counts: Sequence[int]) -> list[int]:
    """lme4's order of random terms: as written when the counts never increase, else by falling count, ties reversed.

    >>> order_of([2, 3, 2])
    [1, 2, 0]
    """
    if all(a >= b for a, b in itertools.pairwise(counts)):
        return list(range(len(counts)))
    return sorted(range(len(counts)), key=lambda i: counts[i])[::-1]


def group_factors(values: Mapping[str, Value], labels: Sequence[str]) -> list[Categorical]:
    return [as_factor(values[name]).without_unused() for name in labels]
