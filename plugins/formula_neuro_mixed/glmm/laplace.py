"""Laplace's approximation with its exact gradient and Hessian in all parameters psi = (theta, b, tau).

    F = -2 sum log f + |v|^2 + log|A|,  A = U'WU + I,  at the modes v(psi), where g = U'l' - v = 0

l', l'', ... are derivatives of log f in eta. Along a parameter k, in total (with the modes' own change),

    A_o v_k = U'(l'' e_k) + dU_k'l'          e_k: the change of eta with v held
    eta_k = e_k + U v_k                      eta_kl = e_kl + U v_kl,  e_kl = dU_k v_l + dU_l v_k

and F's second derivative needs v_kl through log|A| only: the solution a = A_o^-1 U'(c W') carries it, with
c_i = u_i'A^-1 u_i, so that no v_kl is ever formed (implicit function theorem; cf. Skaug & Fournier 2006). All sums
are over rows but one: tr(A^-1 A_k A^-1 A_l).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from .modes import Mode, Model
from .moves import Moves, moves_of
from .rows import Expansion


@dataclass(frozen=True, eq=False)
class Paths:
    """How everything moves with psi: arrays of rows (n, m), of effects (q, m)."""

    at: Expansion
    moves: Moves  # of U with theta
    e: Array  # change of eta with v held
    eta: Array  # total change of eta
    v: Array  # change of the modes


def paths(model: Model, psi: Array, mode: Mode) -> Paths:
    """The first derivatives of the modes and of eta."""
    layout, (theta, _, tau) = model.layout, model.parts(psi)
    at, own, cut, m = model.rows.expansion(mode.eta, tau), layout.gather(mode.v), model.n_theta, model.size
    e, moves = np.zeros((len(mode.eta), m)), moves_of(layout, theta)
    e[:, :cut] = moves.along(own)
    e[:, cut : cut + model.X.shape[1]] = model.X
    change = at.l[0][2][:, None] * e
    if model.rows.n_beside:
        change[:, model.beside] = at.by_beside(1)
    entries = mode.U[:, :, None] * change[:, None, :]
    moves.add(entries, at.l[0][1])
    v = mode.A_observed.solve(layout.scatter(entries))
    return Paths(at, moves, e, e + along(layout.gather(v), mode.U), v)


def along(effects: Array, U: Array) -> Array:
    """(n, m): U times every row's own effects (n, M, m)."""
    if U.shape[1] == 1:
        return np.asarray(effects[:, 0] * U)
    return np.asarray(np.einsum("ra,ram->rm", U, effects))


@dataclass(frozen=True, eq=False)
class _Pieces:
    """Row by row: what the gradient and the Hessian share."""

    R: Array  # (n, M): A^-1 u_i at the row's own effects
    inverse: Array  # (n, M, M)
    c: Array  # u_i'A^-1 u_i
    B: Array  # (n, n_theta): 2 dU_k A^-1 u
    W: Array  # (n, m): total change of the weights


def _pieces(model: Model, mode: Mode, p: Paths) -> _Pieces:
    U = mode.U
    inverse = mode.A.own()
    R = inverse[:, :, 0] * U if U.shape[1] == 1 else (inverse @ U[:, :, None])[:, :, 0]
    W = p.at.W[0][1][:, None] * p.eta
    if model.rows.n_beside:
        W[:, model.beside] += p.at.weights_by_beside()
    return _Pieces(R, inverse, (U * R).sum(axis=1), 2 * p.moves.along(R), W)


def gradient(model: Model, mode: Mode, p: Paths, q: _Pieces | None = None) -> Array:
    """dF/dpsi (m,)."""
    q = q or _pieces(model, mode, p)
    out = -2 * (p.at.l[0][1] @ p.e) + q.c @ q.W
    out[: model.n_theta] += p.at.W[0][0] @ q.B
    if model.rows.n_beside:
        out[model.beside] -= 2 * p.at.by_beside(0).sum(axis=0)
    return np.asarray(out)


def derivatives(model: Model, mode: Mode, p: Paths) -> tuple[Array, Array]:
    """The gradient (m,) and the Hessian (m, m) of F."""
    layout, l, W, cut = model.layout, p.at.l, p.at.W, model.n_theta
    q = _pieces(model, mode, p)
    a = mode.A_observed.solve(layout.scatter((mode.U * (q.c * W[0][1])[:, None])[:, :, None]))[:, 0]
    a_own = layout.gather(a)
    ua = (mode.U * a_own).sum(axis=1)
    # second derivatives in eta along two paths; the modes' own |v|^2
    bend = -2 * l[0][2] + q.c * W[0][2] + ua * l[0][3]
    H = p.eta.T @ (bend[:, None] * p.eta) + 2 * p.v.T @ p.v
    # the parts of eta, U'l' and log|A| in which theta stands beside another path
    per_eta = -2 * l[0][1] + q.c * W[0][1] + ua * l[0][2]
    side = np.zeros_like(H)
    by_bend = l[0][2][:, None] * p.eta
    if model.rows.n_beside:
        by_bend[:, model.beside] += p.at.by_beside(1)
    side[:cut] = p.moves.across(per_eta, layout.gather(p.v)) + p.moves.along(a_own).T @ by_bend + q.B.T @ q.W
    H += side + side.T
    H[:cut, :cut] += 2 * p.moves.twice(W[0][0], q.inverse)  # 2 tr(A^-1 dU_k'W dU_l)
    H -= mode.A.products(layout.blocks(_changes(model, mode, p.moves, W[0][0], q)))
    if layout.structured:
        own = per_eta[:, None] * layout.gather(mode.v) + l[0][1][:, None] * a_own + 2 * W[0][0][:, None] * q.R
        H[:cut, :cut] += p.moves.bends(layout.basis.T @ own)
    if model.rows.n_beside:
        cross = p.eta.T @ p.at.bent_by_beside(q.c, ua)
        H[:, model.beside] += cross
        H[model.beside] += cross.T
        H[model.beside, model.beside] += p.at.twice_by_beside(q.c, ua)
    return gradient(model, mode, p, q), (H + H.T) / 2


def _changes(model: Model, mode: Mode, moves: Moves, W: Array, q: _Pieces) -> Array:
    """(n, M, M, m): each row's part of the change of A."""
    U, layout = mode.U, model.layout
    if layout.M == 1:
        u = U[:, 0]
        single = (u * u)[:, None] * q.W
        single[:, 0] += 2 * W * layout.basis[:, 0] * u
        return single[:, None, None, :]
    out = (U[:, :, None] * U[:, None, :])[..., None] * q.W[:, None, None, :]
    moves.outer(out, W, U)
    return np.asarray(out)
