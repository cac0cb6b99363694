"""The exact solver: the search for the estimator a, with the column space always the best one for it.

For a fixed tau the best a is a ridge solution, (tau I + M_B) a = h, and tau moves only by the small part of the
variance that misfit adds. So the ridge solution is both the start and the scale of a quasi-Newton search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, optimize

from formula_neuro.errors import DataError, FitError
from formula_neuro.family import Array

from .constraints import Constraints, null_space
from .family import Family
from .objective import objective
from .reduced import Reduced, reduced
from .subspace import Subspace, best_subspace
from .usable import design_and_contrast

AGREE = 1e-8  # between reduced and literal objective, as a share of that of a = 0; rounding is 1e-15 on the paper's


@dataclass(frozen=True, eq=False)
class Solution:
    """Z (n, p), c (p,), the literal objective there, and how many steps the search took."""

    Z: Array
    c: Array
    objective: float
    iterations: int


def solve(family: Family, constraints: Constraints, starts: int = 1, seed: int = 1) -> Solution:
    """The Z and c of least objective under ZA = B and Cc = d.

    starts: searches, the first from the ridge solution and the others from random multiples of it; the best is kept.
    Raises DataError (more columns than the designs span) and FitError (the search ended nowhere).
    """
    n, p = len(family.v), len(constraints.A)
    if len(constraints.B) != n:
        raise DataError(f"the fixed columns have {len(constraints.B)} scans and the designs {n}")
    if p >= n:
        raise DataError(f"{p} columns of {n} scans leave no degree of freedom for the noise")
    problem = reduced(family, constraints.B, p)
    if p == problem.q:
        return _nothing_free(family, constraints)
    if p > problem.Q.shape[1]:
        most = problem.Q.shape[1]
        raise DataError(
            f"the designs and fixed columns span {most} directions; ask for at most {most} columns, not {p}"
        )
    search = _search(problem, constraints, p)
    a, iterations = _least(search, starts, seed)
    Z, c = design_and_contrast(problem, constraints, a, search.space(a))
    value = objective(Z, c, family)
    told = search.value_at(a)
    if not abs(value - told) <= AGREE * problem.const:
        raise FitError(f"the design found has the objective {value:.12g}, the search said {told:.12g}: too collinear")
    return Solution(Z, c, value, iterations)


# ---- the search ----------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Search:
    """Feasible estimators a = origin + N L^-T z, so that the start's Hessian in z is the unit matrix."""

    problem: Reduced
    k: int
    origin: Array  # (r,)
    N: Array  # (r, f)
    L: Array  # (f, f) lower triangular
    start: Array  # (f,)

    def estimator(self, z: Array) -> Array:
        return self.origin + self.N @ linalg.solve_triangular(self.L, z, lower=True, trans="T")

    def space(self, a: Array) -> Subspace:
        y = a[self.problem.q :]
        if not np.abs(y).max() > 1e-13 * np.abs(a).max():
            raise FitError("the search met an estimator within the fixed columns, where no free column is defined")
        return best_subspace(self.problem.W, y, self.k)

    def value_at(self, a: Array) -> float:
        tau = self.problem.kappa + self.space(a).left
        return float(tau * (a @ a) + a @ self.problem.M_B @ a - 2 * (a @ self.problem.h) + self.problem.const)

    def value_and_slope(self, z: Array) -> tuple[float, Array]:
        """G as a share of what a = 0 has, so that the search's tolerances have no unit, and its slope by z."""
        r, a = self.problem, self.estimator(z)
        space, pull = self.space(a), r.M_B @ a
        tau, size = r.kappa + space.left, a @ a
        slope = 2 * (tau * a + pull - r.h)
        slope[r.q :] += size * space.slope
        value = tau * size + a @ pull - 2 * (a @ r.h) + r.const
        return float(value) / r.const, linalg.solve_triangular(self.L, self.N.T @ slope / r.const, lower=True)


def _search(problem: Reduced, constraints: Constraints, p: int) -> _Search:
    origin, N = _feasible(problem, constraints)
    spread = np.linalg.eigvalsh(problem.W)[: -(p - problem.q)].sum()
    tau = problem.kappa + max(spread, 0.0)
    L = np.linalg.cholesky(2 * N.T @ (problem.M_B @ N + tau * N) / problem.const)
    down = 2 * N.T @ (problem.h - problem.M_B @ origin - tau * origin) / problem.const
    return _Search(problem, p - problem.q - 1, origin, N, L, linalg.solve_triangular(L, down, lower=True))


def _feasible(problem: Reduced, constraints: Constraints) -> tuple[Array, Array]:
    """All estimators that some feasible c has: B'a = A'c restricts a, entries of c on free columns do not."""
    r, q = problem.Q.shape[1], problem.q
    F = null_space((constraints.A.T @ constraints.free_directions()).T).T if q else np.zeros((0, 0))
    if not len(F):
        return np.zeros(r), np.eye(r)
    rows = F @ (problem.Q.T @ constraints.B).T
    return np.linalg.pinv(rows) @ (F @ constraints.A.T @ constraints.contrast()), null_space(rows)


def _least(search: _Search, starts: int, seed: int) -> tuple[Array, int]:
    rng = np.random.default_rng(seed)
    best: Any = None
    options: Any = {"maxcor": 20, "gtol": 1e-10, "ftol": 1e-15, "maxiter": 1000, "maxfun": 5000}
    for i in range(starts):
        scatter = rng.standard_normal(len(search.start)) * np.abs(search.start).mean()
        z = search.start if i == 0 else search.start * rng.uniform(0.3, 3) + scatter
        found = optimize.minimize(search.value_and_slope, z, jac=True, method="L-BFGS-B", options=options)
        if best is None or found.fun < best.fun:
            best = found
    if best is None or not np.isfinite(best.fun) or best.status == 1:
        raise FitError("the search found no end in 1000 steps; phi nearer to .5, or fewer columns, may help")
    return search.estimator(best.x), int(best.nit)


# ---- no free column --------------------------------------------------------------------------------
def _nothing_free(family: Family, constraints: Constraints) -> Solution:
    """Z = B A^-1; c is given, or the ridge solution within its equations."""
    Z = constraints.B @ np.linalg.inv(constraints.A)
    c, N = constraints.contrast(), constraints.free_directions()
    if N.shape[1]:
        # G is quadratic in c: its Hessian and slope at c come from Z alone
        K = np.linalg.inv(Z.T @ Z)
        seen, left = K @ (Z.T @ family.v), family.v - Z @ (K @ (Z.T @ family.v))
        price, push = 2 * family.phi * family.w, (2 - 2 * family.phi) * family.w
        tau = price @ (1 + (left**2).sum(axis=0) / (len(Z) - Z.shape[1]))
        hessian = tau * K + (seen * push) @ seen.T
        c = c + N @ np.linalg.solve(N.T @ hessian @ N, N.T @ (seen @ (push * family.l) - hessian @ c))
    return Solution(Z, c, objective(Z, c, family), 0)
