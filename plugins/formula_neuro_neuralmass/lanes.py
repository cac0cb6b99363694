"""Operations on LANES numbers at once, for loops that numba compiles; importing this module needs numba.

numba writes such loops number by number: it does not know that the arrays never overlap. Sums are added in the order
of the connections, each product rounded before it is added, so that a sum does not depend on how many are made at once.
"""

# mypy: allow-untyped-decorators

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .tracing import LANES

INT = ir.IntType(64)


@intrinsic
def call(typingctx: Any, address: Any, numbers: Any, tables: Any, parts: Any) -> Any:
    """Run a program of vector_code on all parts."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = [_data(context, builder, signature, arguments, k) for k in (1, 2)]
        kind = ir.FunctionType(ir.VoidType(), [data[0].type, data[1].type, INT])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), [*data, arguments[3]])
        return context.get_dummy_value()

    return types.void(types.int64, numbers, tables, types.int64), codegen


@intrinsic
def copy_lanes(typingctx: Any, target: Any, to: Any, source: Any, at: Any) -> Any:
    """target[to : to + LANES] = source[at : at + LANES], both flat."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source = (_data(context, builder, signature, arguments, k) for k in (0, 2))
        _store(builder, _load(builder, source, arguments[3]), target, arguments[1])
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64), codegen


@intrinsic
def add_lanes(typingctx: Any, target: Any, to: Any, source: Any, at: Any) -> Any:
    """target[to : to + LANES] += source[at : at + LANES], both flat."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source = (_data(context, builder, signature, arguments, k) for k in (0, 2))
        total = builder.fadd(_load(builder, target, arguments[1]), _load(builder, source, arguments[3]))
        _store(builder, total, target, arguments[1])
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64), codegen


def _add_connections(vectors: int, kinds: int) -> Any:
    """The loop over connections that adds to `vectors` times LANES sums of each of one or two kinds of weights."""

    def codegen(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        sums, past, origin, delay = (_data(context, b, signature, arguments, k) for k in (0, 3, 5, 6))
        weights = [_data(context, b, signature, arguments, 7 + k) for k in range(kinds)]
        base, first, last, newest, mask, width = (arguments[k] for k in (4, 9, 10, 11, 12, 13))
        places = [b.add(arguments[1 + kind], INT(k * LANES)) for k in range(vectors) for kind in range(kinds)]
        starts = [_load(b, sums, place) for place in places]
        before, body, done = b.block, b.append_basic_block("connection"), b.append_basic_block("summed")
        b.cbranch(b.icmp_signed("<", first, last), body, done)
        b.position_at_end(body)
        e, totals = b.phi(INT), [b.phi(start.type) for start in starts]
        turn = b.and_(b.sub(newest, b.load(b.gep(delay, [e]))), mask)
        at = b.add(base, b.add(b.load(b.gep(origin, [e])), b.mul(turn, width)))
        c = [_spread(b, b.load(b.gep(weight, [e]))) for weight in weights]
        added = []
        for k in range(vectors):
            x = _load(b, past, at)
            added += [b.fadd(totals[k * kinds + kind], b.fmul(c[kind], x)) for kind in range(kinds)]
            at = b.add(at, width)
        following = b.add(e, INT(1))
        for phi, begin, go_on in ((e, first, following), *zip(totals, starts, added, strict=True)):
            phi.add_incoming(begin, before)
            phi.add_incoming(go_on, body)
        b.cbranch(b.icmp_signed("<", following, last), body, done)
        b.position_at_end(done)
        results = [b.phi(start.type) for start in starts]
        for place, start, total, result in zip(places, starts, added, results, strict=True):
            result.add_incoming(start, before)
            result.add_incoming(total, body)
            _store(b, result, sums, place)
        return context.get_dummy_value()

    def typed(
        typingctx: Any, sums: Any, at: Any, other: Any, past: Any, base: Any, origin: Any, delay: Any, weight: Any,
        square: Any, first: Any, last: Any, newest: Any, mask: Any, width: Any,
    ) -> Any:  # fmt: skip
        whole = types.int64
        arguments = (sums, whole, whole, past, whole, origin, delay, weight, square, whole, whole, whole, whole, whole)
        return types.void(*arguments), codegen

    return intrinsic(typed)


# sums[at : at + LANES] += C_e x_e over connections first <= e < last, where x_e is
# past[base + origin_e + ((newest - delay_e) & mask) width] and what follows
add_connections = _add_connections(1, 1)
# the same for LANES rows on end: sums[at + k LANES : ...] of the past's rows k later
add_connections_ahead = _add_connections(LANES, 1)
# both with the same sums of another weight at sums[other : ...]: the past is read once
add_pairs = _add_connections(1, 2)
add_pairs_ahead = _add_connections(LANES, 2)


def _data(context: Any, builder: Any, signature: Any, arguments: Any, k: int) -> Any:
    """The pointer to an array argument's numbers."""
    return context.make_array(signature.args[k])(context, builder, arguments[k]).data


def _vector(pointer: Any) -> Any:
    return ir.VectorType(pointer.type.pointee, LANES)


def _width(pointer: Any) -> int:
    return 8 if pointer.type.pointee == ir.DoubleType() else 4


def _place(builder: Any, pointer: Any, at: Any) -> Any:
    return builder.bitcast(builder.gep(pointer, [at]), _vector(pointer).as_pointer())


def _load(builder: Any, pointer: Any, at: Any) -> Any:
    return builder.load(_place(builder, pointer, at), align=_width(pointer))


def _store(builder: Any, value: Any, pointer: Any, at: Any) -> None:
    builder.store(value, _place(builder, pointer, at), align=_width(pointer))


def _spread(builder: Any, value: Any) -> Any:
    """One number in every lane."""
    kind = ir.VectorType(value.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, INT(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)
