"""The spatial part of a formula: what stands in s(...), as columns of maps, and the cells with an intensity map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..columns.blocks import Block, fill, plan
from ..columns.contrast_matrices import asked_for
from ..columns.matrices import Recipe, term_columns
from ..data import rows as row_rules
from ..data.values import Categorical, Contrast, Value
from ..design import Design
from ..errors import DataError
from ..family import Array
from ..formula import Formula, Part
from ..syntax.expression import Node, label
from ..words.transforms import States, evaluate
from .aliasing import independent

BASELINE = "(Intercept)"


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of the analyses' table, and how to make them again: those `kept` of all that the design has."""

    design: Design
    kept: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def matrix(self) -> Array:
        return np.asarray(self.design.matrix[:, list(self.kept)])

    def of(self, newdata: Any) -> Array:
        """The same columns of another table; raises NewLevels and DataError as predict() of tables does."""
        return np.asarray(self.design.apply(newdata).matrix[:, list(self.kept)])


@dataclass(frozen=True, eq=False)
class SpatialPart:
    """`columns` (M, C) of the maps, each cell's row over the maps, and the cell that every analysis is of, (M,)."""

    columns: Columns
    cells: Mapping[str, Array]
    group: NDArray[np.intp]
    messages: tuple[str, ...] = ()


def spatial_part(
    formula: Formula, table: pd.DataFrame, used: NDArray[np.intp], contrasts: Mapping[str, Any] | None
) -> SpatialPart:
    """The spatial part of a formula on the rows `used` of the analyses' table.

    One term of factors, s(a) or s(a:b), has a map for every cell. Several, s(a) + s(b), or one that a contrast was
    asked for, are coded as R codes them: a baseline map and differences from it. Numbers have a map of their effect;
    beside them a baseline map stands unless factors have maps.
    """
    states: States = {}
    part = _joined(formula)
    values = {label(node): _value(node, table, states, formula, used) for node in part.variables}
    asked = asked_for({k: v for k, v in (contrasts or {}).items() if k in values}, values)
    factors = frozenset(i for i, node in enumerate(part.variables) if isinstance(values[label(node)], Categorical))
    by_cell = _by_cell(part, values, asked, factors)
    ordered, blocks = _blocks(part, values, asked, factors, by_cell)
    L = fill(blocks, values, len(used))
    found = [name for block in blocks for name in block.columns]
    kept = [j for j in independent(L) if L[:, j].any()]
    crossed = sorted({i for term in part.terms if set(term) <= factors for i in term})
    cells, group = _cells([values[label(part.variables[i])] for i in crossed], len(used))
    numeric = [not set(term) <= factors for term in ordered.terms for _ in _width(blocks, ordered, term)]
    kept, maps = _names(found, kept, blocks, cells, by_cell)
    shown = np.where(([False] if ordered.intercept else []) + numeric, 0.0, L)[:, kept]
    first = [int(np.flatnonzero(group == g)[0]) for g in range(len(cells))]
    design = _design(formula, ordered, table, used, values, states, blocks, L)
    return SpatialPart(
        Columns(design, tuple(kept), tuple(maps)),
        {name: shown[i] for name, i in zip(cells, first, strict=True)},
        group,
        tuple(_about(part, values, factors, by_cell, [found[j] for j in range(len(found)) if j not in kept], cells)),
    )


def _joined(formula: Formula) -> Part:
    """All s(...) of a formula as one sum; terms that stand in several count once."""
    variables = tuple(dict.fromkeys(node for part in formula.spatial for node in part.variables))
    place = {node: i for i, node in enumerate(variables)}
    terms = [tuple(place[part.variables[i]] for i in term) for part in formula.spatial for term in part.terms]
    once = {frozenset(term): term for term in reversed(terms)}
    unique = [term for term in terms if once.pop(frozenset(term), None)]
    return Part(variables, tuple(sorted(unique, key=len)), True)


def _value(node: Node, table: pd.DataFrame, states: States, formula: Formula, used: NDArray[np.intp]) -> Value:
    value = row_rules.kept(label(node), evaluate(node, table, states, formula.text), used)
    return value.without_unused() if isinstance(value, Categorical) else value


def _by_cell(part: Part, values: Mapping[str, Value], asked: Mapping[str, Contrast], factors: frozenset[int]) -> bool:
    """Whether factors have a map for every cell: one term of them, and no contrast that was asked for."""
    pure = [term for term in part.terms if set(term) <= factors]
    if len(pure) != 1:
        return False
    names = [label(part.variables[i]) for i in pure[0]]
    return not any(name in asked or _of(values[name]).contrast for name in names)


def _of(value: Value) -> Categorical:
    assert isinstance(value, Categorical)
    return value


def _blocks(
    part: Part,
    values: Mapping[str, Value],
    asked: Mapping[str, Contrast],
    factors: frozenset[int],
    by_cell: bool,
) -> tuple[Part, tuple[Block, ...]]:
    """The part with the term of cells first, where there is one, and the blocks of its columns."""
    pure = tuple(term for term in part.terms if set(term) <= factors)
    others = tuple(term for term in part.terms if not set(term) <= factors)
    ordered = replace(part, terms=pure + others if by_cell else part.terms, intercept=not by_cell)
    return ordered, plan(ordered, values, asked)


def _width(blocks: tuple[Block, ...], part: Part, term: tuple[int, ...]) -> tuple[str, ...]:
    return blocks[part.terms.index(term) + part.intercept].columns


def _cells(factors: list[Value], n: int) -> tuple[tuple[str, ...], NDArray[np.intp]]:
    """The combinations of levels that occur, by name in the order of the levels (the first slowest), and each row's."""
    if not factors:
        return (BASELINE,), np.zeros(n, dtype=np.intp)
    codes = np.stack([_of(value).codes for value in factors], axis=1)
    found, group = np.unique(codes, axis=0, return_inverse=True)
    levels = [_of(value).levels for value in factors]
    names = tuple(":".join(level[k] for level, k in zip(levels, row, strict=True)) for row in found)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"two cells of s(...) are called {twice!r}: levels have ':' in their names; rename them")
    return names, np.asarray(group, dtype=np.intp).reshape(-1)


def _names(
    found: list[str], kept: list[int], blocks: tuple[Block, ...], cells: tuple[str, ...], by_cell: bool
) -> tuple[list[int], list[str]]:
    """The columns kept and their names: R's; of cells, in their order and with their names."""
    if not by_cell:
        return kept, [found[j] for j in kept]
    names: list[list[str]] = [[]]
    for piece in reversed(blocks[0].pieces):  # the leftmost factor runs fastest
        levels = piece.coding.names if piece.coding else piece.names
        names = [[level, *rest] for rest in names for level in levels]
    called = [":".join(parts) for parts in names]
    others = [j for j in kept if j >= len(called)]
    return [called.index(cell) for cell in cells] + others, [*cells, *(found[j] for j in others)]


def _design(
    formula: Formula,
    part: Part,
    table: pd.DataFrame,
    used: NDArray[np.intp],
    values: Mapping[str, Value],
    states: States,
    blocks: tuple[Block, ...],
    L: Array,
) -> Design:
    """The spatial part as a design of its own, which new data can follow again."""
    nodes = tuple((label(node), node) for node in part.variables)
    levels = tuple((k, v.levels) for k, v in values.items() if isinstance(v, Categorical))
    named = tuple(name for block in blocks for name in block.columns)
    return Design(
        formula=Formula(formula.text, None, part, (), ()),
        y=None,
        y_levels=None,
        matrix=L,
        names=named,
        terms=term_columns(blocks),
        random=(),
        offset=np.zeros(len(used)),
        extra_offset=None,
        weights=None,
        rows=used,
        index=table.index[used],
        data=table.iloc[used],
        dropped=(),
        messages=(),
        contrasts=(),
        recipe=Recipe(nodes, levels, tuple(states.items()), blocks, (), None, False),
    )


# ---- notes ---------------------------------------------------------------------------------------
def _about(
    part: Part,
    values: Mapping[str, Value],
    factors: frozenset[int],
    by_cell: bool,
    lost: list[str],
    cells: tuple[str, ...],
) -> list[str]:
    notes = []
    pure = [term for term in part.terms if set(term) <= factors]
    if len(pure) > 1 or (pure and not by_cell):
        notes.append(
            f"s(...) is coded by R's contrasts: a map '{BASELINE}' and maps of differences in log intensity; "
            f"the intensity maps are those of the cells {', '.join(cells)}"
        )
    if part.terms and not pure:
        notes.append(
            f"s(...) has no factor by itself: a map '{BASELINE}' was added, the log intensity where the numbers are 0"
        )
    if lost and not by_cell:
        notes.append(f"maps that others determine were left out: {', '.join(lost)}")
    elif lost:
        notes.append(f"cells without analyses have no map: {', '.join(lost)}")
    for i, node in enumerate(part.variables):
        value = values[label(node)]
        if i not in factors and isinstance(value, np.ndarray) and len(np.unique(value)) == 2:
            notes.append(
                f"{label(node)} is a number with two values, so that s({label(node)}) is a baseline and an effect; "
                f"s(factor({label(node)})) has a map for each"
            )
    return notes
