"""Laplace's approximation with one random effect a group, for B responses at once, with exact derivatives.

    F = -2 l(mode) + v^2 + log D summed over groups,  D = 1 + t^2 sum z^2 W,  eta = X b + t z v + offset

up to the response's constant. With e_p = d eta/d psi_p at fixed v (z v for theta = t, x_j for b_j), the mode's
equation t sum z l' = v gives (implicit function theorem; -l'' = O, D_o = 1 + t^2 sum z^2 O, [t] = 1 for p = t)

    dv_p = ([t] sum z l' - t sum z O e_p) / D_o,      E_p = e_p + t z dv_p
    dF_p = -2 sum l' e_p + dD_p / D

and once more differentiated the Hessian. All sums over rows are of products z^a c_j c_k of the columns
c = (z, x_1, ..., x_r) with the rows' weights, because E_p is a combination of z and x_p with factors of the group.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from scipy import sparse

from formula_neuro.family import Array

from .newton import Which
from .problem import Problem, group_sums
from .rows import Rows

LARGEST = 50.0  # of theta on a logit or log scale, as for a single fit
ITERATIONS = 60
MODES = 1e-5  # of a step to the modes that is taken to first order in the rows, and leaves its square as an error


@dataclass(frozen=True, eq=False)
class Modes:
    """Modes v (G, A) at psi (A, 1 + r): linear predictors eta (n, A), score, and what failed (A,)."""

    v: Array
    eta: Array
    score: Array
    lost: Array


@dataclass(frozen=True, eq=False)
class Sums:
    """The sums over rows by groups, (P, G, A): pairs of columns times weights, P the pairs of 0..r."""

    O0: Array  # O c_j c_k
    O1: Array  # O' z c_j c_k
    W0: Array  # sum z^2 W, (G, A)
    W1: Array  # W' z c_0 c_k, (1 + r, G, A)
    W2: Array  # W'' z^2 c_j c_k


class Laplace:
    """F of B responses wy (n, B), as a target of minimise_many; it keeps each replicate's last modes."""

    def __init__(self, problem: Problem, wy: Array):
        self.problem, self.wy, self.rows = problem, wy, Rows(problem.family)
        B, m = wy.shape[1], 1 + problem.r
        self.columns = np.column_stack([problem.z, problem.X])
        self.pairs = list(combinations_with_replacement(range(m), 2))
        self.place = {pair: i for i, pair in enumerate(self.pairs)}
        self._psi, self._v, self._dv = np.zeros((B, m)), np.zeros((problem.G, B)), np.zeros((m, problem.G, B))

    # ---- sums over rows ------------------------------------------------------------------------------
    @cached_property
    def of_z(self) -> sparse.csr_array:
        return group_sums(self.problem, self.problem.z)

    @cached_property
    def of_zz(self) -> sparse.csr_array:
        return group_sums(self.problem, self.problem.z**2)

    @cached_property
    def of_pairs(self) -> list[sparse.csr_array]:
        """For z^a c_j c_k, a = 0, 1, 2; where z is 1 they are one."""
        c, z = self.columns, self.problem.z
        products = np.column_stack([c[:, j] * c[:, k] for j, k in self.pairs])
        first = group_sums(self.problem, products)
        return [first] * 3 if (z == 1).all() else [first, *(group_sums(self.problem, products * z**a) for a in (1, 2))]

    def _by_pair(self, matrix: sparse.csr_array, R: Array) -> Array:
        return np.asarray(matrix @ R).reshape(-1, self.problem.G, R.shape[1])

    def sums(self, wy: Array, eta: Array) -> Sums:
        found = self.rows.weights(wy, self.problem.w, eta)
        (W, W1, W2), (O, O1) = found.fisher, found.observed
        zero, one, two = self.of_pairs
        m = 1 + self.problem.r
        O0, O1_ = self._by_pair(zero, O), self._by_pair(one, O1)
        if O is W:
            return Sums(O0, O1_, O0[0], O1_[:m], self._by_pair(two, W2))
        return Sums(O0, O1_, self.of_zz @ W, self._by_pair(one, W1)[:m], self._by_pair(two, W2))

    # ---- modes ---------------------------------------------------------------------------------------
    def modes(self, psi: Array, which: Which, wy: Array) -> Modes:
        """Newton's method in every group at once, its steps at most 1 in the linear predictor."""
        p = self.problem
        t = psi[:, 0]
        fixed = p.X @ psi[:, 1:].T + p.offset
        v = self._v[:, which] + np.einsum("am,mga->ga", psi - self._psi[which], self._dv[:, :, which])
        reach = 1 / np.maximum(np.abs(t) * np.abs(p.z).max(), 1e-3)
        for _ in range(ITERATIONS):
            eta = fixed + (t * p.z) * v[p.codes]
            score, observed = self.rows.score(wy, p.w, eta)
            slope, bend = t * (self.of_z @ score) - v, 1 + t**2 * (self.of_zz @ observed)
            step = np.clip(slope / np.maximum(bend, 1e-3), -reach, reach)
            v = v + step
            far = ~(np.abs(step) < MODES).all(axis=0)
            if not far.any():
                moved = (t * p.z) * step[p.codes]
                return Modes(v, eta + moved, score - observed * moved, far)
        return Modes(v, eta, score, far)

    def value(self, psi: Array, which: Which) -> Array:
        """F (A,) alone."""
        with np.errstate(all="ignore"):
            wy = self._responses(which)
            at = self.modes(psi, which, wy)
            W = self.rows.weights(wy, self.problem.w, at.eta).fisher[0]
            D = 1 + psi[:, 0] ** 2 * (self.of_zz @ W)
            return self._checked(self._value(wy, at, D), psi, at)

    def _responses(self, which: Which) -> Array:
        return self.wy if len(which) == self.wy.shape[1] else self.wy[:, which]

    def _value(self, wy: Array, at: Modes, D: Array) -> Array:
        kernel = self.rows.kernel(wy, self.problem.w, at.eta).sum(axis=0)
        return np.asarray(-2 * kernel + (at.v**2 + np.log(D)).sum(axis=0))

    def _checked(self, value: Array, psi: Array, at: Modes) -> Array:
        lost = at.lost | ~np.isfinite(value) | (np.abs(psi[:, 0]) > LARGEST)
        return np.where(lost, np.inf, value)

    # ---- derivatives ---------------------------------------------------------------------------------
    def expand(self, psi: Array, which: Which) -> tuple[Array, Array, Array]:
        """F (A,), dF (A, m), d2F (A, m, m)."""
        with np.errstate(all="ignore"):  # a replicate that is lost is answered by inf, not by a warning
            wy = self._responses(which)
            at = self.modes(psi, which, wy)
            moved = Derivatives(self, psi[:, 0], at, self.sums(wy, at.eta))
            value = self._checked(self._value(wy, at, moved.D), psi, at)
            gradient, hessian = moved.gradient(), moved.hessian()
        return self._remembered(psi, which, at, moved, value, gradient, hessian)

    def _remembered(
        self, psi: Array, which: Which, at: Modes, moved: Derivatives, value: Array, gradient: Array, hessian: Array
    ) -> tuple[Array, Array, Array]:
        fine = np.isfinite(value) & np.isfinite(gradient).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
        kept = which[fine]
        self._psi[kept], self._v[:, kept] = psi[fine], at.v[:, fine]
        self._dv[:, :, kept] = moved.dv[:, :, fine]
        gradient[~fine], hessian[~fine] = 0.0, np.eye(psi.shape[1])
        return np.where(fine, value, np.inf), gradient, hessian

    def length(self, psi: Array, step: Array) -> Array:
        """At most 5 units of the linear predictor, or a doubling of it or of theta."""
        X = self.problem.X
        eta, moved = (np.abs(X @ part[:, 1:].T).max(axis=0, initial=0.0) for part in (psi, step))
        of_theta = np.abs(step[:, 0]) / np.maximum(1.0, np.abs(psi[:, 0]))
        return np.asarray(np.maximum(moved / np.maximum(5.0, eta), of_theta))


class Derivatives:
    """dF and d2F at the modes; t (A,), everything by groups (G, A)."""

    def __init__(self, target: Laplace, t: Array, at: Modes, sums: Sums):
        self.target, self.t, self.at, self.sums = target, t, at, sums
        self.m = 1 + target.problem.r
        self.Sz = target.of_z @ at.score
        self.D = 1 + t**2 * sums.W0
        self.D_o = 1 + t**2 * sums.O0[0]
        zero = np.zeros_like(at.v)
        self.own = [at.v, *[zero] * (self.m - 1)]  # the factor of z in e_p
        self.dv = np.stack([self._dv(p) for p in range(self.m)])
        self.alpha = [self.own[p] + t * self.dv[p] for p in range(self.m)]  # the factor of z in E_p
        self.OE = [self._line(sums.O0, p, self.alpha[p]) for p in range(self.m)]  # sum z O E_p
        self.WE = [self._line(sums.W1, p, self.alpha[p]) for p in range(self.m)]  # sum z^2 W' E_p
        self.dD = [t**2 * self.WE[p] + (2 * t * sums.W0 if p == 0 else 0.0) for p in range(self.m)]

    def _line(self, Q: Array, p: int, factor: Array) -> Array:
        """sum of weights z^a c_0 (factor z + x_p), Q with the pairs (0, k) first."""
        return factor * Q[0] + (Q[p] if p else 0.0)

    def _pair(self, Q: Array, p: int, q: int, a: Array, b: Array) -> Array:
        """sum of weights z^a (a z + x_p) (b z + x_q), where x_0 = 0."""
        total = a * b * Q[0]
        if q:
            total = total + a * Q[q]
        if p:
            total = total + b * Q[p]
        if p and q:
            total = total + Q[self.target.place[min(p, q), max(p, q)]]
        return np.asarray(total)

    def _dv(self, p: int) -> Array:
        through = self.t * self._line(self.sums.O0, p, self.own[p])
        return np.asarray(((self.Sz if p == 0 else 0.0) - through) / self.D_o)

    def gradient(self) -> Array:
        X, score = self.target.problem.X, self.at.score
        explicit = np.vstack([(self.at.v * self.Sz).sum(axis=0), X.T @ score])
        return np.asarray((np.stack([(d / self.D).sum(axis=0) for d in self.dD]) - 2 * explicit).T)

    def hessian(self) -> Array:
        H = np.empty((len(self.t), self.m, self.m))
        for p in range(self.m):
            for q in range(p, self.m):
                H[:, p, q] = H[:, q, p] = self._second(p, q).sum(axis=0)
        return H

    def _second(self, p: int, q: int) -> Array:
        t, s, dv = self.t, self.sums, self.dv
        at_t, both = p == 0, q == 0  # p <= q: q is theta only where p is
        bent = (dv[q] if at_t else 0.0) + (dv[p] if both else 0.0)  # of the explicit z v in eta
        pulled = (self.OE[q] if at_t else 0.0) + (self.OE[p] if both else 0.0)
        ddv = -(pulled + t * self._pair(s.O1, p, q, self.alpha[p], self.alpha[q]) + t * s.O0[0] * bent) / self.D_o
        ddD = t**2 * (self._pair(s.W2, p, q, self.alpha[p], self.alpha[q]) + s.W1[0] * (bent + t * ddv))
        if at_t:
            ddD = ddD + 2 * t * (self.WE[q] + (self.WE[p] if both else 0.0)) + (2 * s.W0 if both else 0.0)
        total = 2 * self._pair(s.O0, p, q, self.own[p], self.alpha[q]) + ddD / self.D
        if at_t:
            total = total - 2 * dv[q] * self.Sz
        return np.asarray(total - self.dD[p] * self.dD[q] / self.D**2)
