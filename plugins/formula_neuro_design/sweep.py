"""How many columns: solutions for a range of p, and two rules that choose one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .constraints import Constraints
from .family import Family
from .objective import estimator
from .reduced import coordinates
from .solver import Solution, solve

CUTOFF = 0.95  # R_c of the paper
MOST = 10  # columns tried by default, or six more than the fewest


@dataclass(frozen=True, eq=False)
class Sweep:
    """Solutions (t,) for p = columns (t,), of designs of n scans."""

    n: int
    columns: Array
    solutions: tuple[Solution, ...]

    @property
    def objectives(self) -> Array:
        return np.array([solution.objective for solution in self.solutions])

    def reduction(self) -> Array:
        """R(p) = (F_max - F(p)) / (F_max - F_min) of the paper; it depends on the range of p. 1 where all are equal."""
        return reduction(self.objectives)

    def by_reduction(self, cutoff: float = CUTOFF) -> int:
        """The paper's p_opt: the first p whose R is at least `cutoff` (Algorithm 2)."""
        return int(self.columns[first_above(self.objectives, cutoff)])

    def by_gain(self) -> int:
        """The p of least F(p) / (n - p), the objective for each degree of freedom left.

        A column is kept where it lowers F by more than its share 1 / (n - p) of the degrees of freedom. Other than
        R(p), the comparison of two designs does not depend on the range of p.
        """
        return int(self.columns[(self.objectives / (self.n - self.columns)).argmin()])

    def solution(self, p: int) -> Solution:
        return self.solutions[self.columns.tolist().index(p)]

    def to_frame(self) -> pd.DataFrame:
        """A row a p: columns, objective, R, gain (the share of F that the last columns took, for each) and its price.

        The price is the share of the degrees of freedom that each of these columns takes; the first row has neither.
        """
        F, p = self.objectives, self.columns
        gain = np.append(np.nan, (1 - F[1:] / F[:-1]) / np.diff(p))
        price = np.append(np.nan, 1 / (self.n - p[:-1]))
        return pd.DataFrame({"columns": p, "objective": F, "R": self.reduction(), "gain": gain, "price": price})


def sweep(family: Family, constraints_of: Callable[[int], Constraints], columns: Sequence[int]) -> Sweep:
    """The solution for each number of columns, ascending; they share one basis, and each starts from the last one.

    constraints_of makes the constraints of a design of p columns, with the same B for all. Raises DataError.
    """
    _check(columns)
    space, near, found = coordinates(family, constraints_of(columns[0]).B), None, []
    for p in columns:
        found.append(solve(family, constraints_of(p), space=space, near=near))
        near = estimator(found[-1].Z, found[-1].c)
    return Sweep(len(family.v), np.array(columns), tuple(found))


def range_of_columns(family: Family, B: Array, fewest: int, most: int | None = None) -> range:
    """p from `fewest` to `most`, or to what the designs span, keep a degree of freedom and need at most.

    By default that is 10, or six more than the fewest. Raises DataError where nothing is left.
    """
    n, q = B.shape
    span = coordinates(family, B).Q.shape[1]
    last = min(n - 1, span, max(MOST, fewest + 6) if most is None else most)
    if last < max(fewest, q):
        raise DataError(
            f"no number of columns from {max(fewest, q)} to {last} is possible: the designs and fixed columns span "
            f"{span} directions of {n} scans"
        )
    return range(max(fewest, q), last + 1)


def reduction(objectives: Array) -> Array:
    """R of objectives (t,): the share of the whole fall that each has."""
    high, low = objectives.max(), objectives.min()
    return np.ones(len(objectives)) if high == low else (high - objectives) / (high - low)


def first_above(objectives: Array, cutoff: float) -> int:
    """Where R is first at least `cutoff`. Raises DataError."""
    if not 0.5 < cutoff < 1:
        raise DataError(f"the cutoff of R is {cutoff}; between .5 and 1 is expected")
    return int((reduction(objectives) >= cutoff).argmax())


def _check(columns: Sequence[int]) -> None:
    if not len(columns) or list(columns) != sorted(set(columns)) or columns[0] < 1:
        raise DataError(f"the numbers of columns to try are {list(columns)}; rising whole numbers from 1 are expected")
