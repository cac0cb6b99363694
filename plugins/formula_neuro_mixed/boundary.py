"""Optimising over templates whose best value may be singular."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from formula_neuro.family import Array
from formula_neuro.kernels.templates import lower_factor, vech

from .checks import small_directions
from .newton import Minimum
from .terms import Term


def settle(
    search: Callable[[Array], Minimum], value: Callable[[Array], float], terms: Sequence[Term], start: Array
) -> Minimum:
    """The minimum from `start`; directions of hardly any variance are set to 0 exactly where that costs nothing.

    theta comes first in the vectors; what follows it is left alone. At an exact 0 the gradient in that
    direction vanishes by symmetry, so the second search looks at the curvature there, which is twice the
    derivative in the variance: where it is negative the search leaves the boundary again (Karush, Kuhn, Tucker).
    """
    found = search(start)
    flat = flattened(terms, found.point)
    if flat is None or not value(flat) <= found.value + 1e-9 * max(1.0, abs(found.value)):
        return found
    again = search(flat)
    return replace(again, iterations=found.iterations + again.iterations)


def flattened(terms: Sequence[Term], point: Array) -> Array | None:
    """The point with its small directions at 0, or None where there are none to change."""
    out = point.copy()
    for term in terms:
        L = term.template(point)
        small = small_directions(L)
        if small.any():
            left, values, _ = np.linalg.svd(L)
            out[term.theta] = vech(lower_factor(left * np.where(small, 0.0, values)))
    return None if np.array_equal(out, point) else out


def free(terms: Sequence[Term], point: Array) -> Array:
    """Which elements of theta (all True but the null columns of singular templates) can be estimated."""
    mask = np.ones(len(point), dtype=bool)
    for term in terms:
        L = term.template(point)
        columns = np.array([j for _, j in term.elements])
        mask[term.theta] = (L != 0).any(axis=0)[columns]
    return mask
