"""The exact derivatives in theta of the profiled deviance of a linear mixed model.

With V = I + Z S Z', S = L L', B_i = Z S_i Z', S_i = E_i L' + L E_i' (E_i = dL/dtheta_i), S_ij = E_i E_j' + E_j E_i'
(where L has a structure + L_ij L' + L L_ij') and P = V^-1 - V^-1 X C X' V^-1, C = (X'V^-1X)^-1:

    d_i  = tr(T B_i) - df y'PB_iPy / r2
    d_ij = tr(T B_ij) - tr(T B_i T B_j) + df [(2 y'PB_iPB_jPy - y'PB_ijPy) / r2 - y'PB_iPy y'PB_jPy / r2^2]

T is P for REML and V^-1 for ML.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .first_guess import first_guess
from .minque import minque_theta
from .moments import moments_of
from .profiled import Products, Solution, solve


@dataclass(frozen=True, eq=False)
class Slopes:
    """The pieces of the derivatives, one row or column per element of theta, at s2 = r2/df.

    `first` is tr(T B_i) - y'PB_iPy/s2, `second` the part of the Hessian that does not come from
    profiling s2, `quadratic` is y'PB_iPy.
    """

    first: Array
    second: Array
    quadratic: Array


def slopes(products: Products, theta: Array, at: Solution) -> Slopes:
    """First and second derivatives in theta of the deviance with s2 held at r2/df."""
    s2, factors = at.r2 / products.df, products.factors
    changes = [factor.slopes(theta) for factor in factors]
    found = moments_of(at, [(f, D) for f, stack in enumerate(changes) for D in stack])
    trace, traces = found.projected(at.C) if products.reml else (found.trace, found.traces)
    first, second = trace - found.linear / s2, 2 * found.quadratic / s2 - traces
    start = 0
    for f, factor in enumerate(factors):
        own = slice(start, start + len(factor.theta))
        second[own, own] += factor.bends(theta, _in_S(products, at, f, s2))
        start = own.stop
    second = (second + second.T) / 2
    if len(factors) == 1:
        return Slopes(first, second, found.linear)
    back = np.argsort(np.concatenate([factor.theta for factor in factors]))
    return Slopes(first[back], second[back][:, back], found.linear[back])


def _in_S(products: Products, at: Solution, f: int, s2: float) -> Array:
    """The derivative (K, K) in a factor's S: the sum over levels of T's blocks - k k' / s2."""
    W = at.Gk[f]
    columns = W.transpose(1, 0, 2).reshape(W.shape[1], -1)
    scaled = np.empty_like(W)
    scaled[..., :-1] = W[..., :-1] @ at.C if products.reml else 0.0
    scaled[..., -1] = W[..., -1] / s2
    return np.asarray(at.H.diagonal[f] - columns @ scaled.transpose(1, 0, 2).reshape(W.shape[1], -1).T)


def derivatives(products: Products, theta: Array, at: Solution | None = None) -> tuple[float, Array, Array]:
    """The profiled deviance with its exact gradient and Hessian in theta; `at` saves solving the model there again.

    d(theta) = D(theta, s2(theta)); profiling s2 = r2/df takes q_i q_j df / r2^2 off the Hessian.
    """
    at = solve(products, theta) if at is None else at
    parts = slopes(products, theta, at)
    hessian = parts.second - np.outer(parts.quadratic, parts.quadratic) * products.df / at.r2**2
    return at.value, parts.first, hessian


def gradient(products: Products, theta: Array) -> tuple[float, Array]:
    """The profiled deviance with its exact gradient."""
    value, first, _ = derivatives(products, theta)
    return value, first


class Solver:
    """Value and derivatives for a search, which asks for both at most points: the last solutions are kept."""

    def __init__(self, products: Products, kept: int = 4):
        self._products = products
        self._last: deque[tuple[Array, Solution]] = deque(maxlen=kept)

    def solution(self, theta: Array) -> Solution:
        for point, known in self._last:
            if np.array_equal(point, theta):
                return known
        found = solve(self._products, theta)
        self._last.append((theta.copy(), found))
        return found

    def value(self, theta: Array) -> float:
        """Infinite where theta is so large that the arithmetic fails."""
        try:
            return self.solution(theta).value
        except (LinAlgError, FitError):
            return float("inf")

    def start(self) -> Array:
        return minque_theta(self._products, first_guess(self._products))

    def derivatives(self, theta: Array) -> tuple[float, Array, Array]:
        return derivatives(self._products, theta, self.solution(theta))

    def gradient(self, theta: Array) -> tuple[float, Array]:
        value, first, _ = self.derivatives(theta)
        return value, first
