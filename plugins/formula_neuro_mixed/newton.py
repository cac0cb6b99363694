"""Newton's method for smooth functions that are not convex: guarded, and honest about where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from formula_neuro.family import Array

NEAR = 1e-3  # a decrement below which a carried-along Hessian is checked against an exact one
HOPE = 10.0  # times the gain that a step predicts: what a search from there may bring


@dataclass(frozen=True, eq=False)
class Target:
    """The function to minimise. Where `secant`, Hessians are dear: they are carried along by BFGS updates,
    and taken exactly at the start, once near the end, and where the updates fail."""

    value: Callable[[Array], float]  # may be infinite
    gradient: Callable[[Array], tuple[float, Array]]
    derivatives: Callable[[Array], tuple[float, Array, Array]]  # value, gradient, Hessian
    length: Callable[[Array, Array], float]  # of a step from a point, in units of which at most 1 is allowed
    secant: bool = False


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where the search ended. The decrement g'H^-1 g / 2 is the gain that one more step predicts."""

    point: Array
    value: float
    gradient: Array
    decrement: float
    iterations: int
    converged: bool


class Descent(Protocol):
    """What finds a minimum from a point; it may give up where it will hardly get below `goal`."""

    def __call__(self, start: Array, *, goal: float = ...) -> Minimum: ...


@dataclass(frozen=True, eq=False)
class _State:
    """One point of the search with its modified Newton step; `lowest` is the lowest eigenvalue if negative."""

    point: Array
    value: float
    gradient: Array
    hessian: Array
    exact: bool
    step: Array
    decrement: float
    lowest: float


def minimise(
    target: Target,
    start: Array,
    *,
    tolerance: float,
    last: float = 0.0,
    iterations: int = 100,
    enough: float = 1e-6,
    goal: float = np.inf,
) -> Minimum:
    """A local minimum by Newton steps with |eigenvalues|, backtracking and a trust region.

    The search ends when the decrement is below `tolerance`, or when rounding stops it; it counts as
    converged when the decrement is below `enough` and no direction curves downwards. A stationary point from
    which some direction curves down (such as theta = 0 where a variance is wanted) is left along it.
    Where one more step will bring the decrement, which such steps square, below `last`, it is the last one and taken
    without new derivatives; the Minimum's gradient and decrement are then those before it.
    It gives up where the steps predict nothing like the gain that would bring the value below `goal`.
    """
    at = state_at(target, np.asarray(start, dtype=float))
    checked = not target.secant
    steps, before = 0, float("nan")
    while steps < iterations:
        steps += 1
        if at.decrement < NEAR and not checked:
            at, checked = at if at.exact else state_at(target, at.point), True
        saddle = at.decrement < NEAR and at.lowest < 0  # not later: along a flat valley the end may never come
        if (at.decrement < tolerance and not saddle) or at.value - HOPE * at.decrement > goal:
            break
        if at.exact and at.lowest == 0 and _next(at.decrement, before) < last:
            at = _stepped(target, at)
            break
        before = at.decrement
        new = _search(target, at, _downhill(at.hessian)) if saddle else None
        new = _search(target, at, at.step) if new is None else new
        if new is None and at.exact:
            break
        at = state_at(target, at.point) if new is None else new
    converged = bool(at.decrement < enough and at.lowest == 0)
    return Minimum(at.point, at.value, at.gradient, at.decrement, steps, converged)


def _next(decrement: float, before: float) -> float:
    """The decrement after one more step, where the last one made `decrement` of `before` (NaN: none); inf far away."""
    if decrement > 1e-6:
        return float("inf")
    # before is 0 where a saddle was left
    factor = 1.0 if np.isnan(before) else max(decrement / max(before**2, 1e-300), 1e-4)
    return factor * decrement**2


def _stepped(target: Target, at: _State) -> _State:
    """The state with its point and value after the Newton step, where that is no worse but for rounding."""
    value = target.value(at.point + at.step)
    if not value <= at.value + 1e-9 * max(1.0, abs(at.value)):
        return at
    return replace(at, point=at.point + at.step, value=value)


def state_at(target: Target, point: Array) -> _State:
    """What the exact derivatives say of a point."""
    return _state(point, *target.derivatives(point), exact=True)


def _after(target: Target, at: _State, point: Array) -> _State:
    """The state at a new point, its Hessian carried along from the last one where that is wanted and sound."""
    if not target.secant or at.lowest < 0:
        return state_at(target, point)
    value, gradient = target.gradient(point)
    return _state(point, value, gradient, bfgs(at.hessian, point - at.point, gradient - at.gradient), exact=False)


def _state(point: Array, value: float, gradient: Array, hessian: Array, *, exact: bool) -> _State:
    size = np.maximum(1.0, np.abs(point))  # so that a parameter of 1e4 may move by as much
    values, vectors = _spectrum(hessian * size[:, None] * size)
    largest = max(float(np.abs(values).max(initial=0.0)), 1e-300)
    along = vectors.T @ (size * gradient)
    scaled = along / np.maximum(np.abs(values), 1e-6 * largest)
    lowest = float(values.min(initial=0.0))
    lowest = lowest if lowest < -1e-7 * largest else 0.0  # less is rounding
    return _State(point, value, gradient, hessian, exact, -size * (vectors @ scaled), float(along @ scaled) / 2, lowest)


def _spectrum(M: Array) -> tuple[Array, Array]:
    """Eigenvalues (k,) and eigenvectors (k, k) of a symmetric matrix; of a number without LAPACK's overhead."""
    if len(M) == 1:
        return M[0], np.ones((1, 1))
    values, vectors = np.linalg.eigh(M)
    return values, vectors


def flatness(point: Array, value: float, gradient: Array, hessian: Array) -> tuple[float, float]:
    """The largest slope at a point, and the gain that one more step predicts."""
    at = _state(point, value, gradient, hessian, exact=True)
    return float(np.abs(gradient).max(initial=0.0)), at.decrement


def bfgs(hessian: Array, step: Array, change: Array) -> Array:
    """The Hessian after a step over which the gradient changed by `change`; as it was if that is not convex."""
    curvature, Hs = float(step @ change), hessian @ step
    if curvature <= 1e-10 * np.linalg.norm(step) * np.linalg.norm(change):
        return hessian
    return np.asarray(hessian - np.outer(Hs, Hs) / (step @ Hs) + np.outer(change, change) / curvature)


def _downhill(hessian: Array) -> Array:
    """A step of length 1 along the direction of most negative curvature, its sign fixed."""
    vector = np.linalg.eigh(hessian)[1][:, 0]
    return np.asarray(vector * np.sign(vector[np.argmax(np.abs(vector))]))


def _search(target: Target, at: _State, step: Array) -> _State | None:
    """The state after the first of the halved steps that goes down enough (Armijo); None where none does."""
    scale = 1 / max(1.0, target.length(at.point, step))
    rounding = 1e-9 * max(1.0, abs(at.value))
    if 0 < at.decrement < rounding and scale == 1:
        # the value's own rounding hides so small a gain: the gradient is the better judge
        new = _after(target, at, at.point + step)
        if np.abs(new.gradient).max() < np.abs(at.gradient).max() and new.value <= at.value + rounding:
            return new
    slope = float(at.gradient @ step)
    for _ in range(40):
        candidate = at.point + scale * step
        gain = at.value - target.value(candidate)
        if np.isfinite(gain) and gain > 0 and gain >= -1e-4 * scale * slope:
            return _after(target, at, candidate)
        scale /= 2
    return None
