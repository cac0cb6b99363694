"""The few voxels on which batched scoring gives up, each by the search of a table's model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.estimator import ML
from formula_neuro.family import Array
from formula_neuro.kernels.irls import irls
from formula_neuro.kernels.normal_equations import root_of_inverse

from ..newton import Point, search
from ..problem import Problem as TableProblem
from .design import Rows
from .estimates import Estimates

ROWS = 2_000_000  # that one voxel may take: where so many do not lead to a root, there hardly is one


@dataclass
class Limited:
    """A problem with so many evaluations left."""

    problem: TableProblem
    left: int

    def point(self, a: Array) -> Point | None:
        """The problem's own, None when there are none left."""
        self.left -= 1
        return self.problem.point(a) if self.left >= 0 else None


def alone(design: Rows, y: Array) -> Estimates | None:
    """The estimate of the design's model for one response y (n,), None where the search has nowhere to begin."""
    return _likeliest(design, y) if isinstance(design.how, ML) else _adjusted(design, y)


def _likeliest(design: Rows, y: Array) -> Estimates | None:
    family = design.family
    try:
        found = irls(design.Q, y, design.w, design.offset, family)
    except FitError:
        return None
    V = family.variance(found.mu)
    root = root_of_inverse(design.Q, design.w * family.link.derivative(found.eta) ** 2 / V)
    return _one(design, y, found.b, root, found.iterations, found.converged)


def _adjusted(design: Rows, y: Array) -> Estimates | None:
    r = design.Q.shape[1]
    problem = TableProblem(
        design.how, design.family, design.Q, design.R, y, design.w, design.offset, np.eye(r), np.zeros(r)
    )
    best, limited = None, Limited(problem, max(1, ROWS // len(y)))
    for a in problem.starts():
        start = limited.point(a)
        if start is None:
            continue
        found = search(limited.point, start, problem.cap)
        if best is None or (found.converged, -found.point.decrement) > (best.converged, -best.point.decrement):
            best = found
        if found.converged:
            break
    if best is None:
        return None
    root: Array = np.asarray(np.linalg.inv(best.point.L), dtype=np.float64)
    return _one(design, y, best.point.a, root, best.iterations, best.converged)


def _one(design: Rows, y: Array, b: Array, root: Array, iterations: int, converged: bool) -> Estimates:
    with np.errstate(all="ignore"):
        mu = design.family.link.inverse(design.Q @ b + design.offset)
        loglik = -design.family.deviance(y, mu, design.w).sum() / 2
    out = Estimates.empty(1, len(b))
    out.b[0], out.V[0], out.loglik[0], out.iterations[0], out.converged[0] = (
        b,
        root @ root.T,
        loglik,
        iterations,
        converged,
    )
    return out
