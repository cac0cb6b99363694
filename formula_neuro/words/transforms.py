"""The value of a variable of a formula: the walk over its expression, and all that it may call.

Nothing else is reachable from a formula: names are looked up among the columns only, functions in two tables
only: FUNCTIONS work row by row; LEARNING ones keep constants of the data as their state, and are given them back
when the formula is applied to new data.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from ..data.values import Matrix, Value, from_column
from ..errors import DataError, FormulaError
from ..nearest import nearest
from ..syntax.expression import BINARY, Call, Name, Node, Number, Text, Truth, label, quoted
from .arguments import CONSTANT_TYPES, Argument, Constant, formal_names
from .arithmetic import OPERATORS, operate, sequence
from .comparing import among
from .contrasts import with_contrast
from .elsewhere import about_function
from .factors import as_factor, as_ordered, interaction
from .functions import FUNCTIONS as PLAIN
from .functions import bind
from .learning import LEARNING

__all__ = ["CONSTANTS", "FUNCTIONS", "LEARNING", "States", "constant_or_value", "evaluate"]

States = dict[str, Any]
CONSTANTS: dict[str, Constant] = {"pi": float(np.pi), "T": True, "F": False}  # where no column has the name
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **PLAIN, "as.factor": as_factor, "as.ordered": as_ordered, "interaction": interaction,
}  # fmt: skip
ELSEWHERE = ("C", "cbind", "offset")  # functions that are no rows of the two tables
# Arguments whose names Python cannot spell.
DOTTED = {"na_rm": "na.rm", "include_lowest": "include.lowest", "dig_lab": "dig.lab", "lex_order": "lex.order",
          "Boundary_knots": "Boundary.knots", "start": "from"}  # fmt: skip
SPELT = {r: python for python, r in DOTTED.items()}
IN_FULL = ("min", "max", "sum")  # R's have dots first, and would add up what na = TRUE says


def evaluate(node: Node, table: pd.DataFrame, states: States, whole: str = "", learn: bool = True) -> Value:
    """The value of a variable on every row of the table.

    `states` maps the label of a learning call to its constants: filled when `learn`, read otherwise.
    Raises FormulaError (unknown column or function, with a caret into `whole`) and DataError.
    """
    value = constant_or_value(node, table, states, whole, learn)
    if isinstance(value, CONSTANT_TYPES):
        at = getattr(node, "at", 0)
        raise FormulaError(f"{label(node)} is a constant, not a column of the data", whole, at)
    return value


def constant_or_value(node: Node, table: pd.DataFrame, states: States, whole: str = "", learn: bool = True) -> Argument:
    """As `evaluate`, for what may be a constant too, such as mean(x)."""
    return _value(node, _Scope(table, states, whole, learn))


class _Scope:
    """What an expression can see."""

    def __init__(self, table: pd.DataFrame, states: States, whole: str, learn: bool):
        self.table, self.states, self.whole, self.learn = table, states, whole, learn

    def column(self, name: Name) -> Value:
        if name.text not in self.table.columns:
            raise FormulaError(f"{name.text} is not a column of the data{self._hint(name)}", self.whole, name.at)
        return from_column(self.table[name.text], name.text)

    def _hint(self, name: Name) -> str:
        near = nearest(name.text, [str(column) for column in self.table.columns])
        if near is None and name.text == "foci":
            return "; where the data are foci, a term has a map: foci ~ s(group), or foci ~ s(1) for one map of all"
        return f"; did you mean {quoted(near)}?" if near else f" (it has {_listed(self.table.columns)})"


def _listed(columns: Any) -> str:
    shown = [str(c) for c in columns]
    return ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "")


def _value(node: Node, scope: _Scope) -> Argument:
    if isinstance(node, (Number, Text)):
        return node.value
    if isinstance(node, Truth):
        return float("nan") if node.value is None else node.value
    if isinstance(node, Name):
        known = node.text in CONSTANTS and node.text not in scope.table.columns
        return CONSTANTS[node.text] if known else scope.column(node)
    if node.function in OPERATORS:
        return operate(node, [_value(v, scope) for _, v in node.arguments], scope.learn)
    if node.function in BINARY:
        return _binary(node, scope)
    if node.function == "C":
        return with_contrast(node, lambda inner: _value(inner, scope), scope.whole, scope.learn)
    if node.function == "cbind":
        return _bound(node, scope)
    if node.function in LEARNING:
        return _learnt(node, scope)
    if node.function in FUNCTIONS:
        plain: Argument = _call(node, FUNCTIONS[node.function], scope)
        return plain
    raise FormulaError(_unknown(node, scope), scope.whole, node.at)


def _unknown(node: Call, scope: _Scope) -> str:
    known = sorted({*FUNCTIONS, *LEARNING, *ELSEWHERE})
    hint = about_function(node.function, known, map(str, scope.table.columns))
    if any(isinstance(v, Call) and v.function in ("|", "||") for _, v in node.arguments):
        hint = "of covariance structures there are us(x | g), diag(), cs() and ar1()"
    if node.function == "s":
        hint = "s(...) stands alone among the terms of the right side, joined by +; for smooth curves there is ns(x, 3)"
    return f"{node.function}() is not a function of formulas; {hint}"


def _binary(node: Call, scope: _Scope) -> Argument:
    """The operators among terms that have a meaning inside a call too: `f %in% c("a", "b")` and `1:3`."""
    left, right = (_value(v, scope) for _, v in node.arguments)
    if node.function == "%in%" and not isinstance(left, CONSTANT_TYPES):
        if not isinstance(right, CONSTANT_TYPES):
            raise FormulaError("right of %in% stand constants, as in f %in% c('a', 'b')", scope.whole, node.at)
        return among(left, right, label(node), len(scope.table), scope.learn)
    if node.function == ":" and isinstance(left, CONSTANT_TYPES) and isinstance(right, CONSTANT_TYPES):
        return sequence(left, right)
    raise FormulaError(f"{node.function} has no value; it is an operator among terms", scope.whole, node.at)


def _bound(node: Call, scope: _Scope) -> Matrix:
    """cbind: a column's own name is its column's name, as in R, unless another is given."""
    given = [(name or (v.text if isinstance(v, Name) else ""), _value(v, scope)) for name, v in node.arguments]
    matrix: Matrix = _explained(node, lambda: bind(given))
    return matrix


def _learnt(node: Call, scope: _Scope) -> Argument:
    key = label(node)
    value: Argument
    value, learnt = _call(node, LEARNING[node.function], scope, state=None if scope.learn else scope.states.get(key))
    if scope.learn and learnt is not None:
        scope.states[key] = learnt
    return value


# ---- calls ---------------------------------------------------------------------------------------
def _call(node: Call, function: Callable[..., Any], scope: _Scope, **state: Any) -> Any:
    """The function's value; arguments that it does not take are refused in R's words."""
    wanted = [p for p in inspect.signature(function).parameters.values() if p.name != "state"]
    positional = [_value(v, scope) for name, v in node.arguments if not name]
    meant = formal_names([name for name, _ in node.arguments if name], _shortened(node.function, wanted))
    named = {SPELT.get(meant[name], meant[name]): _value(v, scope) for name, v in node.arguments if name}
    try:
        if any(name in DOTTED for name, _ in node.arguments):
            raise TypeError("a name as Python spells it")
        if len(positional) + len(named) < len(node.arguments):
            raise TypeError("an argument is named twice")
        inspect.Signature(wanted).bind(*positional, **named)
    except TypeError:
        usage = f"{node.function}({', '.join(map(_printed, wanted))})"
        raise FormulaError(f"{label(node)} does not fit {usage}", scope.whole, node.at) from None
    return _explained(node, lambda: function(*positional, **named, **state))


def _shortened(function: str, wanted: list[inspect.Parameter]) -> tuple[str, ...]:
    """The arguments whose names may be cut short: those in front of R's dots, and poly's degree, as it happens."""
    if function in IN_FULL:
        return ()
    kinds = [p.kind for p in wanted]
    dots = kinds.index(inspect.Parameter.VAR_POSITIONAL) if inspect.Parameter.VAR_POSITIONAL in kinds else len(kinds)
    names = tuple(DOTTED.get(p.name, p.name) for p in wanted[:dots])
    return (*names, "degree") if function == "poly" else names


def _explained(node: Call, value: Callable[[], Any]) -> Any:
    try:
        with np.errstate(all="ignore"):  # log(-1) is a missing value, as in R; its row is dropped and counted
            return value()
    except DataError as error:
        raise type(error)(f"{label(node)}: {error}") from None


def _printed(parameter: inspect.Parameter) -> str:
    """A parameter as R would print it."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return "..."
    name, default = DOTTED.get(parameter.name, parameter.name), parameter.default
    if default is parameter.empty or default is None:
        return name
    if isinstance(default, tuple):
        return f"{name} = c({', '.join(f'{v:g}' for v in default)})"
    if isinstance(default, str):
        return f'{name} = "{default}"'
    return f"{name} = {str(default).upper() if isinstance(default, bool) else f'{default:g}'}"
