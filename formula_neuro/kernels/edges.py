"""The edges of a family's range: a maximum where some linear predictor is at its limit, as mu = 1 of a log-binomial.

Rows that stop the steps are held at their limits, while the others are fitted on; a held row is let go when the
likelihood would rise towards the inside (an active set; Nocedal & Wright 2006, section 16.5).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..family import Array
from .problem import Problem

CAUTION = 0.95  # share of the way to a limit that a step goes while the row is still far from it
NEAR = 1e-4  # of the largest linear predictor: from here on the row is held
HELD = 1e-10  # of the largest: the distance at which it is held, so that rounding does not put it outside
AT_EDGE = 1e-8  # of the largest linear predictor


def room(problem: Problem, eta: Array, move: Array, held: tuple[int, ...] = ()) -> tuple[float, int | None]:
    """The share of a step, at most 1, that keeps every linear predictor inside, and the row to hold, if any."""
    low, high = problem.family.limits
    if np.isinf(low) and np.isinf(high):
        return 1.0, None
    move = np.where(np.abs(move) > 1e-12 * np.abs(move).max(initial=0.0), move, 0.0)  # rows that a held one holds, too
    move[list(held)] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        way = np.where(move < 0, (low - eta) / move, np.where(move > 0, (high - eta) / move, np.inf))
    row = int(np.argmin(way)) if len(way) else 0
    if not len(way) or way[row] > 1:
        return 1.0, None
    gap, scale = float(_gap(problem, eta)[row]), _scale(eta)
    if gap < NEAR * scale:
        return float(way[row] * (1 - min(0.5, HELD * scale / gap))), row
    return float(CAUTION * way[row]), None


def wrongly_held(problem: Problem, eta: Array, held: tuple[int, ...]) -> int | None:
    """The held row from whose limit the likelihood rises most towards the inside, or None.

    The score is a combination X_A' lambda of the held rows; lambda > 0 presses against an upper limit.
    """
    if not held:
        return None
    family = problem.family
    mu, mu1 = family.link.inverse(eta), family.link.derivative(eta)
    g = problem.X.T @ (problem.w * (problem.y - mu) / family.variance(mu) * mu1)
    pressure = np.linalg.lstsq(problem.X[list(held)].T, g, rcond=None)[0]
    low, high = family.limits
    upper = np.abs(high - eta[list(held)]) < np.abs(eta[list(held)] - low)
    outward = np.where(upper, pressure, -pressure)
    worst = int(np.argmin(outward))
    return held[worst] if outward[worst] < -1e-9 * np.abs(problem.w).max() else None


def at_edge(problem: Problem, eta: Array) -> NDArray[np.intp]:
    """Rows whose linear predictors are at a limit."""
    return np.flatnonzero(_gap(problem, eta) < AT_EDGE * _scale(eta))


def _gap(problem: Problem, eta: Array) -> Array:
    low, high = problem.family.limits
    return np.asarray(np.minimum(eta - low, high - eta))


def _scale(eta: Array) -> float:
    return float(np.abs(eta).max(initial=0.0))
