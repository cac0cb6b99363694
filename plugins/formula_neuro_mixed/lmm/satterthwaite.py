"""Satterthwaite's degrees of freedom in closed form (Kuznetsova et al. 2017, with exact derivatives)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from ..terms import Term
from .derivatives import slopes
from .moments import moments
from .profiled import Products, solve


@dataclass(frozen=True, eq=False)
class Satterthwaite:
    """What the degrees of freedom of every contrast come from, in the coordinates of X's orthonormal basis.

    v(theta, s2) = s2 l'Cl has gradient a and, by the delta method, variance a'Aa with A twice the inverse
    Hessian of the unprofiled deviance in (theta, log s2); df = 2 v^2 / a'Aa. Directions without curvature
    carry no information and are left out, so that a singular fit has the residual degrees of freedom.
    """

    C: Array  # (r, r)
    s2: float
    P: Array  # (m, r, r) X'V^-1 B_i V^-1X, B_i the change of V with theta_i
    A: Array  # (m + 1, m + 1)

    def df(self, L: Array) -> Array:
        """Degrees of freedom (q,) of the contrasts L (q, r)."""
        CL = self.C @ L.T  # (r, q)
        v = self.s2 * np.einsum("qr,rq->q", L, CL)
        gradient = np.column_stack([self.s2 * np.einsum("rq,irs,sq->qi", CL, self.P, CL), v])
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(2 * v**2 / np.einsum("qi,ij,qj->q", gradient, self.A, gradient))


def satterthwaite(products: Products, theta: Array) -> Satterthwaite:
    """The pieces at theta: one solution of the model, its moments and its exact Hessian."""
    at = solve(products, theta)
    parts = slopes(products, theta, at)
    s2 = at.r2 / products.df
    edge = (parts.quadratic / s2)[:, None]
    hessian = np.block([[parts.second, edge], [edge.T, np.array([[at.r2 / s2]])]])
    values, vectors = np.linalg.eigh(hessian)
    known = values > 1e-8 * max(1.0, float(values.max()))
    A = 2 * (vectors[:, known] / values[known]) @ vectors[:, known].T
    directions = [(t, D) for t, term in enumerate(products.terms) for D in _changes(term, theta)]
    return Satterthwaite(at.C, s2, moments(products, theta, directions, at).P, A)


def _changes(term: Term, theta: Array) -> list[Array]:
    """dS / dtheta_i = E_i L' + L E_i' (K, K)."""
    half = term.changes(theta) @ term.template(theta).T
    return list(half + half.transpose(0, 2, 1))
