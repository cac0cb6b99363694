"""Optimising over templates whose best value may be singular."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from formula_neuro.family import Array
from formula_neuro.kernels.templates import lower_factor, vech

from .checks import small
from .newton import Descent, Minimum
from .terms import Term

WEAK = 2.0  # of the deviance: what a variance is worth that may have two minima
BESIDE = (0.01, 0.1)  # of the usual size: small effects that are tried where a structure's are 0
ANEW = (1.0, 0.1, 10.0)  # of the same: independent effects from which a structure is searched again
FAR = (3.0, 10.0)  # of the residual's standard deviation: large ones that are tried where one is 0


def settle(
    search: Descent,
    value: Callable[[Array], float],
    terms: Sequence[Term],
    start: Array,
    unit: float | None = None,
) -> Minimum:
    """The minimum from `start`; directions of hardly any variance are set to 0 exactly where that costs nothing.

    theta comes first in the vectors; what follows it is left alone. At an exact 0 the gradient in that
    direction vanishes by symmetry, so the second search looks at the curvature there, which is twice the
    derivative in the variance: where it is negative the search leaves the boundary again (Karush, Kuhn, Tucker).
    A variance that hardly matters may be a local minimum beside a lower one at 0: that is looked at too. Of structures
    with a correlation 0 is left at every one that makes the value fall, which the curvature at one does not tell; and
    as their likelihood often has several maxima, it is searched from independent effects too.
    unit: an effect of usual size; that of the start unless given. 0 goes on from the start and searches nowhere else.
    """
    found = search(start)
    for point in nearby(terms, found.point):
        if value(point) < found.value + WEAK:  # the others may move along 0
            other = search(point, goal=found.value)
            better = other.value < found.value - 1e-9 * max(1.0, abs(found.value))
            found = replace(other if better else found, iterations=found.iterations + other.iterations)
    found = _set_to_zero(search, value, terms, found)
    found = lower_from(search, value, found, beside_zero(terms, found.point, unit or _size(terms, start)))
    for point in anew(terms, found.point, unit or _size(terms, start)) if unit != 0 else ():
        other = _set_to_zero(search, value, terms, search(point))
        lower = other.converged and other.value < found.value - 1e-9 * max(1.0, abs(found.value))
        found = replace(other if lower else found, iterations=found.iterations + other.iterations)
    return found


def _set_to_zero(search: Descent, value: Callable[[Array], float], terms: Sequence[Term], found: Minimum) -> Minimum:
    """The minimum with small directions at exactly 0, searched again from there, where that costs nothing."""
    flat = flattened(terms, found.point)
    if flat is None or not value(flat) <= found.value + 1e-9 * max(1.0, abs(found.value)):
        return found
    again = search(flat)
    return replace(again, iterations=found.iterations + again.iterations)


def lower_from(search: Descent, value: Callable[[Array], float], found: Minimum, points: Sequence[Array]) -> Minimum:
    """The minimum, or a lower one that is reached from whichever of the points has the least value, if that is less."""
    values = [value(point) for point in points]
    least = found.value - 1e-9 * max(1.0, abs(found.value))
    if not values or not min(values) < least:
        return found
    other = search(points[int(np.argmin(values))])
    return replace(other if other.value < least else found, iterations=found.iterations + other.iterations)


def beside_zero(terms: Sequence[Term], point: Array, unit: float) -> list[Array]:
    """The point with small variances in the place of a structure's that are all 0."""
    found = []
    for term in terms:
        if term.structure is not None:
            own = point[term.theta]
            found += [
                _with(point, term, other) for part in BESIDE for other in term.structure.beside_zero(own, part * unit)
            ]
    return found


def anew(terms: Sequence[Term], point: Array, unit: float) -> list[Array]:
    """The point with independent effects in the place of a structure's: of one size, of several where at a limit."""
    found = []
    for term in terms:
        if term.structure is not None:
            sizes = ANEW if term.structure.at_limit(point[term.theta]) else (1.0,)
            found += [_with(point, term, own) for own in term.structure.anew([size * unit for size in sizes])]
    return found


def far_from_zero(terms: Sequence[Term], point: Array) -> list[Array]:
    """The point with a large variance in every direction of a term that has none.

    The likelihood of a variance may have a maximum at 0 and a higher one where effects are large, which no curvature
    at 0 tells.
    """
    found = []
    for term in terms:
        if term.structure is None:
            left, values = _directions(term.template(point))
            lost = [np.arange(term.K) == k for k in np.flatnonzero(small(values))]
            changed = [left * np.where(one, size, values) for one in lost for size in FAR]
            found += [_with(point, term, vech(lower_factor(F))) for F in changed]
    return found


def nearby(terms: Sequence[Term], point: Array) -> list[Array]:
    """The point with one direction of one term at 0, for every direction that is not; of a structure with one sd."""
    found = []
    for term in terms:
        if term.structure is not None:
            found += [_with(point, term, own) for own in term.structure.nearby(point[term.theta])]
            continue
        left, values = _directions(term.template(point))
        for k in np.flatnonzero(np.logical_not(small(values))):
            found.append(_with(point, term, vech(lower_factor(left * np.where(np.arange(term.K) == k, 0.0, values)))))
    return found


def _size(terms: Sequence[Term], start: Array) -> float:
    """The largest standard deviation that a search began with."""
    return max(float(np.abs(np.diag(term.template(start))).max()) for term in terms)


def flattened(terms: Sequence[Term], point: Array) -> Array | None:
    """The point with its small directions at 0, or None where there are none to change."""
    out = point.copy()
    for term in terms:
        if term.structure is not None:
            out[term.theta] = term.structure.flattened(out[term.theta])
            continue
        left, values = _directions(term.template(point))
        if (lost := small(values)).any():
            out[term.theta] = vech(lower_factor(left * np.where(lost, 0.0, values)))
    return None if np.array_equal(out, point) else out


def free(terms: Sequence[Term], point: Array) -> Array:
    """Which elements of theta (all True but the null columns of singular templates) can be estimated."""
    mask = np.ones(len(point), dtype=bool)
    for term in terms:
        if term.structure is not None:
            mask[term.theta] = term.structure.free(point[term.theta])
            continue
        L = term.template(point)
        columns = np.array([j for _, j in term.elements])
        mask[term.theta] = (L != 0).any(axis=0)[columns]
    return mask


def _with(point: Array, term: Term, own: Array) -> Array:
    """The point with this as the term's part of theta."""
    out = point.copy()
    out[term.theta] = own
    return out


def _directions(L: Array) -> tuple[Array, Array]:
    """Left singular vectors and singular values of a template."""
    if len(L) == 1:
        return np.ones((1, 1)), np.abs(L[0])
    left, values, _ = np.linalg.svd(L)
    return left, values
