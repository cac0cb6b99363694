"""One scalar random effect a level: the exact gradient and Hessian in closed form, level by level.

With nodes z_k and weights w_k for N(0, 1) (Pinheiro & Bates 1995), v the mode of a level and D = 1 + sum_i u_i^2 W_i,

    F = sum over levels of  log D - 2 log sum_k w_k exp[h(x_k) + z_k^2 / 2],   x_k = v + z_k D^-1/2

and Laplace's approximation is that of one node, z = 0. v and D move with psi; their second derivatives stand in F's
with one factor a level, kappa for D and alpha for v, so that sums over rows weighted by these are enough and none of
the second derivatives is formed. Arrays of rows are (m, n) here, of levels (m, G): m parameters psi = (theta, b, tau).
"""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .modes import Mode, Model
from .quadrature import Nodes, over_nodes
from .scalar_paths import Moving, Part, beside, moving


def derivatives(model: Model, psi: Array, mode: Mode, nodes: Nodes | None) -> tuple[Array, Array, Array]:
    """The gradient (m,) and the Hessian (m, m) of F, and the change of the modes (G, m)."""
    layout, p = model.layout, moving(model, psi, mode)
    part = _at_the_mode(model, mode, p) if nodes is None else over_nodes(model, psi, p, nodes)
    l, W, z, u, inverse = p.at.l, p.at.W, p.z, p.u, 1 / p.D
    ku = (inverse + part.of_D).take(layout.codes) * u  # kappa u
    c = ku * u
    cW1 = c * W[0][1]
    alpha = np.add.reduceat(cW1 * u, layout.starts) + part.of_v
    a = (alpha * mode.A_observed.inverse[:, 0, 0]).take(layout.codes)
    ua = u * a
    H = part.H + (p.eta * (c * W[0][2] + ua * l[0][3])) @ p.eta.T + (p.D1 * (part.of_D2 - inverse * inverse)) @ p.D1.T
    # z dtheta stands beside another path in eta, in the score of v and in D
    side = p.v @ np.add.reduceat(z * (cW1 + ua * l[0][2]), layout.starts)
    side += p.eta @ (z * a * l[0][2]) + p.W @ (2 * z * ku)
    if model.rows.shaped:
        side[-1] += (z * a) @ l[1][1]
        beside(H, -1, p.eta @ (c * W[1][1] + ua * l[1][2]))
        H[-1, -1] += float(c @ W[2][0] + ua @ l[2][1])
    beside(H, 0, side)
    H[0, 0] += 2 * float(np.add.reduceat(W[0][0] * z * z, layout.starts) @ (inverse + part.of_D))
    return part.gradient + p.D1 @ inverse, (H + H.T) / 2, p.v.T


def _at_the_mode(model: Model, mode: Mode, p: Moving) -> Part:
    """-2 h at the mode, where its first derivative in v is 0."""
    l, own = p.at.l, slice(1, 1 + model.X.shape[1])
    pull = np.add.reduceat(p.z * l[0][1], model.layout.starts)
    g = np.zeros(len(p.v))
    g[0], g[own] = pull @ mode.v, model.XT @ l[0][1]
    H = (p.eta * l[0][2]) @ p.eta.T - p.v @ p.v.T
    beside(H, 0, p.v @ pull)
    if model.rows.shaped:
        g[-1] = l[1][0].sum()
        beside(H, -1, p.eta @ l[1][1])
        H[-1, -1] += l[2][0].sum()
    return Part(-2 * g, -2 * H, 0.0, 0.0, 0.0)
