"""A formula and its table -> the candidate designs: one for each shift of the term that holds shift(x, from, to)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from formula_neuro.data.values import as_numbers
from formula_neuro.errors import DataError, FormulaError
from formula_neuro.family import Array
from formula_neuro.formula import Formula, parse
from formula_neuro.syntax.expression import Call, Name, Node, Number, label, names
from formula_neuro.words.transforms import evaluate

from .regressors import Evoked


@dataclass(frozen=True, eq=False)
class Candidates:
    """X (m, n, k): designs of n scans and k named columns; `first` (n, k) has what is fixed where a column is.

    `table` (m rows) says in what the designs differ, and `moved` which columns do. nuisance (n, .): columns that every
    design has besides, of any amplitude. alike: whether designs whose moved columns have the amplitude 0 are one
    design, whose row is `still`.
    """

    names: tuple[str, ...]
    moved: tuple[str, ...]
    table: pd.DataFrame
    X: Array
    first: Array
    nuisance: pd.DataFrame
    alike: bool = True
    still: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(index=[0]))
    messages: tuple[str, ...] = ()
    evoked: Evoked | None = None  # what a run of events was

    def place(self, name: str, argument: str) -> int:
        """Where a variable stands among the columns. Raises DataError."""
        if name not in self.names:
            raise DataError(f"{argument} names {name!r}; the formula's variables are {', '.join(self.names)}")
        return self.names.index(name)

    def said(self, i: int) -> str:
        """Design i in words: " at shift 3"."""
        return _said(self.table, i) if self.moved else ""

    @property
    def said_first(self) -> str:
        return _said(self.still, 0) if self.moved else ""


def candidates(text: str, table: pd.DataFrame) -> Candidates:
    """The designs of a one-sided formula. No intercept is added.

    shift(x, from, to) moves x later by from, from + 1, ..., to scans, zeros entering, before anything outside it is
    computed: center(shift(x, 0, 49)) is the mean-free column of each shift. Raises FormulaError and DataError.
    """
    formula = parse(text, [str(c) for c in table.columns])
    terms = terms_of(formula)
    nothing = pd.DataFrame(index=range(len(table)))
    moved = [(term, call) for term in terms for call in _shifts(term)]
    if len(moved) > 1:
        raise FormulaError("one shift(x, from, to) is expected, since each shift is one design", text, moved[1][1].at)
    if not moved:
        X = np.column_stack([values(term, table, text) for term in terms])
        return Candidates(names_of(terms), (), pd.DataFrame({"shift": [0]}), X[None], X, nothing)
    term, call = moved[0]
    start, stop = _range(call, len(table), text)
    shifts = tuple(range(start, stop + 1))
    raw = values(call.arguments[0][1], table, text)
    still = [values(other, table, text) for other in terms if other != term]
    place = terms.index(term)

    def design(by: int) -> Array:
        moving = table.assign(**{label(call): _later(raw, by)})
        return np.column_stack([*still[:place], values(_replaced(term, call), moving, text), *still[place:]])

    found = names_of(terms)
    X, still_at = np.stack([design(by) for by in shifts]), pd.DataFrame({"shift": [0]})
    return Candidates(found, (found[place],), pd.DataFrame({"shift": shifts}), X, design(0), nothing, still=still_at)


def listed(text: str, tables: Sequence[pd.DataFrame]) -> Candidates:
    """One design a table; what is fixed is that of the first. Raises FormulaError and DataError."""
    found = [candidates(text, table) for table in tables]
    for i, one in enumerate(found, 1):
        if one.moved:
            raise FormulaError("shift(x, from, to) makes designs of one table; the data are several", text, 0)
        if one.X.shape != found[0].X.shape:
            n, others = one.X.shape[1], found[0].X.shape[1]
            raise DataError(
                f"table {i} of the data has {n} rows and the first {others}; a row a scan is expected in all"
            )
    table = pd.DataFrame({"design": range(1, len(found) + 1)})
    X, first = np.concatenate([one.X for one in found]), found[0]
    return replace(first, moved=first.names, table=table, X=X, alike=False, still=table.iloc[:1])


def terms_of(formula: Formula) -> list[Node]:
    """The terms of a one-sided formula without bars. Raises FormulaError."""
    if formula.response is not None or formula.bars or formula.offsets or formula.spatial:
        raise FormulaError(
            "a design has a right side of fixed terms only, as in '~ center(task) + drift'", formula.text, 0
        )
    if not formula.fixed.terms:
        raise FormulaError("the formula has no terms, so there is no design", formula.text, 0)
    one = re.search(r"(?:^|[~+])\s*(1)\s*(?:[+-]|$)", _outside(formula.text))
    if one:
        raise FormulaError("a design gets no intercept; give a column of ones as a term", formula.text, one.start(1))
    for term in formula.fixed.terms:
        if len(term) > 1:
            shown = ":".join(label(formula.fixed.variables[i]) for i in term)
            raise FormulaError(
                f"{shown}: a design is a sum of columns; compute the product as a column first", formula.text, 0
            )
    return [formula.fixed.variables[term[0]] for term in formula.fixed.terms]


def _outside(text: str) -> str:
    """The text with blanked parentheses, each as long as it was, so that places stay."""
    while (inner := re.sub(r"\([^()]*\)", lambda found: "_" * len(found[0]), text)) != text:
        text = inner
    return text


def names_of(terms: Sequence[Node]) -> tuple[str, ...]:
    """A term's name is that of its only variable, or its whole text where several terms have that one."""
    inside = [list(dict.fromkeys(name.text for name in names(term))) for term in terms]
    own = [found[0] if len(found) == 1 else "" for found in inside]
    return tuple(name if name and own.count(name) == 1 else label(term) for name, term in zip(own, terms, strict=True))


def _said(table: pd.DataFrame, i: int) -> str:
    """A row in words: " at shift 3"."""
    row = [f"{name} {_short(value)}" for name, value in table.iloc[i].items()]
    return f" at {', '.join(row)}" if row else ""


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else str(value)


def values(node: Node, table: pd.DataFrame, text: str) -> Array:
    """A term on every scan (n,). Raises FormulaError and DataError."""
    found = as_numbers(evaluate(node, table, {}, text), label(node))
    odd = np.flatnonzero(~np.isfinite(found))
    if len(odd):
        raise DataError(f"{label(node)} is missing or infinite in row {odd[0] + 1}; a design needs every scan")
    return np.asarray(found, dtype=float)


# ---- shifts --------------------------------------------------------------------------------------
def _shifts(node: Node) -> Iterator[Call]:
    if isinstance(node, Call):
        if node.function == "shift":
            yield node
        for _, value in node.arguments:
            yield from _shifts(value)


def _range(call: Call, n: int, text: str) -> tuple[int, int]:
    ends = [_whole(value) for _, value in call.arguments[1:]]
    if len(call.arguments) != 3 or any(name for name, _ in call.arguments) or None in ends:
        raise FormulaError("shift takes a column and two whole numbers of scans, as in shift(x, 0, 49)", text, call.at)
    start, stop = (end for end in ends if end is not None)
    if start > stop:
        raise FormulaError(f"the shifts go from {start} to {stop}; give the smaller one first", text, call.at)
    if max(-start, stop) >= n:
        raise FormulaError(f"a shift of {max(-start, stop)} moves all {n} scans out of the run", text, call.at)
    return start, stop


def _whole(node: Node) -> int | None:
    if isinstance(node, Call) and node.function == "-" and len(node.arguments) == 1:
        inside = _whole(node.arguments[0][1])
        return None if inside is None else -inside
    return int(node.value) if isinstance(node, Number) and float(node.value).is_integer() else None


def _replaced(node: Node, call: Call) -> Node:
    """The expression with the shift as a column of its own."""
    if node == call:
        return Name(label(call), call.at)
    if isinstance(node, Call):
        return Call(node.function, tuple((name, _replaced(value, call)) for name, value in node.arguments), node.at)
    return node


def _later(x: Array, by: int) -> Array:
    """x (n,) moved later by so many scans (earlier below 0), zeros entering."""
    moved = np.zeros_like(x)
    if by >= 0:
        moved[by:] = x[: len(x) - by]
    else:
        moved[:by] = x[-by:]
    return moved
