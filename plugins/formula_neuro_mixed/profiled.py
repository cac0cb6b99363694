"""The profiled deviance of a linear mixed model and its exact derivatives in theta.

Bates et al. (2015, equations 34 and 41) for the criterion. With V = I + Z S Z', S = L L', B_i = Z S_i Z',
S_i = E_i L' + L E_i' (E_i = dL/dtheta_i) and P = V^-1 - V^-1 X C X' V^-1, C = (X'V^-1X)^-1:

    d_i  = tr(T B_i) - df y'PB_iPy / r2
    d_ij = tr(T B_ij) - tr(T B_i T B_j) + df [(2 y'PB_iPB_jPy - y'PB_ijPy) / r2 - y'PB_iPy y'PB_jPy / r2^2]

T is P for REML and V^-1 for ML. Everything is taken from H = Z'V^-1Z, G = Z'V^-1X and k = Z'Py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .terms import Term, apply_blocks, diagonal_blocks

NO_RESIDUAL = (
    "the residual variance goes to 0: the fixed and random effects reproduce the response exactly, "
    "so the likelihood has no maximum; use fewer random terms or coarser groups"
)


@dataclass(frozen=True, eq=False)
class Products:
    """All that the criterion needs of the data: y and Z scaled by sqrt(w), X made orthonormal, y a residual.

    Because X'X = I and X'y = 0, nothing large cancels, whatever the units and origins of the covariates.
    """

    terms: tuple[Term, ...]
    ZZ: Array  # (q, q)
    ZX: Array  # (q, r)
    Zy: Array  # (q,)
    yy: float
    n: int
    reml: bool
    constant: float  # of the criterion: log-determinants of the weights and of X's scale

    @property
    def df(self) -> int:
        return self.n - self.ZX.shape[1] if self.reml else self.n


@dataclass(frozen=True, eq=False)
class Solution:
    """The model solved at one theta (Bates et al. 2015, section 3)."""

    value: float
    U: Array  # chol(A)^-1 L'Z'Z
    RZX: Array  # chol(A)^-1 L'Z'X
    A: Array  # lower Cholesky factor of L'Z'ZL + I
    C: Array  # (X'V^-1X)^-1
    b: Array
    r2: float
    G: Array  # Z'V^-1X
    k: Array  # Z'V^-1(y - Xb)


def solve(products: Products, theta: Array) -> Solution:
    """The profiled deviance or REML criterion at theta, with the matrices that it is made of."""
    terms, ZZ = products.terms, products.ZZ
    factors = [term.template(theta) for term in terms]
    upper = [factor.T for factor in factors]
    right = np.column_stack([ZZ, products.ZX, products.Zy])
    LZ = apply_blocks(terms, upper, right)
    q, r = products.ZX.shape
    LZZL = apply_blocks(terms, upper, LZ[:, :q].T)
    A = cholesky((LZZL + LZZL.T) / 2 + np.eye(q), lower=True)
    U, RZX, RZy = np.split(solve_triangular(A, LZ, lower=True), [q, q + r], axis=1)
    RX = cholesky(np.eye(r) - RZX.T @ RZX, lower=True)
    c = -RZX.T @ RZy[:, 0]
    half = solve_triangular(RX, c, lower=True)
    b = solve_triangular(RX, half, lower=True, trans="T")
    r2 = products.yy - float(RZy[:, 0] @ RZy[:, 0]) - float(half @ half)
    if not r2 > 1e-11 * products.yy:
        raise FitError(NO_RESIDUAL)
    C = solve_triangular(RX, np.eye(r), lower=True)
    df = products.df
    value = 2 * np.log(np.diag(A)).sum() + df * (1 + np.log(2 * np.pi * r2 / df)) + products.constant
    if products.reml:
        value += 2 * np.log(np.diag(RX)).sum()
    G = products.ZX - U.T @ RZX
    k = products.Zy - U.T @ RZy[:, 0] - G @ b
    return Solution(float(value), U, RZX, A, C.T @ C, b, r2, G, k)


def criterion(products: Products, theta: Array) -> float:
    """The value alone; infinite where theta is so large that the arithmetic fails."""
    try:
        return solve(products, theta).value
    except (LinAlgError, FitError):
        return float("inf")


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
    terms, s2 = products.terms, at.r2 / products.df
    H = products.ZZ - at.U.T @ at.U
    N = H - at.G @ at.C @ at.G.T  # Z'PZ
    T = N if products.reml else H
    parameters = [(term, i, j) for term in terms for i, j in term.elements]
    moved, changes = [], []  # S_i k and the K x K block of S_i
    for term, i, j in parameters:
        E = np.zeros((term.K, term.K))
        E[i, j] = 1.0
        half = E @ term.template(theta).T
        changes.append(half + half.T)
        column = np.zeros(len(at.k))
        column[term.columns] = (at.k[term.columns].reshape(-1, term.K) @ changes[-1]).ravel()
        moved.append(column)
    M = np.column_stack(moved)
    second = 2 * M.T @ N @ M / s2 - _traces(terms, parameters, changes, T)
    first = np.empty(len(parameters))
    for a, (term, i, j) in enumerate(parameters):
        k = at.k[term.columns].reshape(-1, term.K)
        D = diagonal_blocks(term, T).sum(axis=0) - k.T @ k / s2  # the derivative in S
        first[a] = 2 * (D @ term.template(theta))[i, j]
        for c, (other, m, l) in enumerate(parameters):
            if other is term and l == j:  # S_ij = E_i E_j' + E_j E_i'
                second[a, c] += 2 * D[i, m]
    return Slopes(first, (second + second.T) / 2, M.T @ at.k)


def _traces(terms: tuple[Term, ...], parameters: list[tuple[Term, int, int]], changes: list[Array], T: Array) -> Array:
    """tr(T B_i T B_j) = sum over pairs of levels of tr(S_i T_ab S_j T_ba)."""
    pairs = {}
    for t in terms:
        for u in terms:
            block = T[t.columns, u.columns].reshape(t.levels, t.K, u.levels, u.K)
            flat = block.transpose(1, 3, 0, 2).reshape(t.K * u.K, -1)
            pairs[id(t), id(u)] = (flat @ flat.T).reshape(t.K, u.K, t.K, u.K)
    out = np.empty((len(parameters), len(parameters)))
    for a, (t, _, _) in enumerate(parameters):
        for c, (u, _, _) in enumerate(parameters):
            out[a, c] = np.einsum("xy,zw,yzxw", changes[a], changes[c], pairs[id(t), id(u)])
    return out


def derivatives(products: Products, theta: Array) -> tuple[float, Array, Array]:
    """The profiled deviance with its exact gradient and Hessian in theta.

    d(theta) = D(theta, s2(theta)); profiling s2 = r2/df takes q_i q_j df / r2^2 off the Hessian.
    """
    at = solve(products, theta)
    parts = slopes(products, theta, at)
    hessian = parts.second - np.outer(parts.quadratic, parts.quadratic) * products.df / at.r2**2
    return at.value, parts.first, hessian


def gradient(products: Products, theta: Array) -> tuple[float, Array]:
    """The profiled deviance with its exact gradient."""
    value, first, _ = derivatives(products, theta)
    return value, first
