"""Newton's method for smooth functions that are not convex: guarded, and honest about where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

Derivatives = tuple[float, Array, Array]  # value, gradient (m,), Hessian (m, m)


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where the search ended. The decrement g'H^-1 g / 2 is the gain that one more step predicts."""

    point: Array
    value: float
    gradient: Array
    hessian: Array
    decrement: float
    iterations: int
    converged: bool


def minimise(
    value: Callable[[Array], float],
    derivatives: Callable[[Array], Derivatives],
    start: Array,
    *,
    largest_step: Callable[[Array, Array], float],
    tolerance: float,
    iterations: int = 100,
    enough: float = 1e-6,
) -> Minimum:
    """A local minimum by Newton steps with |eigenvalues|, backtracking and a trust region.

    `largest_step(point, step)` is the length of a step in units of which at most 1 is allowed. The search ends
    when the decrement is below `tolerance`, or when rounding stops it; it counts as converged when the
    decrement is below `enough` and no direction curves downwards. A stationary point from which some
    direction curves down (such as theta = 0 where a variance is wanted) is left along that direction.
    """
    point = np.asarray(start, dtype=float)
    at, gradient, hessian = derivatives(point)
    for iteration in range(iterations + 1):
        step, decrement, lowest = _step(gradient, hessian)
        saddle = decrement < tolerance and lowest < 0
        if saddle:
            step = _downhill(hessian)
        done = decrement < tolerance and not saddle
        if done or iteration == iterations:
            break
        moved = _search(value, derivatives, point, at, gradient, step, largest_step, decrement)
        if moved is None:
            break
        point, (at, gradient, hessian) = moved
    converged = bool(decrement < enough and lowest >= 0)
    return Minimum(point, at, gradient, hessian, decrement, iteration, converged)


def _step(gradient: Array, hessian: Array) -> tuple[Array, float, float]:
    """The modified Newton step, its decrement, and the lowest eigenvalue (0 if negligible)."""
    values, vectors = np.linalg.eigh(hessian)
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-300)
    along = vectors.T @ gradient
    scaled = along / np.maximum(np.abs(values), 1e-6 * largest)
    lowest = float(values.min(initial=0.0))
    return -vectors @ scaled, float(along @ scaled) / 2, lowest if lowest < -1e-7 * largest else 0.0


def _downhill(hessian: Array) -> Array:
    """A step of length 1 along the direction of most negative curvature, its sign fixed."""
    vector = np.linalg.eigh(hessian)[1][:, 0]
    return np.asarray(vector * np.sign(vector[np.argmax(np.abs(vector))]))


def _search(
    value: Callable[[Array], float],
    derivatives: Callable[[Array], Derivatives],
    point: Array,
    at: float,
    gradient: Array,
    step: Array,
    largest_step: Callable[[Array, Array], float],
    decrement: float,
) -> tuple[Array, Derivatives] | None:
    """The first of the halved steps that goes down; None where none does."""
    scale = 1 / max(1.0, largest_step(point, step))
    # below this the value's own rounding hides the gain, and the gradient is the better judge
    fine = decrement < 1e-9 * max(1.0, abs(at))
    if fine and decrement > 0 and scale == 1:
        new = derivatives(point + step)
        better = np.abs(new[1]).max() < np.abs(gradient).max() and new[0] <= at + 1e-9 * max(1.0, abs(at))
        if better:
            return point + step, new
    slope = float(gradient @ step)
    for _ in range(40):
        candidate = point + scale * step
        gain = at - value(candidate)
        if np.isfinite(gain) and gain > 0 and gain >= -1e-4 * scale * slope:
            return candidate, derivatives(candidate)
        scale /= 2
    return None
