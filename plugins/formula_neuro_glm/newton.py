"""The root of an adjusted score by guarded scoring, and by Newton's method where scoring is slow.

The adjusted score f is (nearly) the gradient of a penalised log-likelihood, so a step d is too long where f'd has
turned against it: it is halved then. That guards better than f'I^-1 f, which has minima that are no roots. Scoring
converges linearly, at a rate near 1 where one or two events decide; then the Jacobian of f, by central differences,
replaces -I as long as each step makes f'I^-1 f clearly smaller, and scales the step where it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

TIGHT = 1e-10  # in standard errors: where a root counts as found
ROUNDING = 1e-6  # the most that may be left where rounding ends the search
SLOW = 2  # scoring steps in a row that did not halve the decrement
NEAR = 1.0  # standard errors from the root, where Newton's method may be tried
LEAST = 0.02  # curvature: a step is at most 50 times that of scoring
PATIENCE = 40  # iterations in which the decrement must have halved, else there is no root this way


@dataclass(frozen=True, eq=False)
class Point:
    """A place a (r,) with its adjusted score f (r,) and a root L of the information, I = L'L (r, r)."""

    a: Array
    f: Array
    L: Array

    @property
    def decrement(self) -> float:
        """sqrt(f'I^-1 f): how far a scoring step goes, in standard errors."""
        return float(np.linalg.norm(np.linalg.solve(self.L.T, self.f)))

    @property
    def scoring(self) -> Array:
        """The step I^-1 f."""
        return np.asarray(np.linalg.solve(self.L, np.linalg.solve(self.L.T, self.f)))

    @property
    def sd(self) -> Array:
        """Standard errors of a (r,)."""
        return np.asarray(np.sqrt((np.linalg.inv(self.L) ** 2).sum(axis=1)))


@dataclass(frozen=True, eq=False)
class Search:
    """Where a search ended."""

    point: Point
    iterations: int
    converged: bool


Evaluate = Callable[[Array], Point | None]
Cap = Callable[[Array, Array], float]


def search(evaluate: Evaluate, start: Point, cap: Cap, iterations: int = 200) -> Search:
    """From a start on; `evaluate` gives None out of range, `cap` the share of a step from a that may be taken."""
    point = best = start
    slow, k = 0, 0
    goal, since = start.decrement / 2, 0
    while k < iterations and point.decrement > TIGHT and k - since < PATIENCE:
        k += 1
        moved = _by_newton(evaluate, point, cap) if slow >= SLOW else None
        if moved is None:
            moved = _uphill(evaluate, point, point.scoring, cap)
        if moved is None:
            break
        slow = slow + 1 if slow >= SLOW or moved.decrement > 0.5 * point.decrement else 0
        point = moved
        best = point if point.decrement < best.decrement else best
        if best.decrement < goal:
            goal, since = best.decrement / 2, k
    return Search(best, k, _found(best))


def _uphill(evaluate: Evaluate, point: Point, step: Array, cap: Cap) -> Point | None:
    """After the step or the largest of its halves that is not too long; None where nothing is left of it."""
    share, slope = cap(point.a, step), float(point.f @ step)
    for _ in range(30):
        candidate = evaluate(point.a + share * step)
        if candidate is not None and float(candidate.f @ step) >= -0.5 * slope:
            return candidate
        share /= 2
    return None


def _by_newton(evaluate: Evaluate, point: Point, cap: Cap) -> Point | None:
    """After a step of Newton's method that halves the decrement, else uphill by the size of every curvature.

    Curvatures are those of standardised directions: 1 where scoring is Newton's method, 0.01 where it needs hundreds
    of steps, below 0 where the way to the root leads past a saddle.
    """
    J = jacobian(evaluate, point)
    if J is None:
        return None
    inverse = np.linalg.inv(point.L)
    curvature, directions = np.linalg.eigh(-inverse.T @ (J + J.T) @ inverse / 2)
    if np.linalg.eigvals(J).real.max() < 0 and point.decrement < NEAR:  # else the root would be no maximum
        candidate = evaluate(point.a - np.linalg.solve(J, point.f))
        if candidate is not None and candidate.decrement < 0.5 * point.decrement:
            return candidate
    root = inverse @ directions / np.sqrt(np.maximum(np.abs(curvature), LEAST))
    return _uphill(evaluate, point, root @ (root.T @ point.f), cap)


def jacobian(evaluate: Evaluate, point: Point, share: float = 1e-4) -> Array | None:
    """df/da (r, r) by central differences of a share of a standard error each; None at the edge of the range."""
    columns = []
    for step in np.diag(share * point.sd):
        ahead, behind = evaluate(point.a + step), evaluate(point.a - step)
        if ahead is None or behind is None:
            return None
        columns.append((ahead.f - behind.f) / (2 * np.abs(step).sum()))
    return np.stack(columns, axis=1)


def _found(point: Point) -> bool:
    """Whether the point is a root: tightly, or as nearly as the digits of the coefficients allow."""
    left = point.decrement
    return left <= TIGHT or (
        left <= ROUNDING and float(np.linalg.norm(point.scoring)) <= 1e-14 * float(np.linalg.norm(point.a))
    )
