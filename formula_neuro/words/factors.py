"""The functions of a formula that make and change factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..data.values import Categorical
from ..errors import DataError, NewLevels
from .arguments import Argument, factor_of, truth, word, words

MOST_LEVELS = 10_000_000  # combinations that interaction() may have


def factor(
    x: Argument,
    levels: Argument | None = None,
    labels: Argument | None = None,
    ordered: Argument | None = None,
    *,
    state: tuple[str, ...] | None,
) -> tuple[Categorical, tuple[str, ...] | None]:
    """The column as a factor: values that are no level are missing, labels take the levels' place one by one.

    Labels without levels= belong to the levels that training has; those are what is learnt.
    """
    value = factor_of(x)
    ordered = value.ordered if ordered is None else truth(ordered, "ordered")
    learnt = None
    if levels is not None:
        value = _with_levels(value, words(levels, "levels"))
    elif labels is not None:
        value = value.without_unused() if state is None else _known(value, state)
        learnt = value.levels
    if labels is not None:
        value = relabelled(value, words(labels, "labels"))
    return replace(value, ordered=ordered, contrast=None), learnt


def ordered_factor(
    x: Argument, levels: Argument | None = None, labels: Argument | None = None, *, state: tuple[str, ...] | None
) -> tuple[Categorical, tuple[str, ...] | None]:
    """factor(..., ordered = TRUE)."""
    return factor(x, levels, labels, True, state=state)


def _with_levels(value: Categorical, levels: tuple[str, ...]) -> Categorical:
    if len(set(levels)) < len(levels):
        raise DataError(f"levels= names a level twice ({', '.join(levels)})")
    if not set(levels) & set(value.levels):
        there, asked = ", ".join(value.levels[:5]), ", ".join(levels[:5])
        raise DataError(f"none of levels= ({asked}) occurs in the column (it has {there})")
    return moved(value, levels)


def _known(value: Categorical, levels: tuple[str, ...]) -> Categorical:
    strange = [name for name in value.without_unused().levels if name not in levels]
    if strange:
        raise NewLevels(
            f"{', '.join(strange)} did not occur when the model was fitted (known: {', '.join(levels)}), so there is "
            "no label; drop these rows or refit"
        )
    return moved(value, levels)


def moved(value: Categorical, levels: tuple[str, ...]) -> Categorical:
    """The factor on these levels; what is not among them is missing."""
    index = {name: i for i, name in enumerate(levels)}
    place = np.array([index.get(name, -1) for name in value.levels] + [-1], dtype=np.intp)
    return replace(value, codes=place[value.codes], levels=levels, numbers=None, logical=False)


def relabelled(value: Categorical, labels: tuple[str, ...]) -> Categorical:
    """Labels in place of the levels, equal ones merged; a single label is numbered, as R does."""
    k = len(value.levels)
    if len(labels) == 1 and k > 1:
        labels = tuple(f"{labels[0]}{i + 1}" for i in range(k))
    if len(labels) != k:
        raise DataError(f"labels= has {len(labels)} texts, but there are {k} levels ({', '.join(value.levels[:12])})")
    return merged(value.codes, labels)


def merged(codes: NDArray[np.intp], names: Sequence[str]) -> Categorical:
    levels = tuple(dict.fromkeys(names))
    place = np.array([levels.index(name) for name in names] + [-1], dtype=np.intp)
    return Categorical(place[codes], levels)


def as_factor(x: Argument) -> Categorical:
    return factor_of(x)


def as_ordered(x: Argument) -> Categorical:
    return replace(factor_of(x), ordered=True)


def relevel(x: Argument, ref: Argument, *, state: str | None) -> tuple[Categorical, str]:
    """The factor with another first level, named or, as in R, by its place among the levels.

    New data may lack that level; it is recoded by the levels of training anyway.
    """
    value = factor_of(x)
    if value.ordered:
        raise DataError("the levels of an ordered factor have their order; factor(..., ordered = FALSE) drops it")
    first = _reference(ref, value.levels) if state is None else state
    order = sorted(range(len(value.levels)), key=lambda i: value.levels[i] != first)
    numbers = value.numbers[order] if value.numbers is not None else None
    changed = moved(value, tuple(value.levels[i] for i in order))
    return replace(changed, numbers=numbers), first


def _reference(ref: Argument, levels: tuple[str, ...]) -> str:
    if isinstance(ref, bool) or not isinstance(ref, (str, float)):
        raise DataError("ref= is the name of a level")
    if isinstance(ref, str):
        if ref not in levels:
            raise DataError(f"ref={ref!r} is not a level (there are {', '.join(levels[:12])})")
        return ref
    if not (ref == np.floor(ref) and 1 <= ref <= len(levels)):
        raise DataError(
            f"ref={word(ref)} is a place among {len(levels)} levels, counted from 1; the name of a level stands in "
            f"quotes, as ref={word(ref)!r}"
        )
    return levels[int(ref) - 1]


def interaction(*x: Argument, drop: Argument = False, sep: Argument = ".", lex_order: Argument = False) -> Categorical:
    """One factor of all combinations, "a1.b1"; the first factor's levels run fastest unless lex.order = TRUE.

    Combinations that do not occur are never levels of a model, so drop= changes nothing.
    """
    if not x:
        raise DataError("interaction takes columns")
    if not isinstance(sep, str):
        raise DataError("sep= is a text")
    factors = [factor_of(v) for v in x]
    truth(drop, "drop")
    lexical = truth(lex_order, "lex.order")
    sizes = [len(f.levels) for f in factors]
    if np.prod(sizes, dtype=float) > MOST_LEVELS:
        raise DataError(f"there are {' x '.join(map(str, sizes))} combinations of levels; use a:b as terms or groups")
    slowest_first = list(range(len(factors))) if lexical else list(range(len(factors)))[::-1]
    codes, names = _crossed(factors, slowest_first)
    levels = tuple(sep.join(parts) for parts in zip(*names, strict=True))
    if len(set(levels)) < len(levels):
        raise DataError(f"two combinations print alike with sep={sep!r}; choose another")
    return Categorical(codes, levels)


def _crossed(factors: list[Categorical], slowest_first: list[int]) -> tuple[NDArray[np.intp], list[list[str]]]:
    """Codes (n,) of the combinations that occur, -1 where a factor is missing, and each factor's level in them."""
    key = np.zeros(len(factors[0].codes), dtype=np.int64)
    gone = np.zeros(len(key), dtype=bool)
    for i in slowest_first:
        key = key * len(factors[i].levels) + factors[i].codes
        gone |= factors[i].codes < 0
    found, codes = np.unique(np.where(gone, -1, key), return_inverse=True)
    codes = codes.astype(np.intp) - int(gone.any())
    found = found[found >= 0]
    names: list[list[str]] = [[] for _ in factors]
    for i in reversed(slowest_first):
        found, place = np.divmod(found, len(factors[i].levels))
        names[i] = [factors[i].levels[j] for j in place]
    return codes, names
