"""From low variance to low bias: solutions along phi, or k of the paper's choices, and the one that a limit chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from formula_neuro.errors import DataError, FitError
from formula_neuro.family import Array

from .constraints import Constraints
from .family import Family
from .measures import measures, phi_by_bias, phi_by_squared_bias
from .objective import estimator
from .reduced import Coordinates, coordinates
from .solver import Solution, solve

PHIS = tuple(np.geomspace(0.9, 1e-6, 30).tolist())
KS = tuple(np.geomspace(1.0, 1e8, 33).tolist())
CLOSE = 1e-3  # of the setting: bias and variance follow its logarithm, so they are as close or closer


@dataclass(frozen=True, eq=False)
class Point:
    """One setting's phi (m,), or (s, m), and its solution; the largest |C_b| where there is a contrast, and CV."""

    setting: float
    phi: Array
    solution: Solution
    max_bias: float
    max_change: float


@dataclass(frozen=True, eq=False)
class Trade:
    """A problem whose phi is still open.

    `phi_at` makes phi of a setting, and `settings` go from low variance to low bias. g (m,) or (s, m) are the
    Gauss-Markov variances. The family's own phi is not used.
    """

    family: Family
    constraints: Constraints
    g: Array
    phi_at: Callable[[float], Array]
    settings: Sequence[float]
    space: Coordinates

    def point(self, setting: float, near: Array | None = None) -> Point:
        """The solution at a setting; near (n,) or (s, n): the estimators of a setting close by."""
        family = replace(self.family, phi=self.phi_at(setting))
        found = solve(family, self.constraints, space=self.space, near=near)
        seen = measures(found.Z, found.c, family, self.g)
        some = family.by_design(family.l**2) > 0
        return Point(
            setting,
            family.phi,
            found,
            float(np.abs(seen.bias[some]).max()),
            float(np.nanmax(seen.variance_change)),
        )

    def points(self) -> Iterator[Point]:
        """A point a setting, each search from the last one's solution, until one has no solution."""
        near = None
        for i, setting in enumerate(self.settings):
            try:
                found = self.point(setting, near)
            except FitError:
                if not i:
                    raise
                return  # so little variance in the criterion that rounding decides
            yield found
            near = estimator(found.solution.Z, found.solution.c)


def trade(
    family: Family, constraints: Constraints, g: Array, choice: str = "phi", settings: Sequence[float] | None = None
) -> Trade:
    """The problem whose setting is one phi of all designs ("phi"), or k of the paper's choice "A" or "B"."""
    space = coordinates(family, constraints.B)
    m = len(family.w)
    if choice == "phi":
        return Trade(family, constraints, g, lambda phi: np.full(m, phi), settings or PHIS, space)
    weigh = {"A": phi_by_squared_bias, "B": phi_by_bias}[choice]
    truth = np.sqrt(family.by_design(family.l**2))
    return Trade(family, constraints, g, lambda k: weigh(truth, g, k), settings or KS, space)


def by_bias(problem: Trade, limit: float) -> Point:
    """The least variance whose largest |C_b| is at most `limit`: the first setting of the path, to .1 %.

    Raises DataError with what was reached where no setting does it.
    """
    _check(limit, "bias")
    last: Point | None = None
    for point in problem.points():
        if point.max_bias <= limit:
            return point if last is None else _between(problem, last, point, lambda at: at.max_bias <= limit)[1]
        last = point if last is None or point.max_bias < last.max_bias else replace(last, setting=point.setting)
    assert last is not None  # points() yields one or raises
    raise DataError(
        f"no design of {len(problem.constraints.A)} columns was found whose largest bias is {limit:.3g} or less: "
        f"{last.max_bias:.3g} was reached; ask for more columns, fewer designs or a larger bias"
    )


def by_variance(problem: Trade, limit: float) -> Point:
    """The least bias whose largest CV is at most `limit`: the last setting before the path leaves it, to .1 %.

    Raises DataError with what was reached where the first setting already exceeds it.
    """
    _check(limit + 1, "variance change, which is above -1,")
    last: Point | None = None
    for point in problem.points():
        if point.max_change > limit:
            if last is None:
                p = len(problem.constraints.A)
                raise DataError(
                    f"no design of {p} columns was found whose variance changes by {limit:.3g} or less: "
                    f"{point.max_change:.3g} was reached; ask for more columns, fewer designs or more variance"
                )
            return _between(problem, last, point, lambda at: at.max_change > limit)[0]
        last = point
    assert last is not None  # points() yields one or raises
    return last


def _between(problem: Trade, low: Point, high: Point, reached: Callable[[Point], bool]) -> tuple[Point, Point]:
    """The neighbours between which `reached` becomes true, their settings within a share CLOSE of each other."""
    while abs(np.log(high.setting / low.setting)) > CLOSE:
        near = estimator(high.solution.Z, high.solution.c)
        middle = problem.point(float(np.sqrt(low.setting * high.setting)), near)
        low, high = (low, middle) if reached(middle) else (middle, high)
    return low, high


def _check(limit: float, what: str) -> None:
    if not (np.isfinite(limit) and limit > 0):
        raise DataError(f"the largest {what} allowed is {limit}; a number above 0 is expected")
