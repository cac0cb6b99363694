"""Adaptive Gauss-Hermite quadrature for one scalar random effect, with its exact gradient and Hessian.

For level g with mode v and D = 1 + sum_i u_i^2 W_i (Pinheiro & Bates 1995):

    L_g = D^-1/2 sum_k w_k exp[h_g(v_k) + z_k^2 / 2],  v_k = v + z_k D^-1/2

(z_k, w_k) are the nodes and weights for N(0, 1). Here v and D move with psi to second order, so that their own
first and second derivatives are formed level by level; one node gives Laplace's approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from ..plain.agq import normal_nodes
from .laplace import Paths
from .modes import Mode, Model
from .rows import Near

LARGEST = 4_000_000  # numbers in one array of nodes, rows and pairs of parameters


@dataclass(frozen=True, eq=False)
class Nodes:
    """The rows at the nodes of every level: arrays (count, G) and (count, n)."""

    v: Array
    eta: Array
    near: Near
    logs: Array  # log of each node's part of L_g, without D^-1/2
    value: float  # F = -2 log L up to the families' constants


def nodes_at(model: Model, mode: Mode, tau: float, count: int) -> Nodes:
    """The nodes around the modes, and F."""
    D = 1 / mode.A.inverse[:, 0, 0]
    nodes, weights = normal_nodes(count)
    v = mode.v + nodes[:, None] / np.sqrt(D)
    eta = mode.eta + mode.U[:, 0] * (v - mode.v).take(model.layout.codes, axis=1)
    near = model.rows.near(eta, tau)
    h = np.add.reduceat(near.value, model.layout.starts, axis=1) - v**2 / 2
    logs = h + (nodes**2 / 2 + np.log(weights))[:, None]
    return Nodes(v, eta, near, logs, -2 * float((_log_of_sum(logs) - np.log(D) / 2).sum()))


def _log_of_sum(logs: Array) -> Array:
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.exp(logs - top).sum(axis=0)))


def derivatives(model: Model, mode: Mode, p: Paths, theta: float, tau: float, at: Nodes) -> tuple[Array, Array]:
    """The gradient (m,) and the Hessian (m, m) of F."""
    count = len(at.logs)
    G, m = model.layout.G, model.size
    D, D1, D2, v1, v2 = _moving(model, mode, p, theta)
    nodes = normal_nodes(count)[0]
    first, second = np.empty((count, G, m)), np.empty((count, G, m, m))
    # the derivatives of 1/sqrt(D)
    s1 = -0.5 * D[:, None] ** -1.5 * D1
    s2 = 0.75 * D[:, None, None] ** -2.5 * _outer(D1) - 0.5 * D[:, None, None] ** -1.5 * D2
    size = max(1, LARGEST // (len(mode.eta) * m * m))
    for start in range(0, count, size):
        z = nodes[start : start + size, None]
        v_moving = (v1 + z[..., None] * s1, v2 + z[..., None, None] * s2)
        part = slice(start, start + size)
        first[part], second[part] = _heights(model, at, part, v_moving, theta, tau)
    share = np.exp(at.logs - _log_of_sum(at.logs))
    mean = np.einsum("kg,kgm->gm", share, first)
    curved = np.einsum("kg,kgmn->gmn", share, second) + np.einsum("kg,kgm,kgn->gmn", share, first, first)
    log1, log2 = D1 / D[:, None], D2 / D[:, None, None] - _outer(D1) / D[:, None, None] ** 2
    H = -2 * (curved - _outer(mean) - log2 / 2).sum(axis=0)
    return -2 * (mean - log1 / 2).sum(axis=0), (H + H.T) / 2


def _heights(
    model: Model, at: Nodes, part: slice, moving: tuple[Array, Array], theta: float, tau: float
) -> tuple[Array, Array]:
    """First (k, G, m) and second (k, G, m, m) derivatives of h_g at some of the nodes, which move by v1 and v2."""
    v1, v2 = moving
    v = at.v[part]
    layout, rows = model.layout, model.rows
    score, bend = at.near.score[part], at.near.bend[part]
    r = model.X.shape[1]
    # d eta / d psi is T (n, 1 + r) times what belongs to the level: sums of score T and bend T T' are enough
    T = np.column_stack([layout.basis[:, 0], model.X])
    s = np.add.reduceat(score[..., None] * T, layout.starts, axis=1)
    S = np.add.reduceat(bend[..., None] * _outer(T).reshape(len(T), -1), layout.starts, axis=1)
    S = S.reshape(*S.shape[:2], r + 1, r + 1)
    c = theta * v1
    c[..., 0] += v
    own = slice(1, r + 1)
    h1 = s[..., :1] * c - v[..., None] * v1
    h1[..., own] += s[..., 1:]
    h2 = S[..., :1, :1] * _outer(c) - _outer(v1)
    h2[..., own, own] += S[..., 1:, 1:]
    cross = c[..., :, None] * S[..., :1, 1:]
    h2[..., :, own] += cross
    h2[..., own, :] += cross.swapaxes(-1, -2)
    if rows.shaped:
        l = rows.expansion(at.eta[part], tau).l
        bends = np.add.reduceat(l[1][1][..., None] * T, layout.starts, axis=1)
        mixed = bends[..., :1] * c
        mixed[..., own] += bends[..., 1:]
        h1[..., -1] += np.add.reduceat(l[1][0], layout.starts, axis=1)
        h2[..., -1, :] += mixed
        h2[..., :, -1] += mixed
        h2[..., -1, -1] += np.add.reduceat(l[2][0], layout.starts, axis=1)
    # what is left of eta's and |v|^2's second derivatives: z dtheta dv, and v2 itself
    h2 += (theta * s[..., 0] - v)[..., None, None] * v2
    side = s[..., :1] * v1
    h2[..., 0, :] += side
    h2[..., :, 0] += side
    return h1, h2


def _moving(model: Model, mode: Mode, p: Paths, theta: float) -> tuple[Array, Array, Array, Array, Array]:
    """D (G,), its derivatives (G, m) and (G, m, m), and those of the modes."""
    layout, l, W, shaped = model.layout, p.at.l, p.at.W, model.rows.shaped
    z, u = layout.basis[:, 0], mode.U[:, 0]
    v1 = p.v
    pairs = _outer(p.eta)
    score1, W1 = l[0][2][:, None] * p.eta, W[0][1][:, None] * p.eta
    score2, W2 = l[0][3][:, None, None] * pairs, W[0][2][:, None, None] * pairs
    if shaped:
        for f1, f2, cross, tau1, tau2 in (
            (score1, score2, l[1][2], l[1][1], l[2][1]),
            (W1, W2, W[1][1], W[1][0], W[2][0]),
        ):
            f1[:, -1] += tau1
            f2[:, -1, :] += cross[:, None] * p.eta
            f2[:, :, -1] += cross[:, None] * p.eta
            f2[:, -1, -1] += tau2
    v1_own = v1[layout.codes]
    side = np.zeros_like(pairs)  # second derivatives of eta less u v2
    side[:, 0, :] += z[:, None] * v1_own
    side[:, :, 0] += z[:, None] * v1_own
    r = u[:, None, None] * (score2 + l[0][2][:, None, None] * side)
    r[:, 0, :] += z[:, None] * score1
    r[:, :, 0] += z[:, None] * score1
    v2 = mode.A_observed.inverse[:, :, 0, None] * np.add.reduceat(r, layout.starts)
    W2 = W2 + W[0][1][:, None, None] * (side + u[:, None, None] * v2[layout.codes])
    d1 = (u**2)[:, None] * W1
    d1[:, 0] += 2 * u * z * W[0][0]
    d2 = (u**2)[:, None, None] * W2
    d2[:, 0, :] += (2 * u * z)[:, None] * W1
    d2[:, :, 0] += (2 * u * z)[:, None] * W1
    d2[:, 0, 0] += 2 * z**2 * W[0][0]
    D = 1 / mode.A.inverse[:, 0, 0]
    return D, np.add.reduceat(d1, layout.starts), np.add.reduceat(d2, layout.starts), v1, v2


def _outer(M: Array) -> Array:
    return np.asarray(M[..., :, None] * M[..., None, :])
