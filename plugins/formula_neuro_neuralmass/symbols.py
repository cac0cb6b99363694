"""Symbols: what a model's equations are called with once, to learn the arithmetic that they do.

Every result is a node of a graph. Constants are folded, the same arithmetic on the same symbols is one node, and a
node that depends on nothing that changes during a run is `steady`: it is evaluated once, before the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from formula_neuro.dynamics.tables import Table
from formula_neuro.errors import DataError

Key: TypeAlias = tuple[Any, ...]

OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "power": np.power, "exp": np.exp, "expm1": np.expm1, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos,
    "tanh": np.tanh, "absolute": np.absolute, "floor": np.floor, "maximum": np.maximum, "minimum": np.minimum,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "and": np.logical_and, "or": np.logical_or, "not": np.logical_not, "where": np.where,
}  # fmt: skip
CONDITIONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"})


class Symbol:
    """One node: an operation on other nodes, a constant, or a name whose value a run gives."""

    __slots__ = ("arguments", "graph", "number", "operation", "steady", "value")
    __array_ufunc__ = None  # a numpy number on the left leaves the operation to the symbol
    __hash__ = object.__hash__

    def __init__(self, graph: Graph, operation: str, arguments: tuple[Symbol, ...], value: Any, steady: bool):
        self.graph, self.operation, self.arguments, self.value, self.steady = graph, operation, arguments, value, steady
        self.number = len(graph.nodes)

    def elementary(self, name: str, *arguments: Any) -> Symbol:
        """A function of formula_neuro.dynamics.mathematics."""
        return self.graph.apply(name, *arguments)

    def interpolated(self, table: Table, y: Any) -> tuple[Symbol, ...]:
        """The functions of a table at this value and y."""
        return self.graph.look_up(table, self, y)

    def __add__(self, other: Any) -> Symbol:
        return self.graph.apply("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return self.graph.apply("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return self.graph.apply("sub", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return self.graph.apply("sub", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return self.graph.apply("mul", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return self.graph.apply("mul", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return self.graph.apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self.graph.apply("div", other, self)

    def __pow__(self, other: Any) -> Symbol:
        return self.graph.apply("power", self, other)

    def __rpow__(self, other: Any) -> Symbol:
        return self.graph.apply("power", other, self)

    def __mod__(self, other: Any) -> Symbol:
        return self.graph.apply("remainder", self, other)

    def __rmod__(self, other: Any) -> Symbol:
        return self.graph.apply("remainder", other, self)

    def __neg__(self) -> Symbol:
        return self.graph.apply("neg", self)

    def __pos__(self) -> Symbol:
        return self

    def __abs__(self) -> Symbol:
        return self.graph.apply("absolute", self)

    def __lt__(self, other: Any) -> Symbol:
        return self.graph.apply("lt", self, other)

    def __le__(self, other: Any) -> Symbol:
        return self.graph.apply("le", self, other)

    def __gt__(self, other: Any) -> Symbol:
        return self.graph.apply("gt", self, other)

    def __ge__(self, other: Any) -> Symbol:
        return self.graph.apply("ge", self, other)

    def __eq__(self, other: object) -> Symbol:  # type: ignore[override]
        return self.graph.apply("eq", self, other)

    def __ne__(self, other: object) -> Symbol:  # type: ignore[override]
        return self.graph.apply("ne", self, other)

    def __and__(self, other: Any) -> Symbol:
        return self.graph.apply("and", self, other)

    def __rand__(self, other: Any) -> Symbol:
        return self.graph.apply("and", other, self)

    def __or__(self, other: Any) -> Symbol:
        return self.graph.apply("or", self, other)

    def __ror__(self, other: Any) -> Symbol:
        return self.graph.apply("or", other, self)

    def __invert__(self) -> Symbol:
        return self.graph.apply("not", self)

    def __bool__(self) -> bool:
        raise DataError(
            "the equations ask whether a value is true (if, and, or, not, min, max), but every node and set has its"
            " own value; write where(condition, x, y), maximum or minimum of formula_neuro.dynamics.mathematics"
        )

    def __float__(self) -> float:
        raise DataError(
            "the equations turn a value into a float, as functions of the module math do;"
            " use those of formula_neuro.dynamics.mathematics, which take arrays"
        )


@dataclass(eq=False)
class Graph:
    """All nodes in the order in which they were made: arguments come before what uses them."""

    nodes: list[Symbol] = field(default_factory=list)
    known: dict[Key, Symbol] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)

    def leaf(self, name: str, steady: bool = False) -> Symbol:
        """A value that a run gives, for all steps (steady) or for each."""
        return self._node("leaf", (), name, steady)

    def constant(self, value: float) -> Symbol:
        return self._node("constant", (), float(value), True)

    def symbol(self, value: Any) -> Symbol:
        """The value itself where it is a symbol, else a constant. Raises DataError."""
        if isinstance(value, Symbol):
            return value
        if np.ndim(value) == 0 and np.isrealobj(value):
            return self.constant(value)
        raise DataError(
            f"the equations use a value of type {type(value).__name__}; numbers, states and parameters are expected"
            " (what differs from node to node is a parameter)"
        )

    def apply(self, operation: str, *values: Any) -> Symbol:
        """The node of an operation, with constants folded and powers and remainders written as simpler operations."""
        arguments = tuple(self.symbol(value) for value in values)
        if operation in OPERATIONS and all(a.operation == "constant" for a in arguments):
            with np.errstate(all="ignore"):
                return self.constant(OPERATIONS[operation](*(a.value for a in arguments)))
        if operation == "power":
            return self._power(*arguments)
        if operation == "remainder":
            x, y = arguments
            return x - self.apply("floor", x / y) * y
        if operation == "div" and arguments[1].steady and not arguments[0].steady:
            return self.apply("mul", arguments[0], self.apply("div", 1.0, arguments[1]))  # one division before the run
        return self._simple(operation, arguments)

    def look_up(self, table: Table, x: Any, y: Any) -> tuple[Symbol, ...]:
        """The functions of a table at x and y."""
        place = next((k for k, known in enumerate(self.tables) if known is table), len(self.tables))
        if place == len(self.tables):
            self.tables.append(table)
        arguments = (self.symbol(x), self.symbol(y))
        cell = self._node("cell", arguments, place, all(a.steady for a in arguments))
        return tuple(self._node("blend", (cell,), k, cell.steady) for k in range(table.values.shape[2]))

    def beyond(self, cell: Symbol) -> Symbol:
        """1 where a look-up was beyond the table's edge, else 0."""
        return self._node("beyond", (cell,), None, cell.steady)

    def _simple(self, operation: str, arguments: tuple[Symbol, ...]) -> Symbol:
        one = [a.operation == "constant" and a.value == 1 for a in arguments]
        zero = [a.operation == "constant" and a.value == 0 for a in arguments]
        if operation == "mul" and any(one):
            return arguments[one.index(False)] if not all(one) else arguments[0]
        if (operation == "add" and any(zero)) or (operation == "sub" and zero[1]):
            return arguments[zero.index(False)]
        return self._node(operation, arguments, None, all(a.steady for a in arguments))

    def _power(self, x: Symbol, y: Symbol) -> Symbol:
        if x.steady and y.steady:
            return self._node("power", (x, y), None, True)
        if y.operation != "constant":
            return self.apply("exp", y * self.apply("log", x))
        n = y.value
        if n == 0.5:
            return self.apply("sqrt", x)
        if n != int(n) or abs(n) > 16:
            return self.apply("exp", y * self.apply("log", x))
        return 1.0 / self._whole(x, -int(n)) if n < 0 else self._whole(x, int(n))

    def _whole(self, x: Symbol, n: int) -> Symbol:
        """x to a power of 0, 1, 2, ... by repeated squares."""
        if n == 0:
            return self.constant(1.0)
        half = self._whole(x * x, n // 2) if n > 1 else self.constant(1.0)
        return half * x if n % 2 else half

    def _node(self, operation: str, arguments: tuple[Symbol, ...], value: Any, steady: bool) -> Symbol:
        key = (operation, *(a.number for a in arguments), repr(value))
        if key not in self.known:
            self.known[key] = Symbol(self, operation, arguments, value, steady)
            self.nodes.append(self.known[key])
        return self.known[key]


def needed(outputs: Mapping[str, Symbol]) -> Iterator[Symbol]:
    """The nodes that change during a run and that the outputs need, arguments first."""
    todo, seen = [s for s in outputs.values() if not s.steady], set()
    while todo:
        node = todo.pop()
        if node.number not in seen:
            seen.add(node.number)
            todo += [a for a in node.arguments if not a.steady]
    nodes = next(iter(outputs.values())).graph.nodes if outputs else []
    return (node for node in nodes if node.number in seen)


def evaluate(node: Symbol, leaves: Mapping[str, Any], done: dict[int, Any]) -> Any:
    """The value of a steady node, with numpy; `done` keeps those found before."""
    if node.number not in done:
        values = [evaluate(a, leaves, done) for a in node.arguments]
        done[node.number] = _value(node, values, leaves)
    return done[node.number]


def _value(node: Symbol, values: list[Any], leaves: Mapping[str, Any]) -> Any:
    if node.operation == "leaf":
        return np.asarray(leaves[node.value], dtype=float)
    if node.operation == "constant":
        return np.asarray(node.value)
    if node.operation == "cell":
        return node.graph.tables[node.value](*np.broadcast_arrays(*values))
    if node.operation == "blend":
        return values[0][node.value]
    return OPERATIONS[node.operation](*values)
