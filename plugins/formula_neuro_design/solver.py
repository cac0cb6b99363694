"""The exact solver: the best estimators, then a design matrix and contrasts that have them, checked by the literal
objective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import DataError, FitError
from formula_neuro.family import Array

from .constraints import Constraints
from .family import Family
from .objective import objective
from .reduced import Coordinates, coordinates, reduced
from .search import least, search_of
from .usable import design_and_contrast

AGREE = 1e-8  # between reduced and literal objective, as a share of that of a = 0; rounding is 1e-15 on the paper's


@dataclass(frozen=True, eq=False)
class Solution:
    """Z (n, p), c (p,) or (s, p), the literal objective there, and how many steps the search took.

    `trace` is the objective at the start and after each step; `steps` are Algorithm 1's alpha, empty otherwise.
    """

    Z: Array
    c: Array
    objective: float
    iterations: int
    trace: Array
    steps: Array


def solve(
    family: Family,
    constraints: Constraints,
    starts: int = 1,
    seed: int = 1,
    *,
    space: Coordinates | None = None,
    near: Array | None = None,
) -> Solution:
    """The Z and c of least objective under ZA = B and Cc = d.

    starts: searches, the first from the ridge solution and the others from random multiples of it; the best is kept.
    space: coordinates(family, constraints.B), where they are known already. near: estimators (n,) or (s, n) of a
    similar problem to start from too, as a path's previous ones. Raises DataError (more columns than the designs span,
    contrasts that are not told apart) and FitError (the search ended nowhere).
    """
    p = len(constraints.A)
    check(family, constraints)
    space = coordinates(family, constraints.B) if space is None else space
    problem = reduced(space, family, p)
    if p == problem.q:
        return _nothing_free(family, constraints)
    if p > problem.Q.shape[1]:
        most = problem.Q.shape[1]
        raise DataError(
            f"the designs and the given columns span {most} directions and the design would have {p} columns, given "
            f"ones counted; ask for {p - most} fewer"
        )
    search = search_of(problem, constraints, p)
    a, trace = least(search, starts, seed, near)
    Z, c = design_and_contrast(problem, constraints, a, search.space(a))
    value = objective(Z, c, family)
    told = search.value_at(a)
    if not abs(value - told) <= AGREE * problem.const:
        raise FitError(f"the design found has the objective {value:.12g}, the search said {told:.12g}: too collinear")
    c = c if family.l.ndim == 2 else c[0]
    return Solution(Z, c, value, len(trace) - 1, np.array(trace) * problem.const, np.zeros(0))


def check(family: Family, constraints: Constraints) -> None:
    """Raise DataError where family and constraints are no problem of one design."""
    n, p, q = len(family.v), *constraints.A.shape
    s, sides = len(family.truth), np.atleast_2d(constraints.d)
    if len(constraints.B) != n:
        raise DataError(f"the fixed columns have {len(constraints.B)} scans and the designs {n}")
    if p >= n:
        raise DataError(f"{p} columns of {n} scans leave no degree of freedom for the noise")
    if len(constraints.C) and len(sides) != s:
        raise DataError(f"the family has {s} contrasts and Cc = d {len(sides)}; one right side for each is expected")
    if q < p < q + s:
        raise DataError(f"{s} contrasts need {s} free columns beside {q} fixed ones; ask for {q + s}, not {p}")


def _nothing_free(family: Family, constraints: Constraints) -> Solution:
    """Z = B A^-1; c is given, or the ridge solution within its equations."""
    Z = constraints.B @ np.linalg.inv(constraints.A)
    s, N = len(family.truth), constraints.free_directions()
    c = np.array(np.broadcast_to(constraints.contrast(), (s, len(N))))
    if N.shape[1]:
        # G is quadratic in each c: its Hessian and slope at c come from Z alone
        K = np.linalg.inv(Z.T @ Z)
        seen, left = K @ (Z.T @ family.v), family.v - Z @ (K @ (Z.T @ family.v))
        push = family.push
        tau = family.kappa + family.price @ (left**2).sum(axis=0) / (len(Z) - Z.shape[1])
        for i in range(s):
            hessian = tau[i] * K + (seen * push[i]) @ seen.T
            down = N.T @ (seen @ (push[i] * family.truth[i]) - hessian @ c[i])
            c[i] += N @ np.linalg.solve(N.T @ hessian @ N, down)
    c = c if family.l.ndim == 2 else c[0]
    value = objective(Z, c, family)
    return Solution(Z, c, value, 0, np.array([value]), np.zeros(0))
