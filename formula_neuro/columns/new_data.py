"""A design's columns for another table, as they were made for the first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..data import grouping
from ..data.table import as_table, plain
from ..data.values import Categorical, Value, as_numbers
from ..errors import DataError, NewLevels
from ..family import Array
from ..syntax.expression import label
from ..words.transforms import evaluate
from .blocks import fill, offsets
from .matrices import Bar, Design, RandomTerm, Recipe


def apply(design: Design, newdata: Any, random: bool | Collection[int] = True) -> Design:
    """The same columns for another table, with the constants, levels and contrasts of the first.

    Every row of the new table stays: a missing covariate makes its row NaN, a level of a grouping factor
    that training has not seen gets code -1. The response need not be there, nor, with random=False, what
    stands in the random terms; random may also hold the places of the terms whose groups matter: the others'
    groups need not be there, and count as not seen. Raises NewLevels for an unseen level of a fixed factor,
    DataError and FormulaError for columns that are missing or of another kind.
    """
    recipe = design.recipe
    table = as_table(newdata)
    index, table = table.index, plain(table)
    if recipe.free_offset:
        raise DataError("the fit had an offset given as an array; refit with the offset as a column to predict from")
    bars = () if random is False else recipe.bars
    grouped = range(len(bars)) if isinstance(random, bool) else random
    values, coded = _values(design, table, bars, grouped)
    n, extra = len(table), _extra_offset(recipe, table)
    total = offsets(design.formula, values, n)
    return replace(
        design,
        y=None,
        y_levels=None,
        matrix=fill(recipe.fixed, coded, n),
        random=tuple(
            _again(term, bar, coded, [values[v] for v in bar.variables] if i in grouped else None, n)
            for i, (term, bar) in enumerate(zip(design.random if bars else (), bars, strict=True))
        ),
        offset=total if extra is None else total + extra,
        extra_offset=extra,
        weights=None,
        rows=np.arange(n),
        index=index,
        data=table,
        dropped=(),
        messages=(),
        beside={},
    )


def _values(
    design: Design, table: pd.DataFrame, bars: tuple[Bar, ...], grouped: Collection[int]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The variables that are needed, by label, and the same with the columns' factors on the levels of training."""
    recipe = design.recipe
    columns = {p.variable for part in (recipe.fixed, *(b.blocks for b in bars)) for bl in part for p in bl.pieces}
    groups = {v for i, bar in enumerate(bars) if i in grouped for v in bar.variables}
    needed = columns | groups | {label(node) for node in design.formula.offsets}
    states, trained = dict(recipe.states), dict(recipe.factors)
    values = {
        k: evaluate(node, table, states, design.formula.text, learn=False) for k, node in recipe.nodes if k in needed
    }
    return values, {k: _recoded(k, v, trained.get(k)) if k in columns else v for k, v in values.items()}


def _again(
    term: RandomTerm, bar: Bar, coded: Mapping[str, Value], groups: Sequence[Value] | None, n: int
) -> RandomTerm:
    """A random term on new rows; without its groups every row counts as of a level not seen."""
    codes = np.full(n, -1, dtype=np.intp) if groups is None else grouping.codes_of(bar.keys, groups)
    return replace(term, codes=codes, basis=np.ascontiguousarray(fill(bar.blocks, coded, n)))


def _extra_offset(recipe: Recipe, table: pd.DataFrame) -> Array | None:
    if recipe.offset is None:
        return None
    return as_numbers(evaluate(recipe.offset, table, dict(recipe.states), learn=False), "offset")


def _recoded(name: str, value: Value, levels: tuple[str, ...] | None) -> Value:
    """New data's factor on the levels of training; numbers pass, and a column without any value is of any kind."""
    if levels is not None and isinstance(value, np.ndarray) and np.isnan(value).all():
        return Categorical(np.full(len(value), -1, dtype=np.intp), levels)
    if (levels is None) != (not isinstance(value, Categorical)):
        kinds = ("numbers", "a factor") if levels is None else ("a factor", "numbers")
        raise DataError(f"{name} was {kinds[0]} when the model was fitted and is {kinds[1]} now")
    if not isinstance(value, Categorical) or levels is None:
        return value
    value = value.without_unused()
    strange = [level for level in value.levels if level not in levels]
    if strange:
        raise NewLevels(
            f"{name}: {', '.join(strange)} did not occur when the model was fitted (known: {', '.join(levels)}); "
            "drop these rows or refit"
        )
    place = np.array([levels.index(level) for level in value.levels] + [-1], dtype=np.intp)
    return replace(value, codes=place[value.codes], levels=levels, numbers=None)
