"""Degrees of freedom by containment, as nlme's (Pinheiro & Bates 2000, section 2.4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from formula_neuro.design import Design
from formula_neuro.errors import Unable
from formula_neuro.family import Array

Codes = NDArray[np.intp]


def containment(design: Design, kept: NDArray[np.intp], used: NDArray[np.bool_]) -> Array:
    """Degrees of freedom (p,) of the coefficients, over the rows `used` (n,); NaN but for the columns `kept`.

    With levels of grouping i = 1, ..., Q from the outside to the inside, m_i groups at level i, m_0 = 1 with an
    intercept and m_{Q+1} = n, a column estimated at level i has m_i - m_{i-1} - p_i. It is estimated at the outermost
    level within whose groups it is constant, or at the residual's, i = Q + 1; p_i columns are. The intercept takes the
    residual's. Raises Unable where the groups are not nested, for which this is not defined.
    """
    X = design.matrix[used]
    levels = nested([(term.group, term.codes[used]) for term in design.random])
    constant = _constant(X, np.zeros(len(X), dtype=np.intp))
    place = np.full(X.shape[1], len(levels))  # counted from 0
    for i in reversed(range(len(levels))):
        place[_constant(X, levels[i])] = i
    estimated = kept[~constant[kept]]
    intercept = bool(constant[kept].any())
    sizes = np.array([int(intercept), *(len(np.unique(codes)) for codes in levels), len(X)])
    df = np.diff(sizes) - np.bincount(place[estimated], minlength=len(levels) + 1)
    df[-1] += not intercept  # as nlme
    found = np.full(X.shape[1], np.nan)
    found[kept] = df[np.where(constant[kept], len(levels), place[kept])]
    return np.where(found > 0, found, np.nan)


def of_rows(each: Array, L: Array) -> Array:
    """Of each row of L (q, p) the fewest among the coefficients that it holds, as nlme and emmeans take them."""
    taken = np.where(np.atleast_2d(L) != 0, each, np.inf)
    return np.asarray(np.where(np.isnan(taken).any(axis=1), np.nan, taken.min(axis=1, initial=np.inf)))


def between(design: Design, kept: NDArray[np.intp], used: NDArray[np.bool_]) -> list[tuple[str, list[str], int]]:
    """Of each grouping the columns that are constant within its groups and no larger ones, and what is left of groups.

    (group, names, number of groups less that of columns constant within them); the columns are those `kept`.
    """
    X = design.matrix[np.ix_(used, kept)]
    names = [design.names[j] for j in kept]
    free = ~_constant(X, np.zeros(len(X), dtype=np.intp))
    found = []
    for term in sorted({term.group: term for term in design.random}.values(), key=lambda term: len(term.levels)):
        codes = term.codes[used]
        same = _constant(X, codes)
        mine = [name for name, own in zip(names, same & free, strict=True) if own]
        free &= ~same
        if mine:
            found.append((term.group, mine, len(np.unique(codes)) - int(same.sum())))
    return found


def nested(groups: Sequence[tuple[str, Codes]]) -> list[Codes]:
    """The distinct groupings from the coarsest to the finest; Unable where one is not nested in the other."""
    found: list[tuple[str, Codes]] = []
    for name, codes in sorted(groups, key=lambda pair: len(np.unique(pair[1]))):
        if found:
            outer, coarse = found[-1]
            pairs = len(np.unique(np.column_stack([coarse, codes]), axis=0))
            if pairs > len(np.unique(codes)):
                raise Unable(
                    f"df='containment' is for nested groups, and {name} is crossed with {outer}; "
                    "take 'satterthwaite' or 'kenward-roger' (linear models), or fn.bootstrap_test"
                )
            if pairs == len(np.unique(coarse)):  # the same groups by another name
                continue
        found.append((name, codes))
    return [codes for _, codes in found]


def _constant(X: Array, codes: Codes) -> NDArray[np.bool_]:
    """Which columns of X (n, p) are constant within every group."""
    first = np.unique(codes, return_index=True)[1]
    place = np.searchsorted(codes[first], codes)
    return np.asarray((X[first[place]] == X).all(axis=0))
