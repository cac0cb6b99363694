"""The loop over steps around a model's compiled equations; importing this module needs numba.

Numbers of all nodes and sets of a group stand flat, in parts of (rows, LANES): number m = node * width + set of row r
is lane m % LANES of row r in part m // LANES. `width` is 1, or a multiple of LANES where nodes are connected. A past
has, for every node, a ring of 2^k rows of `width` numbers; its first LANES rows stand behind its end again, so that any
LANES steps on end are read without a turn.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# numba finds the types of these functions by itself

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from .lanes import add_connections, add_connections_ahead, add_lanes, add_pairs, add_pairs_ahead, call, copy_lanes
from .tracing import LANES

settings: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
inner = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **settings)


def kept(function: Any) -> Any:
    """The function in machine code, kept on disk beside this file or in the user's cache where that can be written.

    numba looks at this file alone: after a change of lanes.py in a source tree, delete what it kept.
    """
    try:
        return numba.njit(cache=True, **settings)(function)
    except RuntimeError:  # no folder for the cache
        return numba.njit(**settings)(function)


@inner
def look_ahead(far, other, past, wires, weight, square, newest, mask, width):
    """far: what arrives in each of the next LANES steps over connections of LANES - 1 steps or more.

    Of one set (nodes, steps); of several (nodes, groups of sets, steps, LANES). With `square` at `other`, if that
    is not 0.
    """
    origin, delay, target, start, near = wires
    far[:] = 0
    groups = width // LANES
    if width == 1:
        for i in range(len(start) - 1):
            at, a, b = i * LANES, start[i], start[i + 1]
            if other:
                add_pairs(far, at, at + other, past, 0, origin, delay, weight, square, a, b, newest, mask, width)
            else:
                add_connections(far, at, 0, past, 0, origin, delay, weight, square, a, b, newest, mask, width)
    for g in range(groups):
        base = g * LANES
        for e in range(near[0]):
            at, b = (target[e] * groups + g) * LANES * LANES, e + 1
            if other:
                add_pairs_ahead(
                    far, at, at + other, past, base, origin, delay, weight, square, e, b, newest, mask, width
                )
            else:
                add_connections_ahead(far, at, 0, past, base, origin, delay, weight, square, e, b, newest, mask, width)


@inner
def arrive(numbers, rows, row, far, begin, step, past, wires, weight, newest, mask, width):
    """What arrives at every node in step `step` of LANES: look_ahead, and what comes from close by."""
    origin, delay, _, _, near = wires
    groups = width // LANES
    for i in range(len(near) - 1):
        a, b = near[i], near[i + 1]
        if width == 1:
            total = far[begin + i * LANES + step]
            for e in range(a, b):
                total += weight[e] * past[np.uint64(origin[e] + ((newest - delay[e]) & mask))]
            numbers[(i // LANES * rows + row) * LANES + i % LANES] = total
        for g in range(groups):
            part = i * groups + g
            at, base = (part * rows + row) * LANES, g * LANES
            copy_lanes(numbers, at, far, begin + (part * LANES + step) * LANES)
            add_connections(numbers, at, 0, past, base, origin, delay, weight, weight, a, b, newest, mask, width)


@inner
def append(past, numbers, rows, row, nodes, width, ring, place):
    """The new values of a transmitted variable into its past; the first LANES rows also behind its end."""
    groups = width // LANES
    length = (ring + LANES) * width
    for i in range(nodes):
        at = i * length + place * width
        if width == 1:
            past[at] = numbers[(i // LANES * rows + row) * LANES + i % LANES]
            if place < LANES:
                past[at + ring] = past[at]
        for g in range(groups):
            copy_lanes(past, at + g * LANES, numbers, ((i * groups + g) * rows + row) * LANES)
            if place < LANES:
                copy_lanes(past, at + ring * width + g * LANES, past, at + g * LANES)


@inner
def remember(numbers, rows, row, past, nodes, width, ring, place):
    """Every node's own value at a place of its past."""
    groups = width // LANES
    for i in range(nodes):
        at = (i * (ring + LANES) + place) * width
        if width == 1:
            numbers[(i // LANES * rows + row) * LANES + i % LANES] = past[at]
        for g in range(groups):
            copy_lanes(numbers, ((i * groups + g) * rows + row) * LANES, past, at + g * LANES)


@kept
def spread(out, at, drawn, nodes, width, padded):
    """drawn (sets or 1, nodes, steps) as rows (steps, padded) of out from `at` on; idle lanes repeat the last set."""
    sets, _, steps = drawn.shape
    for begin in range(0, steps, LANES):  # what is read and written in these steps is in the cache
        for i in range(nodes):
            for t in range(begin, min(begin + LANES, steps)):
                for w in range(width):
                    out[at + t * padded + i * width + w] = drawn[min(w, sets - 1), i, t]


@inner
def fill(numbers, rows, row, parts, values, at):
    """A row from values[at : at + parts * LANES]."""
    for part in range(parts):
        copy_lanes(numbers, (part * rows + row) * LANES, values, at + part * LANES)


@inner
def take(values, at, numbers, rows, row, parts):
    """A row to values[at : at + parts * LANES]."""
    for part in range(parts):
        copy_lanes(values, at + part * LANES, numbers, (part * rows + row) * LANES)


@inner
def record(out, place, total, numbers, rows, keep, parts, mean, last, every):
    """Add the kept rows to `total`; at a bin's last step write their mean, or the sample, to place `place` of out."""
    count = parts * LANES
    for k in range(len(keep)):
        at = (place * len(keep) + k) * count
        if not mean:
            if last:
                take(out, at, numbers, rows, keep[k], parts)
            continue
        for part in range(parts):
            add_lanes(total, k * count + part * LANES, numbers, (part * rows + keep[k]) * LANES)
        if last:
            for m in range(count):
                out[at + m] = total[k * count + m] / every
                total[k * count + m] = 0


@kept
def advance(
    steps, first, nodes, width, code, numbers, sizes, constants, rings,
    pasts, sent, tracts, own, wires, weights, far,
    normals, normal_rows, courses, course_rows,
    keep, bins, total, out,
    bold_code, bold_numbers, bold_constants, bold_rows, bold_to, bold_from, bold_bins, bold_out,
):  # fmt: skip
    """Advance all nodes of a group by `steps` steps, the first of which is step number first + 1 of the run.

    sizes: parts, rows. rings: mask, length. sent: rows of transmitted variables, in the order of pasts. tracts (n, 3):
    past, row of the sum, row of that of squared weights, -1 where not asked. own (n, 3): past, delay, row. wires:
    origin, delay, target, far, near. far (tracts, ...): see look_ahead.
    normals and courses: flat (rows, steps, parts * LANES). bins: skip, every, steps in the bin so far, mean or not.
    bold_bins: whether it runs, steps between samples, the first one's step, rows of Q and V. Returns the records and
    BOLD samples written, and the steps in the last bin.
    """
    parts, rows = sizes
    mask, ring = rings
    count = parts * LANES
    connected = len(wires[0]) > 0
    skip, every, filled, mean = bins
    written, samples = 0, 0
    for t in range(steps):
        newest = first + t + mask  # a ring later than the newest row's place, so that no difference is below 0
        for k in range(len(tracts)):
            past, plain, squared = pasts[tracts[k, 0]], tracts[k, 1], tracts[k, 2]
            other = parts * LANES * LANES if plain >= 0 and squared >= 0 else 0
            first_weight = weights[0] if plain >= 0 else weights[1]
            if connected and t % LANES == 0:
                look_ahead(far[k], other, past, wires, first_weight, weights[1], newest, mask, width)
            if connected and plain >= 0:
                arrive(numbers, rows, plain, far[k], 0, t % LANES, past, wires, weights[0], newest, mask, width)
            if connected and squared >= 0:
                arrive(numbers, rows, squared, far[k], other, t % LANES, past, wires, weights[1], newest, mask, width)
        for k in range(len(own)):
            remember(numbers, rows, own[k, 2], pasts[own[k, 0]], nodes, width, ring, (newest - own[k, 1]) & mask)
        for k in range(len(normal_rows)):
            fill(numbers, rows, normal_rows[k], parts, normals, (k * steps + t) * count)
        for k in range(len(course_rows)):
            fill(numbers, rows, course_rows[k], parts, courses, (k * steps + t) * count)
        call(code, numbers, constants, parts)
        for k in range(len(sent)):
            append(pasts[k], numbers, rows, sent[k], nodes, width, ring, (newest + 1) & mask)
        if bold_bins[0]:
            for part in range(parts):
                for k in range(len(bold_to)):
                    to, at = part * bold_rows + bold_to[k], part * rows + bold_from[k]
                    copy_lanes(bold_numbers, to * LANES, numbers, at * LANES)
            call(bold_code, bold_numbers, bold_constants, parts)
            since = first + t + 1 - bold_bins[2]
            if since >= 0 and since % bold_bins[1] == 0:
                take(bold_out, 2 * samples * count, bold_numbers, bold_rows, bold_bins[3], parts)
                take(bold_out, (2 * samples + 1) * count, bold_numbers, bold_rows, bold_bins[4], parts)
                samples += 1
        if t >= skip and len(keep):
            filled += 1
            record(out, written, total, numbers, rows, keep, parts, mean, filled == every, every)
            if filled == every:
                filled = 0
                written += 1
    return written, samples, filled
