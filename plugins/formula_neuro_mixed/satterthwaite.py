"""Satterthwaite's degrees of freedom in closed form (Kuznetsova et al. 2017, with exact derivatives)."""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .profiled import Products, slopes, solve


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
    gradient = np.column_stack([*_variance_slopes(products, theta, s2, at.G @ CL), v])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(2 * v**2 / np.einsum("qi,ij,qj->q", gradient, A, gradient))


def _variance_slopes(products: Products, theta: Array, s2: float, GCL: Array) -> list[Array]:
    """d v / d theta_i = s2 (G C l)' S_i (G C l) for every contrast (q,), with S_i = E_i L' + L E_i'."""
    out = []
    for term in products.terms:
        rows = GCL[term.columns].reshape(term.levels, term.K, -1)
        moved = np.einsum("kj,akq->ajq", term.template(theta), rows)  # L' applied to each level
        out += [2 * s2 * (rows[:, i] * moved[:, j]).sum(axis=0) for i, j in term.elements]
    return out
