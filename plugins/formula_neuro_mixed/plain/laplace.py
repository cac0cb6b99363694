"""Laplace's approximation of a GLMM's likelihood, with its exact gradient.

    F = -2 log L (up to the saturated constant) = deviance(mode) + |v|^2 + log|A|,  A = U'WU + I

W are Fisher's weights, as in lme4. The modes v depend on psi = (theta, b): by the implicit function theorem
dv = A_o^-1 dg, where g = U'score - v and A_o = U'W_oU + I has the observed weights.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve

from formula_neuro.family import Array

from .pirls import Mode, Problem


def criterion(mode: Mode) -> float:
    """F at the modes."""
    return mode.penalised + 2 * float(np.log(np.diag(mode.A)).sum())


def gradient(problem: Problem, theta: Array, mode: Mode) -> Array:
    """dF/d(theta, b), exact.

    Through eta, log|A| changes by c_i = W'_i u_i'A^-1u_i per unit of eta_i; a = A_o^-1 U'c carries the
    change of the modes, one solve for all parameters.
    """
    rows, U = mode.rows, mode.U
    inverse = cho_solve((mode.A, True), np.eye(len(mode.v)), check_finite=False)
    columns = np.hstack([term.columns_of_rows() for term in problem.terms])
    entries = np.hstack([term.basis @ term.template(theta) for term in problem.terms])
    through = np.einsum("iab,ib->ia", inverse[columns[:, :, None], columns[:, None, :]], entries)  # A^-1 u_i
    c = rows.slope * (entries * through).sum(axis=1)
    a = cho_solve((mode.A_observed, True), U.T @ c)
    Ua = U @ a
    # per unit of eta: explicitly, through log|A|, and through the modes (dg = -U'W_o deta)
    per_eta = -2 * rows.score + c - rows.observed * Ua
    out = [per_eta @ column for column in problem.X.T]
    thetas = []
    first = 0  # of the term's entries in a row
    for term in problem.terms:
        own = columns[:, first : first + term.K]
        for change in term.changes(theta):
            dU = term.basis @ change
            explicit = 2 * rows.fisher @ (dU * through[:, first : first + term.K]).sum(axis=1)  # 2 tr(A^-1 U'W dU)
            moved = per_eta @ (dU * mode.v[own]).sum(axis=1) + rows.score @ (dU * a[own]).sum(axis=1)
            thetas.append(moved + explicit)
        first += term.K
    return np.array(thetas + out)
