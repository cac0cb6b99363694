"""Machine code of a traced program: one pass over all nodes, several at once, by numba's own compiler (LLVM).

A compiler that is handed a loop over a hundred arrays does not see that they never overlap, and computes one number at
a time. Here every operation is written for LANES numbers at once; each is rounded as written (no fused or reordered
sums), so that a number does not depend on its place in the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from formula_neuro.family import Array

from .elementary import Elementary
from .symbols import CONDITIONS, Graph, Symbol
from .tracing import LANES, Program

ARITHMETIC = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
INTRINSICS = {"sqrt": "sqrt", "sin": "sin", "cos": "cos", "absolute": "fabs", "floor": "floor"}
SERIES = frozenset({"exp", "expm1", "log", "tanh"})
INT = ir.IntType(64)


@dataclass(frozen=True, eq=False)
class Code:
    """A compiled program: the function's address, and what keeps it in memory."""

    address: int
    library: Any


def machine_code(program: Program, dtype: str, uniform: tuple[bool, ...]) -> Code:
    """The function (numbers, constants, n) of a program; numbers (n, rows, LANES), so that a part stays in the cache.

    uniform: which steady values are the same for all nodes and sets. They head the constants, before the tables; the
    others have rows behind those of the program.
    """
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    module = ir.Module(name="pointwise")
    _Emitter(program, module, dtype, uniform).whole()
    with global_compiler_lock:
        library = cpu_target.target_context.codegen().create_library("pointwise")
        library.add_ir_module(module)
        library.finalize()
        return Code(library.get_pointer_to_function("pointwise"), library)


def flat_tables(graph: Graph) -> tuple[Array, tuple[int, ...]]:
    """All tables behind one another, and where each begins."""
    parts = [table.values.ravel() for table in graph.tables]
    starts = np.cumsum([0, *(len(part) for part in parts)])
    return np.concatenate([*parts, np.zeros(1)]), tuple(int(s) for s in starts[:-1])


@dataclass(frozen=True, eq=False)
class Cell:
    """A look-up's cell: where the lower corner's values are, in each lane, and the weights of its sides."""

    first: tuple[Any, ...]
    u: Any
    v: Any
    rest_u: Any
    rest_v: Any
    beyond: Any
    row: int  # numbers from one x to the next
    size: int  # and from one y to the next


def _all(kind: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(kind, [ir.Constant(kind.element, value)] * LANES)


class _Emitter:
    """Writes the function; the LLVM value of each node is kept under its number."""

    def __init__(self, program: Program, module: ir.Module, dtype: str, uniform: tuple[bool, ...]):
        self.program, self.module = program, module
        self.number = ir.DoubleType() if dtype == "float64" else ir.FloatType()
        self.vector = ir.VectorType(self.number, LANES)
        pointer = self.number.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, INT])
        self.function = ir.Function(module, kind, name="pointwise")
        self.numbers, self.tables, self.count = self.function.args
        self.row = dict(program.rows)
        alike = [node.number for node, same in zip(program.steady, uniform, strict=True) if same]
        rows = [node.number for node, same in zip(program.steady, uniform, strict=True) if not same]
        self.constants = {number: k for k, number in enumerate(alike)}
        self.steady = {number: len(program.rows) + k for k, number in enumerate(rows)}
        self.size = len(program.rows) + len(rows)
        self.starts = tuple(len(alike) + start for start in flat_tables(program.graph)[1])
        self.values: dict[int, Any] = {}

    def whole(self) -> None:
        entry, body, done = (self.function.append_basic_block(name) for name in ("entry", "body", "done"))
        self.b = b = ir.IRBuilder(entry)
        b.branch(body)
        b.position_at_end(body)
        self.at = b.phi(INT)
        self.at.add_incoming(INT(0), entry)
        self.part = b.gep(self.numbers, [b.mul(self.at, INT(self.size * LANES))])
        for node in self.program.nodes:
            self.values[node.number] = self.emit(node)
        for name, node in self.program.writes.items():
            b.store(self.of(node), self.address(self.row[name]), align=self.align)
        after = b.add(self.at, INT(1))
        self.at.add_incoming(after, body)
        b.cbranch(b.icmp_signed("<", after, self.count), body, done)
        b.position_at_end(done)
        b.ret_void()

    @property
    def align(self) -> int:
        return 8 if self.number == ir.DoubleType() else 4

    def address(self, row: int) -> Any:
        """Of the LANES numbers of a row in the part at hand."""
        return self.b.bitcast(self.b.gep(self.part, [INT(row * LANES)]), self.vector.as_pointer())

    def of(self, node: Symbol) -> Any:
        """The vector of a node."""
        if node.number not in self.values:
            if node.operation == "constant":
                self.values[node.number] = self.splat(node.value)
            else:
                loaded = self.loaded(node)
                if node.operation in CONDITIONS:
                    loaded = self.b.fcmp_unordered("!=", loaded, self.splat(0.0))
                self.values[node.number] = loaded
        return self.values[node.number]

    def loaded(self, node: Symbol) -> Any:
        """A steady value: of each lane, or one for all."""
        if node.number in self.steady:
            return self.b.load(self.address(self.steady[node.number]), align=self.align)
        one = self.b.load(self.b.gep(self.tables, [INT(self.constants[node.number])]))
        first = self.b.insert_element(ir.Constant(self.vector, ir.Undefined), one, INT(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.b.shuffle_vector(first, ir.Constant(self.vector, ir.Undefined), zeros)

    def splat(self, value: float) -> Any:
        return _all(self.vector, float(value))

    def emit(self, node: Symbol) -> Any:
        if node.operation == "leaf":
            return self.b.load(self.address(self.row[node.value]), align=self.align)
        if node.operation == "cell":
            return self.cell(node)
        if node.operation == "blend":
            return self.blend(node)
        values = [self.of(a) if a.operation != "cell" else self.values[a.number] for a in node.arguments]
        return self.operation(node.operation, values)

    def operation(self, name: str, values: list[Any]) -> Any:
        b = self.b
        if name in ARITHMETIC:
            return getattr(b, ARITHMETIC[name])(*values)
        if name in COMPARISONS:
            compare = b.fcmp_unordered if name == "ne" else b.fcmp_ordered
            return compare(COMPARISONS[name], *values)
        if name in INTRINSICS:
            return self.intrinsic(INTRINSICS[name], values[0])
        if name in SERIES:
            return self.series(name, values[0])
        return getattr(self, f"_{name}")(*values)

    def series(self, name: str, x: Any) -> Any:
        """A function of Elementary, in doubles in either precision."""
        doubles = Elementary(self.b, LANES, lambda value: self.intrinsic("floor", value))
        if self.number == ir.DoubleType():
            return getattr(doubles, name)(x)
        return self.b.fptrunc(getattr(doubles, name)(self.b.fpext(x, doubles.doubles)), self.vector)

    def intrinsic(self, name: str, x: Any) -> Any:
        """A function that the processor has, or that the C library has for one number."""
        full = f"llvm.{name}.v{LANES}f{64 if x.type.element == ir.DoubleType() else 32}"
        function = self.module.globals.get(full)
        if function is None:
            function = ir.Function(self.module, ir.FunctionType(x.type, [x.type]), full)
        return self.b.call(function, [x])

    def _neg(self, x: Any) -> Any:
        return self.b.fsub(self.splat(-0.0), x)

    def _maximum(self, x: Any, y: Any) -> Any:
        """The larger; missing where one is missing, as numpy has it."""
        b = self.b
        return b.select(b.fcmp_unordered(">", x, y), b.select(b.fcmp_unordered("uno", y, y), y, x), y)

    def _minimum(self, x: Any, y: Any) -> Any:
        b = self.b
        return b.select(b.fcmp_unordered("<", x, y), b.select(b.fcmp_unordered("uno", y, y), y, x), y)

    def _where(self, condition: Any, x: Any, y: Any) -> Any:
        return self.b.select(condition, x, y)

    def _and(self, x: Any, y: Any) -> Any:
        return self.b.and_(x, y)

    def _or(self, x: Any, y: Any) -> Any:
        return self.b.or_(x, y)

    def _not(self, x: Any) -> Any:
        return self.b.not_(x)

    def cell(self, node: Symbol) -> Cell:
        """Place and weights of a look-up: bilinear inside, clamped to the edge outside."""
        b, table = self.b, node.graph.tables[node.value]
        nx, ny, k = table.values.shape
        i, u, outside_x = self.axis(self.of(node.arguments[0]), table.x0, table.dx, nx)
        j, v, outside_y = self.axis(self.of(node.arguments[1]), table.y0, table.dy, ny)
        integers = ir.VectorType(INT, LANES)
        places = b.mul(b.add(b.mul(i, _all(integers, ny)), j), _all(integers, k))
        places = b.add(places, _all(integers, self.starts[node.value]))
        first = tuple(b.extract_element(places, INT(lane)) for lane in range(LANES))
        one = self.splat(1.0)
        beyond = b.or_(outside_x, outside_y)
        return Cell(first, u, v, b.fsub(one, u), b.fsub(one, v), beyond, ny * k, k)

    def axis(self, x: Any, start: float, step: float, n: int) -> tuple[Any, Any, Any]:
        """The lower index of x's cell, the place in it from 0 to 1, and whether x is beyond the edge."""
        b = self.b
        zero, top, last = self.splat(0.0), self.splat(n - 1), self.splat(n - 2)
        exact = b.fmul(b.fsub(x, self.splat(start)), self.splat(1 / step))
        at = b.select(b.fcmp_ordered("<", exact, zero), zero, b.select(b.fcmp_ordered(">", exact, top), top, exact))
        found = b.select(b.fcmp_ordered(">", at, zero), at, zero)  # a place in the table also where x is missing
        low = self.intrinsic("floor", b.select(b.fcmp_ordered("<", found, last), found, last))
        return b.fptosi(low, ir.VectorType(INT, LANES)), b.fsub(at, low), b.fcmp_ordered("!=", at, exact)

    def blend(self, node: Symbol) -> Any:
        cell, b = self.values[node.arguments[0].number], self.b
        offsets = (0, cell.size, cell.row, cell.row + cell.size)
        corners = [self.corner(cell, offset + node.value) for offset in offsets]
        low = b.fadd(b.fmul(cell.rest_v, corners[0]), b.fmul(cell.v, corners[1]))
        high = b.fadd(b.fmul(cell.rest_v, corners[2]), b.fmul(cell.v, corners[3]))
        return b.fadd(b.fmul(cell.rest_u, low), b.fmul(cell.u, high))

    def corner(self, cell: Cell, offset: int) -> Any:
        b, result = self.b, ir.Constant(self.vector, ir.Undefined)
        for lane, first in enumerate(cell.first):
            value = b.load(b.gep(self.tables, [b.add(first, INT(offset))]))
            result = b.insert_element(result, value, INT(lane))
        return result

    def _beyond(self, cell: Cell) -> Any:
        return self.b.select(cell.beyond, self.splat(1.0), self.splat(0.0))
