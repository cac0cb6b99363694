"""The search for the estimators a of least objective, with the column space always the best one for them.

For a fixed tau the best a is a ridge solution, (tau I + M_B) a = h, and tau moves only by the small part of the
variance that misfit adds. So the ridge solution is both the start and the scale of a quasi-Newton search. Several
contrasts have an estimator each, and share the column space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import linalg, optimize

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .constraints import Constraints, null_space
from .reduced import Reduced
from .subspace import Subspace, best_subspace


@dataclass(frozen=True, eq=False)
class Search:
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


def search_of(problem: Reduced, constraints: Constraints, p: int) -> Search:
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
    return Search(problem, p - problem.q - len(tau), origin, N, np.stack(L), np.stack(start))


def _feasible(problem: Reduced, constraints: Constraints) -> tuple[Array, Array]:
    """All estimators that some feasible c has: B'a = A'c restricts a, entries of c on free columns do not."""
    s, r = problem.h.shape
    F = null_space((constraints.A.T @ constraints.free_directions()).T).T if problem.q else np.zeros((0, 0))
    if not len(F):
        return np.zeros((s, r)), np.eye(r)
    rows = F @ (problem.Q.T @ constraints.B).T
    wanted = np.atleast_2d(constraints.contrast()) @ constraints.A @ F.T
    return np.broadcast_to(wanted @ np.linalg.pinv(rows).T, (s, r)), null_space(rows)


def least(search: Search, starts: int, seed: int, near: Array | None) -> tuple[Array, list[float]]:
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
