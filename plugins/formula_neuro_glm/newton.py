"""The root of an adjusted score by guarded scoring, and by Newton's method where scoring is slow.

Every step must make the merit f'I^-1 f smaller (f the adjusted score, I the information), or it is halved
and at last given up: the best point is never left. Scoring converges linearly, at a rate near 1 where one or
two events decide; then the Jacobian of f, by central differences, replaces -I.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from formula_neuro.family import Array
from scipy.linalg import solve_triangular

TIGHT = 1e-10  # in standard errors: where a root counts as found
ROUNDING = 1e-6  # the most that may be left where rounding ends the search


@dataclass(frozen=True, eq=False)
class Point:
    """A place a (r,) with its adjusted score f (r,) and a root L of the information, I = L'L (r, r)."""

    a: Array
    f: Array
    L: Array

    @property
    def decrement(self) -> float:
        """sqrt(f'I^-1 f): how far a scoring step goes, in standard errors."""
        return float(np.linalg.norm(solve_triangular(self.L, self.f, trans="T")))

    @property
    def scoring(self) -> Array:
        """The step I^-1 f."""
        return np.asarray(solve_triangular(self.L, solve_triangular(self.L, self.f, trans="T")))

    @property
    def sd(self) -> Array:
        """Standard errors of a (r,)."""
        return np.sqrt((np.linalg.inv(self.L) ** 2).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Search:
    """Where a search ended."""

    point: Point
    iterations: int
    converged: bool


Evaluate = Callable[[Array], Point | None]
Cap = Callable[[Array], float]


def search(evaluate: Evaluate, start: Point, cap: Cap, iterations: int = 300) -> Search:
    """From a start on; `evaluate` gives None out of range, `cap` the largest share of a step that may be taken."""
    point, slow, k = start, 0, 0
    while k < iterations and point.decrement > TIGHT:
        k += 1
        moved = None
        if slow < 2:
            moved = _accepted(evaluate, point, point.scoring, cap, halvings=4)
        if moved is None:
            moved = _by_newton(evaluate, point, cap)
        if moved is None:
            break
        slow = slow + 1 if moved.decrement > 0.5 * point.decrement else 0 if slow < 2 else slow
        point = moved
    return Search(point, k, _found(point))


def _by_newton(evaluate: Evaluate, point: Point, cap: Cap) -> Point | None:
    J = jacobian(evaluate, point)
    if J is not None:
        step = np.linalg.lstsq(-J, point.f, rcond=None)[0]
        moved = _accepted(evaluate, point, step, cap, halvings=12)
        if moved is not None:
            return moved
    return _accepted(evaluate, point, point.scoring, cap, halvings=40)


def jacobian(evaluate: Evaluate, point: Point, share: float = 1e-4) -> Array | None:
    """df/da (r, r) by central differences of a share of a standard error each; None at the edge of the range."""
    columns = []
    for step in np.diag(share * point.sd):
        ahead, behind = evaluate(point.a + step), evaluate(point.a - step)
        if ahead is None or behind is None:
            return None
        columns.append((ahead.f - behind.f) / (2 * np.abs(step).sum()))
    return np.stack(columns, axis=1)


def _accepted(evaluate: Evaluate, point: Point, step: Array, cap: Cap, halvings: int) -> Point | None:
    """The first of the step and its halves that lies in the range and has a smaller merit."""
    if not np.isfinite(step).all():
        return None
    share = min(1.0, cap(step))
    for _ in range(halvings + 1):
        candidate = evaluate(point.a + share * step)
        if candidate is not None and candidate.decrement < point.decrement * (1 - 1e-4 * share):
            return candidate
        share /= 2
    return None


def _found(point: Point) -> bool:
    """Whether the point is a root: tightly, or as nearly as the digits of the coefficients allow."""
    left = point.decrement
    return left <= TIGHT or (left <= ROUNDING and float(np.linalg.norm(point.scoring)) <= 1e-14 * float(np.linalg.norm(point.a)))
