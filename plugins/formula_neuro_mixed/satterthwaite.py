"""Satterthwaite's degrees of freedom in closed form (Kuznetsova et al. 2017, with exact derivatives)."""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .derivatives import slopes
from .moments import moments
from .profiled import Products, solve
from .terms import Term


def satterthwaite(products: Products, theta: Array, L: Array) -> Array:
    """Degrees of freedom (q,) of the contrasts L (q, r), in the coordinates of X's orthonormal basis.

    v(theta, s2) = s2 l'Cl has gradient a and, by the delta method, variance a'Aa with A twice the inverse
    Hessian of the unprofiled deviance in (theta, log s2); df = 2 v^2 / a'Aa. Directions without curvature
    carry no information and are left out, so that a singular fit has the residual degrees of freedom.
    """
    at = solve(products, theta)
    parts = slopes(products, theta, at)
    s2 = at.r2 / products.df
    edge = (parts.quadratic / s2)[:, None]
    hessian = np.block([[parts.second, edge], [edge.T, np.array([[at.r2 / s2]])]])
    values, vectors = np.linalg.eigh(hessian)
    known = values > 1e-8 * max(1.0, float(values.max()))
    A = 2 * (vectors[:, known] / values[known]) @ vectors[:, known].T
    CL = at.C @ L.T  # (r, q)
    v = s2 * np.einsum("qr,rq->q", L, CL)
    # d v / d theta_i = s2 (C l)' X'V^-1 B_i V^-1X (C l)
    directions = [(t, D) for t, term in enumerate(products.terms) for D in _changes(term, theta)]
    P = moments(products, theta, directions, at).P
    gradient = np.column_stack([s2 * np.einsum("rq,irs,sq->qi", CL, P, CL), v])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(2 * v**2 / np.einsum("qi,ij,qj->q", gradient, A, gradient))


def _changes(term: Term, theta: Array) -> list[Array]:
    """dS / dtheta_i = E_i L' + L E_i' (K, K)."""
    L, out = term.template(theta), []
    for i, j in term.elements:
        half = np.zeros((term.K, term.K))
        half[i] = L[:, j]
        out.append(half + half.T)
    return out
