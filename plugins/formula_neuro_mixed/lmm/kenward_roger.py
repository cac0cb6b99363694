"""Kenward and Roger's (1997) covariance, degrees of freedom and F tests in closed form, without any n x n matrix.

The covariance of y is a sum of components, gam_0 I (the residual's, scaled by the weights) and gam_i G_i with
G_i = Z D_i Z', one for every free element of a term's covariance. In units of s2 (gam_0 = 1) everything with i >= 1
comes from `moments`; what concerns the residual follows from V = sum gam_i G_i. At a singular fit the components are
still those of the covariances, which have a slope at 0 where theta has none: a variance estimated as 0 costs degrees
of freedom here (Dyestuff2: 5), and none by Satterthwaite's method in theta (29).

All is invariant to the coordinates of X and of each term's columns. Orthogonal ones keep the digits that sums over raw
columns lose where a slope variable lies far from 0, as a year does: pbkrtest's df can be 90 % off there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formula_neuro.errors import Unable
from formula_neuro.family import Array
from formula_neuro.kernels.rank import Basis

from .moments import Direction, Moments, moments
from .profiled import Products, Solution, solve

LEAST = 1e-12  # of an eigenvalue of the components' information, below which they cannot be told apart


@dataclass(frozen=True, eq=False)
class KenwardRoger:
    """The adjusted covariance of the coefficients, and the tests that go with it.

    Inside, coefficients are those of X's orthonormal basis (r) and covariances are in units of s2.
    """

    basis: Basis
    s2: float
    Phi: Array  # (r, r) (X'V^-1X)^-1
    adjusted: Array  # (r, r) Phi_A
    P: Array  # (m + 1, r, r), the residual first
    W: Array  # (m + 1, m + 1) covariance of the components' estimates

    @cached_property
    def covariance(self) -> Array:
        """Phi_A (p, p) in the user's coordinates; NaN where a column was dropped."""
        return self.s2 * self.basis.covariance(self.adjusted)

    def df(self, L: Array) -> Array:
        """Degrees of freedom (q,) of the t test of each row of L (q, p): 2 / A2, NaN where a row is not estimable."""
        rows = self.basis.contrasts(L)
        if not rows.shape[1]:  # without coefficients nothing is uncertain
            return np.full(len(rows), np.inf)
        return np.array([np.nan if np.isnan(l).any() else self._f(l[None, :])[1] for l in rows])

    def f_test(self, L: Array, e: Array) -> tuple[float, float]:
        """The scaled F of L b = r, e = L b - r (q,), L (q, p) of rank q, and its denominator's degrees of freedom."""
        rows = self.basis.contrasts(L)
        scale, ddf = self._f(rows)
        V = self.s2 * rows @ self.adjusted @ rows.T
        return float(scale * e @ np.linalg.solve(V, e) / len(rows)), ddf

    def _f(self, L: Array) -> tuple[float, float]:
        """lambda and m of the rows L (q, r), by matching the moments of F (Kenward & Roger 1997, section 3)."""
        q = len(L)
        M = self.Phi @ L.T @ np.linalg.solve(L @ self.Phi @ L.T, L @ self.Phi)  # Phi Theta Phi
        MP = M @ self.P
        single = np.trace(MP, axis1=1, axis2=2)
        A1 = float(single @ self.W @ single)
        A2 = float(np.einsum("ij,ixy,jyx->", self.W, MP, MP))
        return (1.0, _ratio(2.0, A2)) if q == 1 else scale_and_df(A1, A2, q)


def scale_and_df(A1: float, A2: float, q: int) -> tuple[float, float]:
    """lambda and m such that lambda F is about F(q, m) (Kenward & Roger 1997, page 988).

    >>> scale_and_df(0.0, 0.0, 2)
    (1.0, inf)
    """
    if A2 <= 0:
        return 1.0, float("inf")
    B = (A1 + 6 * A2) / (2 * q)
    f = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    e = 3 * q + 2 * (1 - f)
    c1, c2, c3 = f / e, (q - f) / e, (q + 2 - f) / e
    first, second = 1 - A2 / q, 1 - c2 * B
    share = 1.0 if max(abs(first), abs(second)) < 1e-14 else _ratio(first, second)
    rho = share**2 * _ratio(1 + c1 * B, 1 - c3 * B) / q
    m = 4 + _ratio(q + 2, q * rho - 1)
    return (1.0 if abs(m - 2) < 1e-2 else m * first / (m - 2)), m


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("inf")


def kenward_roger(products: Products, theta: Array, basis: Basis) -> KenwardRoger:
    """Everything that Kenward and Roger's tests of a REML fit need, at its theta."""
    at = solve(products, theta)
    directions, gamma = components(products, theta)
    pieces = with_residual(moments(products, theta, directions, at), gamma, at, products.n)
    return assembled(basis, at.r2 / products.df, at.C, pieces)


def assembled(basis: Basis, s2: float, Phi: Array, pieces: tuple[Array, Array, Array]) -> KenwardRoger:
    """The adjusted covariance from P, Q and the traces of V's components, as with_residual gives them."""
    P, Q, traces = pieces
    PPhi = P @ Phi
    QPhi = np.einsum("ijxy,yx->ij", Q, Phi)
    crossed = np.einsum("ixy,jyx->ij", PPhi, PPhi)  # tr(Phi P_i Phi P_j)
    W = _inverse((traces - 2 * QPhi + crossed) / 2, traces / 2)
    inner = np.einsum("ij,ijxy->xy", W, Q) - np.einsum("ij,ixy,jyz->xz", W, PPhi, P)
    adjusted = Phi + 2 * Phi @ inner @ Phi
    return KenwardRoger(basis, s2, Phi, (adjusted + adjusted.T) / 2, P, W)


def components(products: Products, theta: Array) -> tuple[list[Direction], Array]:
    """The directions D_i in which the terms' covariances S may go, and gam (m,) with S = sum gam_i D_i."""
    directions: list[Direction] = []
    gamma = []
    for index, term in enumerate(products.terms):
        if term.structure is not None and not term.structure.linear:
            raise Unable(
                f"Kenward and Roger's method is of covariances that are sums of components, and "
                f"{term.given.structure}(... | {term.given.group}) with "
                f"{'one variance' if term.given.hom else 'a variance a column'} is none; take df='satterthwaite'"
            )
        L = term.template(theta)
        S = L @ L.T
        for D in term.directions():
            directions.append((index, D))
            gamma.append(float(np.vdot(S, D) / np.vdot(D, D)))  # no two share an element
    return directions, np.array(gamma)


def with_residual(found: Moments, gamma: Array, at: Solution, n: int) -> tuple[Array, Array, Array]:
    """P_i = -X'V^-1G_iV^-1X, Q_ij = X'V^-1G_iV^-1G_jV^-1X and tr(V^-1G_iV^-1G_j), the residual's G_0 = I put first.

    From V = I + sum gam_i G_i: a product with I is one with V, less those with the others.
    """
    m, r = len(gamma), at.C.shape[0]
    P, Q, t = np.empty((m + 1, r, r)), np.empty((m + 1, m + 1, r, r)), np.empty((m + 1, m + 1))
    P[1:], Q[1:, 1:], t[1:, 1:] = -found.P, found.Q, found.traces
    P[0] = -(np.linalg.inv(at.C) + np.tensordot(gamma, P[1:], 1))
    Q[1:, 0] = -P[1:] - np.einsum("j,ijxy->ixy", gamma, Q[1:, 1:])
    Q[0, 1:] = Q[1:, 0].transpose(0, 2, 1)
    Q[0, 0] = -P[0] - np.tensordot(gamma, Q[1:, 0], 1)
    t[0, 1:] = t[1:, 0] = found.trace - t[1:, 1:] @ gamma
    t[0, 0] = n - gamma @ found.trace - gamma @ t[1:, 0]
    return P, Q, t


def _inverse(information: Array, traces: Array) -> Array:
    """The inverse; components that cannot be told apart (two terms of one group) share what they have.

    `traces` is the information that there would be if the coefficients were known: its diagonal sets the scale, so that
    a component of which the coefficients leave nothing but rounding has none.
    """
    scale = np.sqrt(np.maximum(np.diag(traces), 0.0))
    scale[scale == 0] = 1.0
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    known = values > LEAST * values.max()
    return np.asarray((vectors[:, known] / values[known]) @ vectors[:, known].T / np.outer(scale, scale))
