"""One grouping factor with one effect a level: the criterion in closed form, as a function of lambda = theta^2.

With z = Z_g'Z_g and w = Z_g'[X y] of level g

    [X y]'V^-1[X y] = [X y]'[X y] - sum_g lambda / (1 + lambda z) w w',    log|V| = sum_g log(1 + lambda z),

so that an evaluation with both derivatives is one product of a (3, L) matrix with the L matrices w w' and some numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.linalg import LinAlgError

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from ..stacks import inverse_and_logdet
from .minque import SMALLEST, ratios
from .profiled import NO_RESIDUAL, Products, Solution, solve
from .reduction import Sums

MOST = 1e7  # elements of all w w'
Rates = tuple[float, float, float]  # a value, its first and its second derivative in lambda


@dataclass(frozen=True)
class Parts:
    """What the deviance is made of."""

    V: Rates  # log|V|
    X: Rates  # log|X'V^-1X|
    r2: Rates

    def deviance(self, products: Products) -> Rates:
        (r2, slope, bend), df = self.r2, products.df
        value = self.V[0] + df * (1 + math.log(2 * math.pi * r2 / df)) + products.constant
        first, second = self.V[1] + df * slope / r2, self.V[2] + df * (bend / r2 - (slope / r2) ** 2)
        if not products.reml:
            return value, first, second
        return value + self.X[0], first + self.X[1], second + self.X[2]


class ScalarSolver:
    """As `Solver`, of sums for which `closed_form` is true."""

    def __init__(self, sums: Sums):
        self._sums = sums
        w = sums.ZW[0][:, 0]
        self._z = sums.ZZ.ravel()
        self._ww = (w[:, :, None] * w[:, None, :]).reshape(len(w), -1)
        self._parts = lru_cache(maxsize=4)(self.parts)  # a search asks for the value first, then for derivatives

    def parts(self, lam: float) -> Parts:
        """At one lambda; FitError and LinAlgError as `solve` raises them."""
        r = self._sums.rank
        ratio = 1 + lam * self._z
        R = 1 / ratio
        squared, zR = R * R, self._z * R
        moved = np.array((lam * R, squared, zR * squared)) @ self._ww
        changes = moved.reshape(3, r + 1, r + 1)
        A, A1, A2 = self._sums.total - changes[0], -changes[1], 2 * changes[2]
        C, logdet = inverse_and_logdet(A[:r, :r])
        v = np.ones(r + 1)
        v[:r] = -(C @ A[:r, r])
        r2 = float(v @ A[r])
        if not r2 > 1e-11 * self._sums.yy:
            raise FitError(NO_RESIDUAL)
        CX, moved_v = C @ A1[:r, :r], A1 @ v
        return Parts(
            V=(float(np.log(ratio).sum()), float(zR.sum()), -float(zR @ zR)),
            X=(logdet, float(CX.trace()), float(np.vdot(C, A2[:r, :r]) - np.vdot(CX, CX.T))),
            r2=(r2, float(v @ moved_v), float(v @ A2 @ v - 2 * moved_v[:r] @ C @ moved_v[:r])),
        )

    def value(self, theta: Array) -> float:
        """Infinite where theta is so large that the arithmetic fails."""
        try:
            return self._parts(float(theta[0]) ** 2).deviance(self._sums)[0]
        except (LinAlgError, FitError):
            return float("inf")

    def derivatives(self, theta: Array) -> tuple[float, Array, Array]:
        t = float(theta[0])
        value, first, second = self._parts(t**2).deviance(self._sums)
        return value, np.array([2 * t * first]), np.array([[2 * first + 4 * t**2 * second]])

    def gradient(self, theta: Array) -> tuple[float, Array]:
        value, first, _ = self.derivatives(theta)
        return value, first

    def solution(self, theta: Array) -> Solution:
        return solve(self._sums, theta)

    def start(self) -> Array:
        """As `minque_theta`, from lambda = 1."""
        at = self._parts(1.0)
        X = at.X if self._sums.reml else (0.0, 0.0, 0.0)
        single, double = np.array([at.V[1] + X[1]]), np.array([[-at.V[2] - X[2]]])
        found = ratios(self._sums, np.ones(1), single, double, at.r2[0], np.array([-at.r2[1]]))
        return np.sqrt(np.maximum(found, SMALLEST**2))


def closed_form(products: Products) -> ScalarSolver | None:
    """The solver, where the model has this form and the sums are few enough."""
    if not isinstance(products, Sums) or len(products.factors) > 1 or products.factors[0].K > 1:
        return None
    return ScalarSolver(products) if products.factors[0].levels * (products.rank + 1) ** 2 <= MOST else None
