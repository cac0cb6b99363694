"""How the answer is chosen: by phi as given, by a limit of the bias, by weights for the largest bias; and how many
columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .bounded import least_variance
from .constraints import Constraints
from .family import Family
from .measures import measures
from .minimax import minimax
from .paper import algorithm_1, initial_design
from .solver import Solution, solve
from .sweep import range_of_columns, sweep


@dataclass(frozen=True)
class Search:
    """What decides: phi and the weights as given, a limit of the bias, or minimax weights; and the method."""

    method: str = "exact"
    starts: int = 1
    seed: int = 1
    max_bias: float | None = None
    minimax: bool = False


@dataclass(frozen=True, eq=False)
class Problem:
    """The family under white noise, its Gauss-Markov variances, and the constraints of a design of p columns."""

    family: Family
    g: Array
    signal: Array  # (n, m), for the paper's start
    constraints: Callable[[int], Constraints]
    fewest: int


@dataclass(frozen=True, eq=False)
class Chosen:
    """The solution, and the family with the phi and weights that it is best for."""

    solution: Solution
    family: Family


def chosen(problem: Problem, search: Search, p: int) -> Chosen:
    """The answer with p columns. Raises DataError and FitError."""
    family, constraints = problem.family, problem.constraints(p)
    if search.method == "paper":
        if family.l.ndim == 2 or family.of is not None:
            raise DataError(
                "the paper's search is for one contrast and known amplitudes; leave nuisance= out, or use exact"
            )
        start = initial_design(problem.signal, family.l, constraints)
        return Chosen(algorithm_1(family, constraints, *start), family)
    if search.max_bias is not None:
        return Chosen(least_variance(family, constraints, search.max_bias), family)
    if search.minimax:
        found = minimax(family, constraints)
        return Chosen(found.solution, found.family)
    return Chosen(solve(family, constraints, search.starts, search.seed), family)


def columns_by(rule: str, problem: Problem, search: Search) -> tuple[int, pd.DataFrame]:
    """The number of columns by "auto" or "paper", and the table of those tried.

    "auto": the least objective for each degree of freedom left, or where the bias is limited the least variance;
    "paper": Algorithm 2, the first whose reduction of the objective is .95 of that reached in the range.
    """
    tried = range_of_columns(problem.family, problem.constraints(problem.fewest).B, problem.fewest)
    if search.max_bias is not None:
        return _by_variance(problem, search, tried)
    found = sweep(problem.family, problem.constraints, tried)
    return (found.by_reduction() if rule == "paper" else found.by_gain()), found.to_frame()


def _by_variance(problem: Problem, search: Search, tried: range) -> tuple[int, pd.DataFrame]:
    """The p that keeps the limit of the bias at the least variance for each degree of freedom left.

    Ends where two more columns bring nothing.
    """
    n, rows, prices, refusal = len(problem.family.v), [], [np.inf], None
    for p in tried:
        try:
            at = chosen(problem, search, p)
        except DataError as error:
            refusal = error
            continue
        seen = measures(at.solution.Z, at.solution.c, at.family, problem.g)
        worst = float(np.nanmax(seen.variance_change))
        rows.append({"columns": p, "variance_change": worst})
        prices.append((1 + worst) / (n - p))
        if min(prices[-2:]) > min(prices):
            break
    if not rows:
        assert refusal is not None  # the range is not empty
        raise refusal
    return int(rows[int(np.argmin(prices[1:]))]["columns"]), pd.DataFrame(rows)
