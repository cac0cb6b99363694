"""The mode of the coefficients given Q: Newton's method, the log posterior being concave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import DataError, FitError
from formula_neuro.family import Array
from formula_neuro.kernels.cone import recession_cone

from .likelihood import Derivatives
from .model import Model
from .system import System
from .tails import Tails

HALVINGS = 30
STEPS = 100
Asked = Callable[[Array], Derivatives]
LOOSE = 1e-3  # of the gradient: what Newton's steps before the last are solved to


@dataclass(frozen=True, eq=False)
class Mode:
    """The mode b (V, P) and the posterior's precision one last, small step before it."""

    b: Array
    system: System


def mode(model: Model, Q: Array, start: Array, tolerance: float, covariance: Array | None = None) -> Mode:
    """The mode: its last Newton step raised the log posterior by less than `tolerance` times V.

    With covariances (V, P, P) the log-likelihood is its expectation over b that vary so around their mean.
    """

    def asked(b: Array) -> Derivatives:
        likelihood = model.likelihood
        return likelihood.derivatives(b) if covariance is None else likelihood.expected(b, covariance)

    b, at = start, asked(start)
    value = _value(model, Q, b, at)
    for _ in range(STEPS):
        system = System(at.A, Q, model.halves)
        gradient = at.gradient - model.laplacian(b) @ Q
        way = system.solve(gradient[:, :, None], tolerance=LOOSE)[:, :, 0]
        gain = float((way * gradient).sum())
        if gain < 2 * tolerance * len(b):
            return Mode(b + way, system)
        b, at, value = _ahead(model, Q, asked, (b, way, gain), value)
    raise FitError(f"the mode of the coefficients was not found in {STEPS} Newton steps")


def _ahead(
    model: Model, Q: Array, asked: Asked, move: tuple[Array, Array, float], value: float
) -> tuple[Array, Derivatives, float]:
    """The next point, its derivatives and log posterior: a whole Newton step, halved until that rises."""
    b, way, gain = move
    length = 1.0
    for _ in range(HALVINGS):
        ahead = b + length * way
        at = asked(ahead)
        new = _value(model, Q, ahead, at)
        if new > value + 1e-4 * length * gain or gain < 1e-10 * abs(value):  # below it the sums' rounding decides
            return ahead, at, new
        length /= 2
    raise FitError("no step along Newton's direction raises the log posterior")


def _value(model: Model, Q: Array, b: Array, at: Derivatives) -> float:
    return float(at.loglik.sum() - 0.5 * (model.scatter(b) * Q).sum())


def _remedy(S: Array, m: Array) -> str:
    if S.sum() in (0, m.sum()):
        return "events and values without one are needed: look at the images and the mask, or take a larger mask"
    return "leave out the covariate, or level, in which all values are alike, or take a larger mask"


def level(model: Model) -> Array:
    """The maximum-likelihood coefficients (P,) of all voxels taken together.

    Raises DataError where they are infinite: the prior is flat in the level, so that the posterior would be improper.
    """
    rows = model.likelihood.rows
    S, m = model.likelihood.totals(), rows.trials * model.shape[0]
    cone = recession_cone(rows.X, (m == S).astype(float) - (S == 0))
    if cone is not None:
        raise DataError(
            f"the {model.shape[0]:,} voxels taken together are separated ({int(S.sum()):,} events in {int(m.sum()):,} "
            f"values): the prior leaves their level free, so that it would run to infinity; {_remedy(S, m)}"
        )
    a = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        u = Tails.of(rows.X @ a + rows.offset)
        up, down = S * u.r1, (m - S) * u.r0
        A = (rows.X.T * (up * (u.r1 + u.eta) + down * (u.r0 - u.eta))) @ rows.X
        way = np.linalg.solve(A, rows.X.T @ (up - down))
        a = a + way * min(1.0, 1.0 / max(float(np.abs(way).max()), 1e-300))
        if np.abs(way).max() < 1e-8:
            return a
    raise FitError("the level of all voxels was not found")
