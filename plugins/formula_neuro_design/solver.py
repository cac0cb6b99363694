"""The exact solver: the search for the estimator a, with the column space always the best one for it.

For a fixed tau the best a is a ridge solution, (tau I + M_B) a = h, and tau moves only by the small part of the
variance that misfit adds. So the ridge solution is both the start and the scale of a quasi-Newton search. Several
contrasts have an estimator each, and share the column space.
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
from .reduced import Coordinates, Reduced, coordinates, reduced
from .subspace import Subspace, best_subspace
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
    _check(family, constraints)
    space = coordinates(family, constraints.B) if space is None else space
    problem = reduced(space, family, p)
    if p == problem.q:
        return _nothing_free(family, constraints)
    if p > problem.Q.shape[1]:
        most = problem.Q.shape[1]
        raise DataError(
            f"the designs and fixed columns span {most} directions; ask for at most {most} columns, not {p}"
        )
    search = _search(problem, constraints, p)
    a, trace = _least(search, starts, seed, near)
    Z, c = design_and_contrast(problem, constraints, a, search.space(a))
    value = objective(Z, c, family)
    told = search.value_at(a)
    if not abs(value - told) <= AGREE * problem.const:
        raise FitError(f"the design found has the objective {value:.12g}, the search said {told:.12g}: too collinear")
    c = c if family.l.ndim == 2 else c[0]
    return Solution(Z, c, value, len(trace) - 1, np.array(trace) * problem.const, np.zeros(0))


def _check(family: Family, constraints: Constraints) -> None:
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


# ---- the search ----------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class _Search:
    """Feasible estimators a_s = origin_s + N L_s^-T z_s, so that the start's Hessian in z is the unit matrix."""

    problem: Reduced
    k: int
    origin: Array  # (s, r)
    N: Array  # (r, f)
    L: Array  # (s, f, f) lower triangular
    start: Array  # (s, f)

    def estimators(self, z: Array) -> Array:
        """(s, r) of z (s f,)."""
        rows = zip(self.L, z.reshape(self.start.shape), strict=True)
        return (
            self.origin + np.stack([linalg.solve_triangular(L, x, lower=True, trans="T") for L, x in rows]) @ self.N.T
        )

    def parameters(self, a: Array) -> Array:
        """z (s f,) of the feasible estimators nearest to a (s, r)."""
        rows = zip(self.L, (a - self.origin) @ self.N, strict=True)
        return np.concatenate([L.T @ x for L, x in rows])

    def apart(self, a: Array) -> bool:
        """Whether the parts of the estimators off the fixed columns are linearly independent."""
        size = np.linalg.svd(a[:, self.problem.q :], compute_uv=False)
        return bool(size[-1] > 1e-13 * np.abs(a).max())

    def space(self, a: Array) -> Subspace:
        Y = a[:, self.problem.q :].T
        if not self.apart(a):
            raise FitError(
                "the search met estimators that are within the fixed columns, or the same but for those, where no free "
                "column is defined"
            )
        return best_subspace(np.tensordot((a**2).sum(axis=1), self.problem.W, 1), Y, self.k)

    def value_at(self, a: Array) -> float:
        return self.value_and_slope_at(a)[0]

    def value_and_slope_at(self, a: Array) -> tuple[float, Array]:
        """G and its slope (s, r) by a (s, r); the slope by the column space is 0 at the best one."""
        r, space = self.problem, self.space(a)
        size, pull = (a**2).sum(axis=1), (r.M_B @ a[:, :, None])[:, :, 0]
        left = np.trace(r.W, axis1=1, axis2=2) - ((r.W @ space.basis) * space.basis).sum(axis=(1, 2))
        slope = 2 * ((r.kappa + left)[:, None] * a + pull - r.h)
        slope[:, r.q :] += space.slope.T
        value = r.kappa @ size + space.left + (a * (pull - 2 * r.h)).sum() + r.const
        return float(value), slope

    def value_and_slope(self, z: Array) -> tuple[float, Array]:
        """G as a share of what a = 0 has, so that the search's tolerances have no unit, and its slope by z."""
        value, slope = self.value_and_slope_at(self.estimators(z))
        rows = zip(self.L, slope @ self.N / self.problem.const, strict=True)
        return value / self.problem.const, np.concatenate([linalg.solve_triangular(L, x, lower=True) for L, x in rows])


def _search(problem: Reduced, constraints: Constraints, p: int) -> _Search:
    origin, N = _feasible(problem, constraints)
    spread = np.linalg.eigvalsh(problem.W)[:, : -(p - problem.q)].sum(axis=1)
    tau = problem.kappa + np.maximum(spread, 0.0)
    L, start = [], []
    for i in range(len(tau)):
        ridge = problem.M_B[i] + tau[i] * np.eye(len(problem.M_B[i]))
        own = np.linalg.cholesky(2 * N.T @ ridge @ N / problem.const)
        down = 2 * N.T @ (problem.h[i] - ridge @ origin[i]) / problem.const
        L.append(own)
        start.append(linalg.solve_triangular(own, down, lower=True))
    return _Search(problem, p - problem.q - len(tau), origin, N, np.stack(L), np.stack(start))


def _feasible(problem: Reduced, constraints: Constraints) -> tuple[Array, Array]:
    """All estimators that some feasible c has: B'a = A'c restricts a, entries of c on free columns do not."""
    s, r = problem.h.shape
    F = null_space((constraints.A.T @ constraints.free_directions()).T).T if problem.q else np.zeros((0, 0))
    if not len(F):
        return np.zeros((s, r)), np.eye(r)
    rows = F @ (problem.Q.T @ constraints.B).T
    wanted = np.atleast_2d(constraints.contrast()) @ constraints.A @ F.T
    return np.broadcast_to(wanted @ np.linalg.pinv(rows).T, (s, r)), null_space(rows)


def _least(search: _Search, starts: int, seed: int, near: Array | None) -> tuple[Array, list[float]]:
    """The best estimators of all searches, and the objective along that search."""
    rng = np.random.default_rng(seed)
    best: Any = None
    trace: list[float] = []
    # ftol 0: G is flat about its least value, where the slope is small only a few steps after the last fall seen
    options: Any = {"maxcor": 20, "gtol": 1e-10, "ftol": 0.0, "maxiter": 1000, "maxfun": 5000}
    ridge = search.start.ravel()
    points = [ridge]
    if near is not None:
        z = search.parameters(np.atleast_2d(near) @ search.problem.Q)
        if search.apart(search.estimators(z)):
            points = [min(ridge, z, key=lambda x: search.value_and_slope(x)[0])]
    for _ in range(starts - 1):
        scatter = rng.standard_normal(len(ridge)) * np.abs(ridge).mean()
        points.append(ridge * rng.uniform(0.3, 3) + scatter)
    for z in points:
        own = [search.value_and_slope(z)[0]]
        found = optimize.minimize(
            search.value_and_slope, z, jac=True, method="L-BFGS-B", callback=_recorder(own), options=options
        )
        if best is None or found.fun < best.fun:
            best, trace = found, own
    if not np.isfinite(best.fun) or best.status == 1:
        raise FitError("the search found no end in 1000 steps; phi nearer to .5, or fewer columns, may help")
    return search.estimators(best.x), trace


def _recorder(trace: list[float]) -> Any:
    def record(intermediate_result: Any) -> None:  # scipy tells by the name that the value is wanted
        trace.append(float(intermediate_result.fun))

    return record


# ---- no free column --------------------------------------------------------------------------------
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
