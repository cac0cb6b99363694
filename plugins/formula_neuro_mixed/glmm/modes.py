"""The modes of the random effects: Newton's method, guarded level by level where levels are independent.

h(v) = sum_i log f(y_i | eta_i) - |v|^2 / 2 with eta = X b + U v + offset, U = Z L(theta).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np
from numpy.linalg import LinAlgError

from formula_neuro.family import Array

from .factor import Factor, factor, scalar_factor
from .layout import Layout
from .rows import Near, Rows, Tau

ITERATIONS = 60
SMALL = 1e-5  # a Newton step of a spherical effect that leaves about its square
SMALLEST = 1e-10  # the same where the steps are not Newton's


@dataclass(frozen=True, eq=False)
class Model:
    """One GLMM in inner coordinates; arrays of rows in the layout's order."""

    rows: Rows
    layout: Layout
    X: Array  # (n, r), with columns of zeros for the coefficients of zero inflation
    offset: Array

    @cached_property
    def XT(self) -> Array:
        """(r, n), its rows side by side in memory."""
        return np.ascontiguousarray(self.X.T)

    @cached_property
    def apart(self) -> Array:
        """(n, (1 + r) G): z and the columns of X, those of every level of the one scalar effect by themselves."""
        columns, rows = (self.layout.basis[:, 0], *self.XT), np.arange(len(self.X))
        out = np.zeros((len(rows), len(columns), self.layout.G))
        for j, column in enumerate(columns):
            out[rows, j, self.layout.codes] = column
        return out.reshape(len(rows), -1)

    @cached_property
    def scalar(self) -> bool:
        """Whether every row meets one random effect, and nothing but a shape is estimated beside theta and b."""
        return self.layout.M == 1 and self.rows.n_inflation == 0

    @cached_property
    def n_theta(self) -> int:
        return self.layout.n_theta

    @cached_property
    def size(self) -> int:
        """Number of parameters psi = (theta, b, tau)."""
        return self.n_theta + int(self.X.shape[1]) + int(self.rows.shaped)

    @property
    def beside(self) -> slice:
        """Where the parameters beside theta and b stand in psi; coefficients of zero inflation are among b's too."""
        return slice(self.size - self.rows.n_beside, self.size)

    def parts(self, psi: Array) -> tuple[Array, Array, Tau]:
        """theta, b and what the rows take for tau."""
        cut, stop = self.n_theta, self.n_theta + self.X.shape[1]
        return psi[:cut], psi[cut:stop], self.rows.beside(psi)


@dataclass(frozen=True, eq=False)
class Mode:
    """The modes at one psi, with the factor of A (the criterion's weights) and that of A_o (observed weights)."""

    v: Array  # (q,)
    eta: Array  # (n,)
    U: Array  # (n, M)
    near: Near
    penalised: float  # -2 h
    A: Factor
    A_observed: Factor

    @property
    def criterion(self) -> float:
        """-2 log L by Laplace's approximation, up to the families' constants."""
        return self.penalised + self.A.log_determinant


@dataclass(frozen=True, eq=False)
class _Point:
    v: Array
    eta: Array
    near: Near
    height: Array  # h of each unit


def modes(model: Model, psi: Array, start: Array) -> Mode | None:
    """The modes from a start (q,); None where the means leave the family's range or nothing converges."""
    theta, b, tau = model.parts(psi)
    U = model.layout.basis * theta if model.layout.M == 1 else model.layout.basis @ model.layout.factor(theta)
    fixed = model.X @ b + model.offset
    start = start if theta.any() else np.zeros_like(start)  # without random effects the modes are 0
    at = _point(model, U, fixed, tau, start)
    if at is None and start.any():
        at = _point(model, U, fixed, tau, np.zeros_like(start))
    for _ in range(ITERATIONS):
        if at is None:
            return None
        step, newton = _step(model.layout, U, at)
        size = float(np.abs(step).max())
        if size == 0:
            return _finished(model, U, tau, at)
        if not isfinite(size):
            return None
        last = size < (SMALL if newton else SMALLEST)
        moved = _halved(model, U, fixed, tau, at, step)
        if last or moved is None:
            # rounding hides the gain of so small a step
            return _finished(model, U, tau, moved or at) if last or size < 1e-7 else None
        at = moved
    return None


def _point(model: Model, U: Array, fixed: Array, tau: Tau, v: Array) -> _Point | None:
    """What is at v; None where it is impossible."""
    at = _at(model, U, fixed, tau, v)
    return at if isfinite(at.height.sum()) else None


def _at(model: Model, U: Array, fixed: Array, tau: Tau, v: Array) -> _Point:
    layout = model.layout
    own = v.take(layout.codes) * U[:, 0] if layout.M == 1 else (U * layout.gather(v)).sum(axis=1)
    eta = fixed + own
    near = model.rows.near(eta, tau)
    return _Point(v, eta, near, layout.per_unit(near.value, -0.5 * v * v))


def _halved(model: Model, U: Array, fixed: Array, tau: Tau, at: _Point, step: Array) -> _Point | None:
    """The point after the step, halved in every unit until nothing falls; None where that needs 30 halvings."""
    least = at.height - 1e-13 * np.abs(at.height) - 1e-13
    share = None
    for _ in range(30):
        new = _at(model, U, fixed, tau, at.v + (step if share is None else model.layout.spread(share) * step))
        good = new.height >= least
        if good.all():
            return new
        share = np.where(good, 1.0, 0.5) * (1.0 if share is None else share)
    return None


def _step(layout: Layout, U: Array, at: _Point) -> tuple[Array, bool]:
    """The step (q,), and whether it is Newton's."""
    if layout.M == 1:  # the same by hand: this is where a single fit spends its time
        u = U[:, 0]
        D = 1.0 - np.add.reduceat(u * u * at.near.bend, layout.starts)
        if D.min() > 0:
            return (np.add.reduceat(u * at.near.score, layout.starts) - at.v) / D, True
    A, newton = _convex(layout, U, at.near)
    return A.solve(layout.scatter((U * at.near.score[:, None])[:, :, None]) - at.v[:, None])[:, 0], newton


def _convex(layout: Layout, U: Array, near: Near) -> tuple[Factor, bool]:
    """The factor with observed weights; with those above 0 alone where that is not positive definite."""
    try:
        return weighted(layout, U, -near.bend), True
    except LinAlgError:
        return weighted(layout, U, np.maximum(-near.bend, 0.0)), False


def weighted(layout: Layout, U: Array, weights: Array) -> Factor:
    """The factor of U' diag(weights) U + I."""
    if layout.M == 1:
        u = U[:, 0]
        return scalar_factor(layout, 1.0 + np.add.reduceat(u * u * weights, layout.starts))
    outer = (U * weights[:, None])[:, :, None] * U[:, None, :]
    return factor(layout, layout.blocks(outer[..., None]))


def _finished(model: Model, U: Array, tau: Tau, at: _Point) -> Mode | None:
    try:
        observed = weighted(model.layout, U, -at.near.bend)
        W = model.rows.weights(at.near, at.eta, tau)
        A = observed if model.rows.same_weights else weighted(model.layout, U, W)
    except LinAlgError:
        return None
    return Mode(at.v, at.eta, U, at.near, -2 * float(at.height.sum()), A, observed)
