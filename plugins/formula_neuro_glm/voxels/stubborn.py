"""The few voxels on which batched scoring gives up, each by the search of a table's model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.estimator import ML
from formula_neuro.family import Array
from formula_neuro.kernels.irls import irls
from formula_neuro.kernels.normal_equations import root_of_inverse

from ..newton import search
from ..problem import Problem as TableProblem
from .design import Rows


@dataclass(frozen=True, eq=False)
class Alone:
    """One voxel: b (r,), V (r, r), iterations, converged."""

    b: Array
    V: Array
    iterations: int
    converged: bool


def alone(design: Rows, y: Array) -> Alone | None:
    """The estimate of the design's model for one response y (n,), None where the search has nowhere to begin."""
    return _likeliest(design, y) if isinstance(design.how, ML) else _adjusted(design, y)


def _likeliest(design: Rows, y: Array) -> Alone | None:
    family = design.family
    try:
        found = irls(design.Q, y, design.w, design.offset, family)
    except FitError:
        return None
    V = family.variance(found.mu)
    root = root_of_inverse(design.Q, design.w * family.link.derivative(found.eta) ** 2 / V)
    return Alone(found.b, root @ root.T, found.iterations, found.converged)


def _adjusted(design: Rows, y: Array) -> Alone | None:
    r = design.Q.shape[1]
    problem = TableProblem(
        design.how, design.family, design.Q, design.R, y, design.w, design.offset, np.eye(r), np.zeros(r)
    )
    best = None
    for a in problem.starts():
        start = problem.point(a)
        if start is None:
            continue
        found = search(problem.point, start, problem.cap)
        if best is None or (found.converged, -found.point.decrement) > (best.converged, -best.point.decrement):
            best = found
        if found.converged:
            break
    if best is None:
        return None
    root = np.linalg.inv(best.point.L)
    return Alone(best.point.a, root @ root.T, best.iterations, best.converged)
