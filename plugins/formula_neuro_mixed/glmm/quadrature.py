"""Adaptive Gauss-Hermite quadrature for one scalar random effect: nodes, criterion, and their part of its derivatives.

For level g with mode v and D = 1 + sum_i u_i^2 W_i (Pinheiro & Bates 1995):

    L_g = D^-1/2 sum_k w_k exp[h_g(v_k) + z_k^2 / 2],  v_k = v + z_k D^-1/2

(z_k, w_k) are the nodes and weights for N(0, 1); one node gives Laplace's approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from ..plain.agq import normal_nodes
from .modes import Mode, Model
from .rows import Near
from .scalar_paths import Moving, Part, beside

SPREAD = 300_000  # numbers up to which one product with z and X, each level's apart, is quicker than sums by level


@dataclass(frozen=True, eq=False)
class Nodes:
    """The rows at the nodes of every level: arrays (count, G) and (count, n)."""

    v: Array
    eta: Array
    near: Near
    logs: Array  # log of each node's part of L_g, without D^-1/2
    total: Array  # (G,) log of the sum of the parts
    nodes: Array  # (count,)
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
    total = _log_of_sum(logs)
    return Nodes(v, eta, near, logs, total, nodes, mode.A.log_determinant - 2 * float(total.sum()))


def _log_of_sum(logs: Array) -> Array:
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.exp(logs - top).sum(axis=0)))


def over_nodes(model: Model, psi: Array, p: Moving, at: Nodes) -> Part:
    """The part of -2 log of the sum over nodes, which move with v and D."""
    theta, _, tau = model.parts(psi)
    x, own, node = at.v, slice(1, 1 + model.X.shape[1]), at.nodes[:, None]
    share = np.exp(at.logs - at.total)
    by_row = share.take(model.layout.codes, axis=1)
    s, s_X, S, S_X = _sums(model, p.z, at.near)
    x1 = p.v[:, None] - node * (0.5 * p.D**-1.5 * p.D1)[:, None]
    c = theta[0] * x1  # eta moves by z c
    c[0] += x
    h1 = s * c - x * x1
    h1[own] += s_X
    H = _products(S * share, c, c) - _products(share, x1, x1)
    H[own, own] += (model.XT * (by_row * at.near.bend).sum(axis=0)) @ model.X
    mixed = _products(share, c, S_X)
    H[:, own] += mixed
    H[own] += mixed.T
    beside(H, 0, (s * share * x1).sum(axis=(1, 2)))
    if model.rows.shaped:
        _shape(model, p.z, tau, at.eta, share, by_row, c, h1, H)
    mean = (share * h1).sum(axis=1)
    H += _products(share, h1, h1) - mean @ mean.T
    pull = share * (theta[0] * s - x)  # the derivative in x, which moves by v and z D^-1/2
    along = (node * pull).sum(axis=0)
    return Part(-2 * mean.sum(axis=1), -2 * H, -2 * pull.sum(axis=0), along * p.D**-1.5, -1.5 * along * p.D**-2.5)


def _sums(model: Model, z: Array, near: Near) -> tuple[Array, Array, Array, Array]:
    """Sums over the rows of a level at each node, (K, G) and (r, K, G): of l' by z and X, of l'' z by z and X."""
    (K, n), G, columns = near.score.shape, model.layout.G, (z, *model.XT)
    if n * G * len(columns) <= SPREAD:
        apart = model.apart
        score, bend = ((rows @ apart).reshape(K, -1, G).swapaxes(0, 1) for rows in (near.score, near.bend * z))
    else:
        starts = model.layout.starts
        score = np.array([np.add.reduceat(near.score * t, starts, axis=1) for t in columns])
        bend = np.array([np.add.reduceat(near.bend * (z * t), starts, axis=1) for t in columns])
    return score[0], score[1:], bend[0], bend[1:]


def _shape(
    model: Model, z: Array, tau: float, eta: Array, share: Array, by_row: Array, c: Array, h1: Array, H: Array
) -> None:
    """Adds what the shape brings to the first derivatives h1 (m, K, G) and to the Hessian H (m, m) of the nodes."""
    l, starts, own = model.rows.expansion(eta, tau).l, model.layout.starts, slice(1, 1 + model.X.shape[1])
    h1[-1] += np.add.reduceat(l[1][0], starts, axis=1)
    cross = (share * np.add.reduceat(l[1][1] * z, starts, axis=1) * c).sum(axis=(1, 2))
    cross[own] += model.XT @ (by_row * l[1][1]).sum(axis=0)
    beside(H, -1, cross)
    H[-1, -1] += float((by_row * l[2][0]).sum())


def _products(weights: Array, a: Array, b: Array) -> Array:
    """Sums over nodes and levels (K, G) of a (i, K, G) times b (j, K, G)."""
    return np.asarray((a * weights).reshape(len(a), -1) @ b.reshape(len(b), -1).T)
