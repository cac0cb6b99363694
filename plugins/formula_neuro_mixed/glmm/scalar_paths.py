"""How the modes, eta and D of one scalar random effect a level move with psi; arrays of rows (m, n), of levels (m, G).

D = 1 + sum_i u_i^2 W_i of a level, m parameters psi = (theta, b, tau).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from .modes import Mode, Model
from .rows import Expansion


@dataclass(frozen=True, eq=False)
class Moving:
    """How everything moves with psi."""

    at: Expansion
    z: Array  # (n,) the basis
    u: Array  # (n,) z theta
    eta: Array  # (m, n) total change of eta
    v: Array  # (m, G) change of the modes
    W: Array  # (m, n) total change of the weights
    D: Array  # (G,)
    D1: Array  # (m, G) change of D


@dataclass(frozen=True, eq=False)
class Part:
    """What -2 log of the sum over nodes gives: gradient, Hessian less what v's and D's second derivatives bring."""

    gradient: Array
    H: Array
    of_v: Array | float  # (G,) its derivative in v
    of_D: Array | float  # (G,) in D
    of_D2: Array | float  # (G,) twice in D


def moving(model: Model, psi: Array, mode: Mode) -> Moving:
    """The first derivatives of the modes, of eta and of D."""
    layout, rows = model.layout, model.rows
    theta, _, tau = model.parts(psi)
    at = rows.expansion(mode.eta, tau)
    l, W = at.l, at.W
    z = layout.basis[:, 0]
    u = z * theta[0]
    eta = np.zeros((model.size, len(z)))
    eta[0] = z * mode.v.take(layout.codes)
    eta[1 : 1 + model.X.shape[1]] = model.XT
    pull = np.add.reduceat(eta * (u * l[0][2]), layout.starts, axis=1)
    pull[0] += np.add.reduceat(z * l[0][1], layout.starts)
    if rows.shaped:
        pull[-1] += np.add.reduceat(u * l[1][1], layout.starts)
    v = pull * mode.A_observed.inverse[:, 0, 0]
    eta += v.take(layout.codes, axis=1) * u
    change = eta * W[0][1]
    if rows.shaped:
        change[-1] += W[1][0]
    D1 = np.add.reduceat(change * (u * u), layout.starts, axis=1)
    D1[0] += 2 * np.add.reduceat(u * z * W[0][0], layout.starts)
    return Moving(at, z, u, eta, v, change, 1 / mode.A.inverse[:, 0, 0], D1)


def beside(H: Array, k: int, side: Array) -> None:
    """Adds side (m,) to row and column k."""
    H[k] += side
    H[:, k] += side
