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


def settle(search: Descent, value: Callable[[Array], float], terms: Sequence[Term], start: Array) -> Minimum:
    """The minimum from `start`; directions of hardly any variance are set to 0 exactly where that costs nothing.

    theta comes first in the vectors; what follows it is left alone. At an exact 0 the gradient in that
    direction vanishes by symmetry, so the second search looks at the curvature there, which is twice the
    derivative in the variance: where it is negative the search leaves the boundary again (Karush, Kuhn, Tucker).
    A variance that hardly matters may be a local minimum beside a lower one at 0: that is looked at too.
    """
    found = search(start)
    for point in nearby(terms, found.point):
        if value(point) < found.value + WEAK:  # the others may move along 0
            other = search(point, goal=found.value)
            better = other.value < found.value - 1e-9 * max(1.0, abs(found.value))
            found = replace(other if better else found, iterations=found.iterations + other.iterations)
    flat = flattened(terms, found.point)
    if flat is None or not value(flat) <= found.value + 1e-9 * max(1.0, abs(found.value)):
        return found
    again = search(flat)
    return replace(again, iterations=found.iterations + again.iterations)


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
