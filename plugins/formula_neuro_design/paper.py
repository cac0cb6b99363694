"""The paper's own search, Algorithm 1: projected steepest descent in all entries of Z and c, from the start of II-B;
and its choice of the number of columns by that search, Algorithms 2 and 3.

For comparison and teaching: it stops where its steps gain little, above the objective that the exact solver finds (on
the paper's Validation A by 4e-5, after 192 steps).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .constraints import Constraints, collinear
from .family import Family
from .objective import gradient, objective
from .solver import Solution
from .sweep import CUTOFF, Sweep

FIRST_STEP = 1e-3  # alpha_0, the largest that the paper allows
FACTOR = 2.0  # theta, as in the paper's figures
LEAST_FALL = 1e-10  # eta_1: the paper's 1e-5 ends at once after the first, tiny steps
LEAST_STEP = 1e-15  # eta_2
MOST_STEPS = 10_000


def initial_design(signal: Array, l: Array, constraints: Constraints) -> tuple[Array, Array]:
    """Z (n, p) and c (p,) of section II-B, moved to the nearest that keep ZA = B and Cc = d.

    signal (n, m): columns X_i cX' of the true designs. The first column is their mean, weighted by l^2, and the others
    are the leading left singular vectors of what is left. Raises DataError where the start has collinear columns.
    """
    p = len(constraints.A)
    mean = signal @ l**2 / (l @ l)
    U = np.linalg.svd(l * (signal - mean[:, None]), full_matrices=False)[0]
    Z, c = np.column_stack([mean, U[:, : p - 1]]), np.eye(p)[0]
    if Z.shape[1] < p:
        raise DataError(f"the paper's start has at most a column more than there are designs, {len(l) + 1}, not {p}")
    A, C = constraints.A, constraints.C
    Z = Z + (constraints.B - Z @ A) @ np.linalg.pinv(A)
    if collinear(Z):
        raise DataError('the paper\'s start has collinear columns; fewer columns or method="exact" may do')
    return Z, c + np.linalg.pinv(C) @ (constraints.d - C @ c)


def random_design(constraints: Constraints, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Z (n, p) of entries between 0 and 1 and c = (1, 0, ...), moved to the nearest that keep the constraints."""
    A, C, p = constraints.A, constraints.C, len(constraints.A)
    Z, c = rng.uniform(size=(n, p)), np.eye(p)[0]
    return Z + (constraints.B - Z @ A) @ np.linalg.pinv(A), c + np.linalg.pinv(C) @ (constraints.d - C @ c)


def algorithm_1(
    family: Family,
    constraints: Constraints,
    Z: Array,
    c: Array,
    least_fall: float = LEAST_FALL,
    most_steps: int = MOST_STEPS,
) -> Solution:
    """Steepest descent: a step that lowers G is taken and the next is doubled, else it is halved.

    The start Z (n, p) and c, (p,) or (s, p), is feasible. Ends when G falls by less than `least_fall`, when the step
    is shorter than 1e-15, or after `most_steps`.
    """
    p = c.shape[-1]
    within_Z = np.eye(p) - constraints.A @ np.linalg.pinv(constraints.A)
    within_c = np.eye(p) - np.linalg.pinv(constraints.C) @ constraints.C
    value, alpha = objective(Z, c, family), FIRST_STEP
    trace: list[float] = [value]
    steps: list[float] = []
    while len(steps) < most_steps:
        dZ, dc = gradient(Z, c, family)
        S, T = dZ @ within_Z, dc @ within_c
        trial = objective(Z - alpha * S, c - alpha * T, family)
        while not trial < value and alpha >= LEAST_STEP:  # the paper's loop has no such end, and may have none
            alpha /= FACTOR
            trial = objective(Z - alpha * S, c - alpha * T, family)
        if not trial < value:
            break
        fall = value - trial
        steps.append(alpha)
        trace.append(trial)
        Z, c, value, alpha = Z - alpha * S, c - alpha * T, trial, alpha * FACTOR
        if fall < least_fall:
            break
    return Solution(Z, c, value, len(steps), np.array(trace), np.array(steps))


def algorithm_2(
    family: Family,
    constraints_of: Callable[[int], Constraints],
    columns: Sequence[int],
    start: Callable[[Constraints], tuple[Array, Array]],
    most_steps: int = MOST_STEPS,
) -> Sweep:
    """Algorithm 1 for each number of columns; the answer's by_reduction() is the paper's p_opt."""
    found = []
    for p in columns:
        constraints = constraints_of(p)
        found.append(algorithm_1(family, constraints, *start(constraints), most_steps=most_steps))
    return Sweep(len(family.v), np.array(columns), tuple(found))


def algorithm_3(
    family: Family,
    constraints_of: Callable[[int], Constraints],
    columns: Sequence[int],
    runs: int,
    rng: np.random.Generator,
    cutoff: float = CUTOFF,
    most_steps: int = MOST_STEPS,
) -> tuple[int, Array]:
    """The median of p_opt over Algorithm 2 from so many random starts, the lower one of two, and p_opt of each."""
    n = len(family.v)

    def start(constraints: Constraints) -> tuple[Array, Array]:
        return random_design(constraints, n, rng)

    each = [algorithm_2(family, constraints_of, columns, start, most_steps).by_reduction(cutoff) for _ in range(runs)]
    return statistics.median_low(each), np.array(each)
