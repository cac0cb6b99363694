"""The paper's own search, Algorithm 1: projected steepest descent in all entries of Z and c, from the start of II-B.

For comparison and teaching: it stops where its steps gain little, above the objective that the exact solver finds (on
the paper's Validation A by 4e-5, after 192 steps).
"""

from __future__ import annotations

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .constraints import Constraints, collinear
from .family import Family
from .objective import gradient, objective
from .solver import Solution

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


def algorithm_1(family: Family, constraints: Constraints, Z: Array, c: Array) -> Solution:
    """Steepest descent: a step that lowers G is taken and the next is doubled, else it is halved.

    The start Z (n, p) and c, (p,) or (s, p), is feasible. Ends when G falls by less than 1e-10, when the step is
    shorter than 1e-15, or after 10,000 steps.
    """
    p = c.shape[-1]
    within_Z = np.eye(p) - constraints.A @ np.linalg.pinv(constraints.A)
    within_c = np.eye(p) - np.linalg.pinv(constraints.C) @ constraints.C
    value, alpha, steps = objective(Z, c, family), FIRST_STEP, 0
    while steps < MOST_STEPS:
        dZ, dc = gradient(Z, c, family)
        S, T = dZ @ within_Z, dc @ within_c
        trial = objective(Z - alpha * S, c - alpha * T, family)
        while not trial < value and alpha >= LEAST_STEP:  # the paper's loop has no such end, and may have none
            alpha /= FACTOR
            trial = objective(Z - alpha * S, c - alpha * T, family)
        if not trial < value:
            break
        fall, steps = value - trial, steps + 1
        Z, c, value, alpha = Z - alpha * S, c - alpha * T, trial, alpha * FACTOR
        if fall < LEAST_FALL:
            break
    return Solution(Z, c, value, steps)
