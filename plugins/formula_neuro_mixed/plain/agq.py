"""Adaptive Gauss-Hermite quadrature for one scalar random effect, with its exact gradient.

For group g with mode v and D = 1 + sum_i u_i^2 W_i (Pinheiro & Bates 1995; Fisher's weights, as in lme4):

    L_g = D^-1/2 sum_k w_k exp[h_g(v + z_k D^-1/2) + z_k^2 / 2]

(z_k, w_k) are the nodes and weights for N(0, 1). One node is Laplace's approximation, on the same scale.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import logsumexp

from formula_neuro.family import Array
from formula_neuro.kernels.irls import inside

from .pirls import Mode, Problem, weights_at


@cache
def normal_nodes(count: int) -> tuple[Array, Array]:
    """Nodes and weights of Gauss-Hermite quadrature for the standard normal density; the weights sum to 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


def value_and_gradient(problem: Problem, theta: Array, mode: Mode, count: int) -> tuple[float, Array]:
    """F = -2 log L (up to the saturated constant) and dF/d(theta, b)."""
    term = problem.terms[0]
    codes, z, t = term.given.codes, term.basis[:, 0], float(theta[0])
    G, n_parameters = term.levels, 1 + problem.X.shape[1]

    def per_group(rows: Array) -> Array:
        return np.column_stack([np.bincount(codes, weights=r, minlength=G) for r in rows.T])

    rows, u, v = mode.rows, t * z, mode.v
    partial = np.column_stack([z * v[codes], problem.X])  # deta/dpsi with v held, (n, m)
    D = 1 + per_group((u**2 * rows.fisher)[:, None])[:, 0]
    D_observed = 1 + per_group((u**2 * rows.observed)[:, None])[:, 0]
    first = np.zeros(n_parameters)
    first[0] = 1.0
    dg = per_group((rows.score * z)[:, None]) * first - per_group((u * rows.observed)[:, None] * partial)
    dv = dg / D_observed[:, None]  # (G, m)
    total = partial + u[:, None] * dv[codes]
    dD = per_group((2 * u * z * rows.fisher)[:, None]) * first + per_group((u**2 * rows.slope)[:, None] * total)

    nodes, weights = normal_nodes(count)
    logs, slopes = np.empty((count, G)), np.empty((count, G, n_parameters))
    for k, node in enumerate(nodes):
        vk = v + node / np.sqrt(D)
        eta = mode.eta + u * (vk - v)[codes]
        possible = inside(problem.family, eta)
        at = weights_at(problem, np.where(possible, eta, mode.eta))
        h = -(per_group(at.deviance[:, None])[:, 0] + vk**2) / 2
        h[codes[~possible]] = -np.inf  # a mean outside the family's range has no density
        dvk = dv - node / 2 * D[:, None] ** -1.5 * dD
        explicit = per_group(at.score[:, None] * np.column_stack([z * vk[codes], problem.X]))
        slope_v = per_group((at.score * u)[:, None])[:, 0] - vk
        logs[k] = h + node**2 / 2 + np.log(weights[k])
        slopes[k] = explicit + slope_v[:, None] * dvk
    total_log = logsumexp(logs, axis=0)
    share = np.exp(logs - total_log)  # (count, G)
    value = -2 * float((total_log - np.log(D) / 2).sum())
    dlog = np.einsum("kg,kgm->gm", share, slopes) - dD / (2 * D[:, None])
    return value, -2 * dlog.sum(axis=0)
