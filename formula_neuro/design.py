"""Formula + table -> Design: the matrices of one model, with what is needed to make them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .columns.blocks import Block, fill, offsets, plan
from .columns.contrast_matrices import asked_for
from .columns.matrices import Bar, Design, Given, RandomTerm, Recipe, TermColumns, term_columns
from .columns.structured_terms import about_structures, check_structure
from .data import grouping, notes
from .data import rows as row_rules
from .data.table import TOLD, as_table, plain, some_columns
from .data.values import Categorical, Contrast, Matrix, Value
from .errors import DataError
from .family import Array
from .formula import Formula, Part, all_variables, parse
from .syntax import expression
from .syntax.expression import Node, label
from .words.transforms import States, evaluate

__all__ = ["Design", "Given", "RandomTerm", "TermColumns", "model_matrix"]


def model_matrix(
    formula: str | Formula,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    subset: Any = None,
    contrasts: Mapping[str, Any] | None = None,
    na_action: str = "omit",
    beside: Sequence[str] = (),
) -> Design:
    """The design of a formula on a table, with R's names, contrasts, rows and levels.

    `weights` and `offset` are a column's name, an expression of columns, or an array with one value a row;
    `subset` is a logical expression or an array of True/False; `contrasts` maps a factor to a contrast such
    as "contr.sum", or to a matrix with a row for each level (a list of numbers is completed to k - 1 columns);
    `na_action` is "omit" (drop rows with a missing value, counted) or "fail".
    `beside` are columns of the data that no row used may miss either, as the clusters of a GEE.
    Raises FormulaError, DataError.

    >>> data = {"y": [1.0, 2, 3, 4], "x": [1.0, 2, 3, 5], "f": list("abab"), "g": [1, 1, 2, 2]}
    >>> D = model_matrix("y ~ x + f + (1|g)", data)
    >>> D.names, D.random[0].levels
    (('(Intercept)', 'x', 'fb'), ('1', '2'))
    """
    whole = as_table(data)
    table = plain(whole)
    parsed = formula if isinstance(formula, Formula) else parse(formula, list(table.columns))
    given = Given(whole.copy(deep=False), weights, offset, subset, contrasts, na_action, tuple(beside))
    nodes = {label(node): node for node in all_variables(parsed)}
    states: States = {}
    used = _used(parsed, nodes, table, given, states)
    asked = asked_for(contrasts or {}, used.values)
    blocks = plan(parsed.fixed, used.values, asked)
    bars, random = _random(parsed, used.values, asked, len(used.rows))
    y, y_levels = _response(parsed, used.values)
    total = offsets(parsed, used.values, len(used.rows))
    return Design(
        formula=parsed,
        y=y,
        y_levels=y_levels,
        matrix=fill(blocks, used.values, len(used.rows)),
        names=tuple(name for block in blocks for name in block.columns),
        terms=term_columns(blocks),
        random=random,
        offset=total if used.offset is None else total + used.offset,
        extra_offset=used.offset,
        weights=used.weights,
        rows=used.rows,
        index=whole.index[used.rows],
        data=_named_columns(nodes, table, used.rows),
        dropped=used.dropped,
        messages=(*used.messages, *_about(parsed, random, used.values), *whole.attrs.get(TOLD, ())),
        contrasts=tuple(asked.items()),
        recipe=_recipe(nodes, used.values, states, blocks, bars, offset),
        given=given,
        beside=used.beside,
    )


# ---- rows ----------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Used:
    """A formula's variables by label, and what stands beside it, on the rows that are used."""

    values: Mapping[str, Value]
    beside: Mapping[str, Value]
    weights: Array | None
    offset: Array | None
    rows: NDArray[np.intp]
    dropped: tuple[tuple[str, int], ...]
    messages: tuple[str, ...]


def _used(parsed: Formula, nodes: Mapping[str, Node], table: pd.DataFrame, given: Given, states: States) -> _Used:
    """Evaluate on the whole table, from which transforms learn as in R; then keep the rows chosen and complete."""
    _check_given(given)
    values = {name: evaluate(node, table, states, parsed.text) for name, node in nodes.items()}
    extras = {
        "weights": row_rules.extra(given.weights, table, "weights", states),
        "offset": row_rules.extra(given.offset, table, "offset", states),
    }
    chosen = row_rules.subset_rows(given.subset, table)
    others = {name: row_rules.column(name, table) for name in given.beside}
    rows, dropped = row_rules.complete({**values, **others}, extras, chosen, given.na_action)
    kept = {name: row_rules.kept(name, value, rows) for name, value in values.items()}
    _check_levels(parsed, kept)
    return _Used(
        values=kept,
        beside={name: row_rules.kept(name, value, rows) for name, value in others.items()},
        weights=row_rules.checked_weights(extras["weights"], rows),
        offset=row_rules.finite(extras["offset"], "offset", rows),
        rows=rows,
        dropped=dropped,
        messages=(*notes.about_rows(int(chosen.sum()), len(rows), dropped), *notes.about_levels(values, kept)),
    )


def _check_given(given: Given) -> None:
    if not isinstance(given.contrasts, Mapping | None):
        raise DataError(f"contrasts= maps factors to contrasts, as {{'group': 'contr.sum'}}; got {given.contrasts!r}")
    for values, what in ((given.weights, "weights"), (given.offset, "offset"), (given.subset, "subset")):
        row_rules.check_index(values, given.table.index, what)


def _check_levels(formula: Formula, values: Mapping[str, Value]) -> None:
    parts: list[Part] = [formula.fixed, *(bar.part for bar in formula.bars)]
    for name in dict.fromkeys(label(part.variables[i]) for part in parts for term in part.terms for i in term):
        value = values[name]
        if isinstance(value, Categorical) and (value.codes == value.codes[0]).all():
            level = value.levels[int(value.codes[0])]
            raise DataError(
                f"{name}: one level only ({level}) is left in the {len(value.codes)} rows used, but a factor needs "
                "two or more; leave it out, or look at which rows were dropped"
            )


def _named_columns(nodes: Mapping[str, Node], table: pd.DataFrame, rows: NDArray[np.intp]) -> pd.DataFrame:
    """The raw columns that the formula names."""
    named = dict.fromkeys(n.text for node in nodes.values() for n in expression.names(node))
    columns = some_columns(table, [name for name in named if name in table.columns])
    return columns.iloc[rows].reset_index(drop=True) if len(rows) < len(table) else columns


# ---- terms ---------------------------------------------------------------------------------------
def _random(
    formula: Formula, values: Mapping[str, Value], asked: Mapping[str, Contrast], n: int
) -> tuple[tuple[Bar, ...], tuple[RandomTerm, ...]]:
    """The random terms in lme4's order, and how to make them again."""
    bars, terms = [], []
    for bar in formula.bars:
        variables = tuple(label(node) for node in bar.group)
        codes, keys = grouping.cross(grouping.group_factors(values, variables), bar.name)
        blocks = plan(bar.part, values, asked)
        columns = tuple(name for block in blocks for name in block.columns)
        check_structure(bar, columns, values, formula.text)
        basis = np.ascontiguousarray(fill(blocks, values, n))
        levels = tuple(":".join(key) for key in keys)
        bars.append(Bar(blocks, variables, keys))
        parts = term_columns(blocks)
        terms.append(RandomTerm(bar.name, columns, levels, codes, basis, bar.structure, bar.hom, parts))
    order = grouping.order_of([len(term.levels) for term in terms])
    return tuple(bars[i] for i in order), tuple(terms[i] for i in order)


def _response(formula: Formula, values: Mapping[str, Value]) -> tuple[Array | None, tuple[str, ...] | None]:
    """Its numbers, (n,) or (n, 2), or the codes of a factor with its levels."""
    if formula.response is None:
        return None, None
    value = values[label(formula.response)]
    if isinstance(value, Categorical):
        return value.codes.astype(float), value.levels
    return (value.values if isinstance(value, Matrix) else value), None


def _recipe(
    nodes: Mapping[str, Node],
    values: Mapping[str, Value],
    states: States,
    blocks: tuple[Block, ...],
    bars: tuple[Bar, ...],
    offset: Any,
) -> Recipe:
    return Recipe(
        tuple(nodes.items()),
        tuple((k, v.levels) for k, v in values.items() if isinstance(v, Categorical)),
        tuple(states.items()),
        blocks,
        bars,
        expression.read(offset) if isinstance(offset, str) else None,
        offset is not None and not isinstance(offset, str),
    )


# ---- notes ---------------------------------------------------------------------------------------
def _about(parsed: Formula, random: Sequence[RandomTerm], values: Mapping[str, Value]) -> list[str]:
    return [
        *notes.about_texts(parsed, values),
        *notes.about_response(parsed),
        *notes.about_bars(parsed, values),
        *about_structures(parsed, values),
        *notes.about_groups({term.group: len(term.levels) for term in random}),
        *_about_numbering(parsed, random, values),
    ]


def _about_numbering(formula: Formula, random: Sequence[RandomTerm], values: Mapping[str, Value]) -> list[str]:
    """Notes on groups of one column against each other and against the factors of the fixed part."""
    names = {bar.name for bar in formula.bars if len(bar.group) == 1}
    groups = {term.group: (term.codes, term.levels) for term in random if term.group in names}
    factors = {name: values[name] for name in map(label, formula.fixed.variables)} if groups else {}
    fixed = {name: (f.codes, f.levels) for name, f in factors.items() if isinstance(f, Categorical)}
    return notes.about_numbering(groups, {**fixed, **groups})
