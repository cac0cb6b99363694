"""The loop over steps around a model's compiled equations; importing this module needs numba.

Numbers of all nodes and sets of a group stand in parts (n, rows, LANES): number m = node * width + set is lane m % LANES
of part m // LANES. `width` is 1, or a multiple of LANES where there are connections. A past has, for every node, a ring
of 2^k rows of `width` numbers; with width 1 its first LANES rows stand behind its end again, so that any LANES steps on
end are read at once.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

LANES = 8  # as in vector_code
SHIFT, REST = 3, 7



def compiled(function: Any) -> Any:
    """The function in machine code, kept on disk beside this file or in the user's cache where that can be written."""
    try:
        return numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # no folder for the cache
        return numba.njit(nogil=True, error_model="numpy")(function)


@intrinsic
def call(typingctx: Any, address: Any, numbers: Any, tables: Any, parts: Any) -> Any:
    """Run a compiled program on all parts."""
    from llvmlite import ir

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = [
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[1:3], arguments[1:3], strict=True)
        ]
        integer = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [p.type for p in pointers] + [integer])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        builder.call(function, [*pointers, arguments[3]])
        return context.get_dummy_value()

    return types.void(types.int64, numbers, tables, types.int64), codegen


@compiled
def add_connections(sums, at, past, origin, delay, weight, first, last, newest, mask, width, lane):
    """sums[at : at + LANES] += the delayed, weighted values of connections first, ..., last - 1."""
    s0, s1, s2, s3 = sums[at], sums[at + 1], sums[at + 2], sums[at + 3]
    s4, s5, s6, s7 = sums[at + 4], sums[at + 5], sums[at + 6], sums[at + 7]
    for e in range(first, last):
        c = weight[e]
        x = np.uint64(origin[e] + ((newest - delay[e]) & mask) * width + lane)
        s0 += c * past[x]
        s1 += c * past[x + np.uint64(1)]
        s2 += c * past[x + np.uint64(2)]
        s3 += c * past[x + np.uint64(3)]
        s4 += c * past[x + np.uint64(4)]
        s5 += c * past[x + np.uint64(5)]
        s6 += c * past[x + np.uint64(6)]
        s7 += c * past[x + np.uint64(7)]
    sums[at], sums[at + 1], sums[at + 2], sums[at + 3] = s0, s1, s2, s3
    sums[at + 4], sums[at + 5], sums[at + 6], sums[at + 7] = s4, s5, s6, s7


@compiled
def sum_of_lanes(numbers, row, past, origin, delay, weight, start, newest, mask, width):
    """What arrives at every node, LANES sets at a time."""
    sums = np.empty(LANES, dtype=past.dtype)
    groups = width >> SHIFT
    for i in range(len(start) - 1):
        for g in range(groups):
            sums[:] = 0
            add_connections(sums, 0, past, origin, delay, weight, start[i], start[i + 1], newest, mask, width, g * LANES)
            for q in range(LANES):
                numbers[i * groups + g, row, q] = sums[q]


@compiled
def far_sums(far, past, origin, delay, weight, start, near, newest, mask):
    """far (nodes, LANES): what arrives in each of the next LANES steps over connections of at least LANES - 1 steps."""
    flat = far.ravel()
    flat[:] = 0
    for i in range(len(near)):
        add_connections(flat, i * LANES, past, origin, delay, weight, start[i], near[i], newest, mask, 1, 0)


@compiled
def sum_of_one(numbers, row, far, q, past, origin, delay, weight, start, near, newest, mask):
    """What arrives at every node of one set in step q of LANES: far_sums, and what comes from close by."""
    for i in range(len(near)):
        total = far[i, q]
        for e in range(near[i], start[i + 1]):
            total += weight[e] * past[np.uint64(origin[e] + ((newest - delay[e]) & mask))]
        numbers[i >> SHIFT, row, i & REST] = total


@compiled
def append(past, numbers, row, nodes, width, ring, place):
    """The new values of a transmitted variable into its past; with width 1 also behind its end."""
    length = (ring + LANES if width == 1 else ring) * width
    for i in range(nodes):
        at = i * length + place * width
        for w in range(width):
            m = i * width + w
            past[at + w] = numbers[m >> SHIFT, row, m & REST]
        if width == 1 and place < LANES:
            past[at + ring] = past[at]


@compiled
def own_values(numbers, row, past, nodes, width, ring, place):
    length = (ring + LANES if width == 1 else ring) * width
    for i in range(nodes):
        at = i * length + place * width
        for w in range(width):
            m = i * width + w
            numbers[m >> SHIFT, row, m & REST] = past[at + w]


@compiled
def fill(numbers, row, values, nodes, width):
    """A row from values (nodes or 1, width or 1)."""
    many, wide = values.shape[0] > 1, values.shape[1] > 1
    for i in range(nodes):
        for w in range(width):
            m = i * width + w
            numbers[m >> SHIFT, row, m & REST] = values[i if many else 0, w if wide else 0]


@compiled
def record(out, place, total, numbers, rows, count, mean, last, every):
    """Add the kept rows to `total`; at a bin's last step write its mean or its sample to out[place]."""
    for k in range(len(rows)):
        for m in range(count):
            x = numbers[m >> SHIFT, rows[k], m & REST]
            if mean:
                x += total[k, m]
                total[k, m] = 0 if last else x
                x = x / every
            if last:
                out[place, k, m] = x


@compiled
def copy_rows(target, target_rows, source, source_rows):
    for part in range(target.shape[0]):
        for k in range(len(target_rows)):
            for q in range(LANES):
                target[part, target_rows[k], q] = source[part, source_rows[k], q]


@compiled
def advance(
    steps, first, nodes, width, code, numbers, tables, shape,
    pasts, transmitted_rows, tracts, own, connections, weights, far,
    normals, normal_rows, stimulus, stimulus_rows,
    keep, bins, total, out,
    bold_code, bold_numbers, bold_to, bold_from, bold_bins, bold_out,
):  # fmt: skip
    """Advance all nodes of a group by `steps` steps, the first of which is step number first + 1 of the run.

    shape: mask, ring. tracts (n, 3): past, weights, row. own (n, 3): past, delay, row. far (tracts, nodes, LANES).
    normals: (steps, nodes, width or 1) each; stimulus likewise. bins: skip, every, steps in the bin so far, mean or
    not. bold_bins: 0 or 1 for whether it runs, steps between samples, the first one's step, the rows of Q and V. Returns
    the records and BOLD samples written, and the steps in the last bin.
    """
    mask, ring = shape
    origin, delay, start, near = connections
    connected = len(origin) > 0
    count = nodes * width
    written, samples = 0, 0
    skip, every, filled, mean = bins
    for t in range(steps):
        newest = first + t + mask  # the newest row is that of step first + t; the ring's length keeps it above 0
        q = t & REST
        for k in range(len(tracts)):
            if connected:
                past, weight = pasts[tracts[k, 0]], weights[tracts[k, 1]]
                if width > 1:
                    sum_of_lanes(numbers, tracts[k, 2], past, origin, delay, weight, start, newest, mask, width)
                else:
                    if q == 0:
                        far_sums(far[k], past, origin, delay, weight, start, near, newest, mask)
                    sum_of_one(
                        numbers, tracts[k, 2], far[k], q, past, origin, delay, weight, start, near, newest, mask
                    )
        for k in range(len(own)):
            own_values(numbers, own[k, 2], pasts[own[k, 0]], nodes, width, ring, (newest - own[k, 1]) & mask)
        for k in range(len(normal_rows)):
            fill(numbers, normal_rows[k], normals[k, t], nodes, width)
        for k in range(len(stimulus_rows)):
            fill(numbers, stimulus_rows[k], stimulus[k][t], nodes, width)
        call(code, numbers, tables, numbers.shape[0])
        for k in range(len(transmitted_rows)):
            append(pasts[k], numbers, transmitted_rows[k], nodes, width, ring, (newest + 1) & mask)
        if bold_bins[0]:
            copy_rows(bold_numbers, bold_to, numbers, bold_from)
            call(bold_code, bold_numbers, tables, bold_numbers.shape[0])
            if first + t + 1 >= bold_bins[2] and (first + t + 1 - bold_bins[2]) % bold_bins[1] == 0:
                for k in range(2):
                    for m in range(count):
                        bold_out[samples, k, m] = bold_numbers[m >> SHIFT, bold_bins[3 + k], m & REST]
                samples += 1
        if t >= skip and len(keep):
            filled += 1
            record(out, written, total, numbers, keep, count, mean == 1, filled == every, every)
            if filled == every:
                filled = 0
                written += 1
    return written, samples, filled
