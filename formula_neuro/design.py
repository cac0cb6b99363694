"""Formula + table -> Design: the matrices of one model, with what is needed to make them again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from . import grouping, notes
from . import rows as row_rules
from .blocks import Block, fill, plan
from .contrast_matrices import asked_for
from .errors import DataError, NewLevels
from .family import Array
from .formula import Formula, Part, all_variables, parse
from .syntax import expression
from .syntax.expression import Node, label
from .table import as_table, plain, some_columns
from .values import Categorical, Contrast, Matrix, Value, as_numbers
from .words.transforms import States, evaluate


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """One random term: K columns that vary by the levels of a grouping factor."""

    group: str  # "mouseID"; interactions in lme4's order, "b:a"
    columns: tuple[str, ...]  # K
    levels: tuple[str, ...]  # L, sorted as lme4 sorts them
    codes: NDArray[np.intp]  # (n,) level of each row; -1: not seen in training
    basis: Array  # (n, K)
    structure: str = "us"
    hom: bool = False  # one variance for all columns, of diag, cs and ar1
    parts: tuple[TermColumns, ...] = ()  # which of the columns belong to each term left of the bar

    @cached_property
    def Z(self) -> sparse.csr_array:
        """(n, L * K), lme4's order: column = level * K + k; a row of an unseen level is zero."""
        n, k = self.basis.shape
        known = self.codes >= 0
        indptr = np.concatenate([[0], np.cumsum(known * k)])
        indices = (self.codes[known, None] * k + np.arange(k)).ravel()
        return sparse.csr_array((self.basis[known].ravel(), indices, indptr), shape=(n, len(self.levels) * k))


@dataclass(frozen=True)
class TermColumns:
    """The columns start:stop of X that belong to one term of the formula."""

    name: str  # "(Intercept)", "dff", "a:b"
    variables: tuple[str, ...]
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class Given:
    """What model_matrix was asked for beside the formula, so that a fit can be made again with some of it changed.

    `table` is the user's whole table, with the labels of its rows; other columns of it can serve a finished fit, as
    the clusters of a robust covariance. It shares the memory of the data given.
    """

    table: pd.DataFrame
    weights: Any = None
    offset: Any = None
    subset: Any = None
    contrasts: Mapping[str, Any] | None = None
    na_action: str = "omit"
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Design:
    """The matrices of one model on the rows that have no missing value.

    `rows` are the kept rows, 0-based, and `index` their labels in the data; `data` holds the raw columns
    that the formula names, on these rows; `dropped` counts the rows lost to each column.
    """

    formula: Formula
    y: Array | None  # (n,), (n, 2) for cbind(successes, failures), None without a response
    y_levels: tuple[str, ...] | None  # the levels of a factor response, whose y are the codes 0, 1, ...
    matrix: Array  # (n, p)
    names: tuple[str, ...]  # p, R's names
    terms: tuple[TermColumns, ...]
    random: tuple[RandomTerm, ...]
    offset: Array  # (n,), the sum of all offsets
    extra_offset: Array | None  # (n,), the share of it that came from offset=, not from the formula
    weights: Array | None  # (n,) as given
    rows: NDArray[np.intp]
    index: pd.Index
    data: pd.DataFrame
    dropped: tuple[tuple[str, int], ...]
    messages: tuple[str, ...]
    contrasts: tuple[tuple[str, Contrast], ...]  # (factor, contrast) as asked for by contrasts=
    recipe: Any  # private to this module: levels, contrasts and constants, for apply()
    given: Given | None = None
    beside: Mapping[str, Value] = field(default_factory=dict)  # columns of the data that an estimator needs: clusters

    @cached_property
    def X(self) -> pd.DataFrame:
        return pd.DataFrame(self.matrix, columns=list(self.names), index=self.index, copy=False)

    def apply(self, newdata: Any, random: bool | Collection[int] = True) -> Design:
        """The same columns for another table; see `apply`."""
        return apply(self, newdata, random)


# ---- building ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Bar:
    """How one random term is made again: its columns and its groups' levels."""

    blocks: tuple[Block, ...]
    variables: tuple[str, ...]  # labels of the crossed grouping columns, in the order of the name
    keys: grouping.Keys  # a level of each, for every level of the term


@dataclass(frozen=True)
class Recipe:
    """What training fixed: constants of transforms, levels, contrasts and column plans."""

    nodes: tuple[tuple[str, Node], ...]  # label -> tree, of all variables; the response may be one again
    factors: tuple[tuple[str, tuple[str, ...]], ...]  # label -> levels
    states: tuple[tuple[str, Any], ...]
    fixed: tuple[Block, ...]
    bars: tuple[_Bar, ...]
    offset: Node | None  # offset= as an expression
    free_offset: bool  # offset= was an array, so it cannot be made again


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
    index, table = whole.index, plain(whole)
    parsed = formula if isinstance(formula, Formula) else parse(formula, list(table.columns))
    if not isinstance(contrasts, Mapping | None):
        raise DataError(f"contrasts= maps factors to contrasts, as {{'group': 'contr.sum'}}; got {contrasts!r}")
    for given, what in ((weights, "weights"), (offset, "offset"), (subset, "subset")):
        row_rules.check_index(given, index, what)
    states: States = {}
    nodes = {label(node): node for node in all_variables(parsed)}
    values = {name: evaluate(node, table, states, parsed.text) for name, node in nodes.items()}
    extras = {
        "weights": row_rules.extra(weights, table, "weights", states),
        "offset": row_rules.extra(offset, table, "offset", states),
    }
    chosen = row_rules.subset_rows(subset, table)
    others = {name: row_rules.column(name, table) for name in beside}
    rows, dropped = row_rules.complete({**values, **others}, extras, chosen, na_action)
    kept = {name: row_rules.kept(name, value, rows) for name, value in values.items()}
    _check_levels(parsed, kept)
    asked = asked_for(contrasts or {}, kept)
    blocks = plan(parsed.fixed, kept, asked)
    bars, random = _random(parsed, kept, asked, len(rows))
    response = label(parsed.response) if parsed.response is not None else None
    y, y_levels = _response(kept[response]) if response else (None, None)
    extra_offset = row_rules.finite(extras["offset"], "offset", rows)
    total = sum((_offset(kept[label(node)], node) for node in parsed.offsets), np.zeros(len(rows)))
    matrix = fill(blocks, kept, len(rows))
    named = dict.fromkeys(n.text for node in nodes.values() for n in expression.names(node))
    used = [name for name in named if name in table.columns]
    columns = some_columns(table, used)
    recipe = Recipe(
        tuple(nodes.items()),
        tuple((k, v.levels) for k, v in kept.items() if isinstance(v, Categorical)),
        tuple(states.items()),
        blocks,
        bars,
        expression.read(offset) if isinstance(offset, str) else None,
        offset is not None and not isinstance(offset, str),
    )
    return Design(
        formula=parsed,
        y=y,
        y_levels=y_levels,
        matrix=matrix,
        names=tuple(name for block in blocks for name in block.columns),
        terms=_term_columns(blocks),
        random=random,
        offset=total if extra_offset is None else total + extra_offset,
        extra_offset=extra_offset,
        weights=row_rules.checked_weights(extras["weights"], rows),
        rows=rows,
        index=index[rows],
        data=columns.iloc[rows].reset_index(drop=True) if len(rows) < len(table) else columns,
        dropped=dropped,
        messages=(
            *notes.about_rows(int(chosen.sum()), len(rows), dropped),
            *notes.about_levels(values, kept),
            *notes.about_texts(parsed, kept),
            *notes.about_response(parsed),
            *notes.about_bars(parsed, kept),
            *notes.about_groups({term.group: len(term.levels) for term in random}),
            *_about_numbering(parsed, random, kept),
        ),
        contrasts=tuple(asked.items()),
        recipe=recipe,
        given=Given(whole.copy(deep=False), weights, offset, subset, contrasts, na_action, tuple(beside)),
        beside={name: row_rules.kept(name, value, rows) for name, value in others.items()},
    )


def apply(design: Design, newdata: Any, random: bool | Collection[int] = True) -> Design:
    """The same columns for another table, with the constants, levels and contrasts of the first.

    Every row of the new table stays: a missing covariate makes its row NaN, a level of a grouping factor
    that training has not seen gets code -1. The response need not be there, nor, with random=False, what
    stands in the random terms; random may also hold the places of the terms whose groups matter: the others'
    groups need not be there, and count as not seen. Raises NewLevels for an unseen level of a fixed factor,
    DataError and FormulaError for columns that are missing or of another kind.
    """
    recipe: Recipe = design.recipe
    table = as_table(newdata)
    index, table = table.index, plain(table)
    states, n = dict(recipe.states), len(table)
    if recipe.free_offset:
        raise DataError("the fit had an offset given as an array; refit with the offset as a column to predict from")
    bars = () if random is False else recipe.bars
    grouped = range(len(bars)) if isinstance(random, bool) else random
    columns = {p.variable for part in (recipe.fixed, *(b.blocks for b in bars)) for bl in part for p in bl.pieces}
    groups = {v for i, bar in enumerate(bars) if i in grouped for v in bar.variables}
    needed = columns | groups | {label(node) for node in design.formula.offsets}
    values = {
        k: evaluate(node, table, states, design.formula.text, learn=False) for k, node in recipe.nodes if k in needed
    }
    trained = dict(recipe.factors)
    coded = {k: _recoded(k, v, trained.get(k)) if k in columns else v for k, v in values.items()}
    terms = tuple(
        replace(
            term,
            codes=grouping.codes_of(bar.keys, [values[v] for v in bar.variables])
            if i in grouped
            else np.full(n, -1, dtype=np.intp),
            basis=np.ascontiguousarray(fill(bar.blocks, coded, n)),
        )
        for i, (term, bar) in enumerate(zip(design.random if bars else (), bars, strict=True))
    )
    total = sum((_offset(values[label(node)], node) for node in design.formula.offsets), np.zeros(n))
    extra = None
    if recipe.offset is not None:
        extra = as_numbers(evaluate(recipe.offset, table, states, learn=False), "offset")
    return replace(
        design,
        y=None,
        y_levels=None,
        matrix=fill(recipe.fixed, coded, n),
        random=terms,
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


# ---- parts of it ---------------------------------------------------------------------------------
def _check_levels(formula: Formula, values: Mapping[str, Value]) -> None:
    parts: list[Part] = [formula.fixed, *(bar.part for bar in formula.bars)]
    for name in dict.fromkeys(label(part.variables[i]) for part in parts for term in part.terms for i in term):
        value = values[name]
        if isinstance(value, Categorical) and len(np.unique(value.codes)) < 2:
            level = value.levels[int(value.codes[0])]
            raise DataError(
                f"{name}: one level only ({level}) is left in the {len(value.codes)} rows used, but a factor needs "
                "two or more; leave it out, or look at which rows were dropped"
            )


def _random(
    formula: Formula, values: Mapping[str, Value], asked: Mapping[str, Contrast], n: int
) -> tuple[tuple[_Bar, ...], tuple[RandomTerm, ...]]:
    """The random terms in lme4's order, and how to make them again."""
    bars, terms = [], []
    for bar in formula.bars:
        variables = tuple(label(node) for node in bar.group)
        codes, keys = grouping.cross(grouping.group_factors(values, variables), bar.name)
        blocks = plan(bar.part, values, asked)
        columns = tuple(name for block in blocks for name in block.columns)
        basis = np.ascontiguousarray(fill(blocks, values, n))
        levels = tuple(":".join(key) for key in keys)
        bars.append(_Bar(blocks, variables, keys))
        parts = _term_columns(blocks)
        terms.append(RandomTerm(bar.name, columns, levels, codes, basis, bar.structure, bar.hom, parts))
    order = grouping.order_of([len(term.levels) for term in terms])
    return tuple(bars[i] for i in order), tuple(terms[i] for i in order)


def _about_numbering(formula: Formula, random: Sequence[RandomTerm], values: Mapping[str, Value]) -> list[str]:
    """Notes on groups of one column against each other and against the factors of the fixed part."""
    names = {bar.name for bar in formula.bars if len(bar.group) == 1}
    groups = {term.group: (term.codes, term.levels) for term in random if term.group in names}
    factors = {name: values[name] for name in map(label, formula.fixed.variables)} if groups else {}
    fixed = {name: (f.codes, f.levels) for name, f in factors.items() if isinstance(f, Categorical)}
    return notes.about_numbering(groups, {**fixed, **groups})


def _response(value: Value) -> tuple[Array, tuple[str, ...] | None]:
    if isinstance(value, Categorical):
        return value.codes.astype(float), value.levels
    return (value.values if isinstance(value, Matrix) else value), None


def _offset(value: Value, node: Node) -> Array:
    return as_numbers(value, f"offset({label(node)})")


def _term_columns(blocks: tuple[Block, ...]) -> tuple[TermColumns, ...]:
    found, start = [], 0
    for block in blocks:
        stop = start + len(block.columns)
        found.append(TermColumns(block.name, tuple(p.variable for p in block.pieces), start, stop))
        start = stop
    return tuple(found)


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
