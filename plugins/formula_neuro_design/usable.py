"""From the estimator and column space that the solver found to a design matrix Z and a contrast c that keep the
constraints: the objective knows only the space and a = Z (Z'Z)^-1 c, so a basis may be chosen.
"""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .constraints import Constraints, null_space
from .reduced import Reduced
from .subspace import Subspace


def design_and_contrast(problem: Reduced, constraints: Constraints, a: Array, space: Subspace) -> tuple[Array, Array]:
    """Z (n, p) and c (p,) with ZA = B, Cc = d, the column space given and Z'a = c."""
    U = problem.Q[:, problem.q :] @ np.column_stack([space.direction, space.others])
    full = problem.Q @ a
    beside = null_space(constraints.A.T)  # columns of T = [A, beside]: ZT = [B, Z2], T'c = [B'a, Z2'a]
    if constraints.free_contrast:
        free = U
    else:
        equations = np.vstack([constraints.A.T, constraints.C])
        sides = np.concatenate([constraints.B.T @ full, constraints.d])
        c = np.linalg.lstsq(equations, sides, rcond=None)[0]
        free = _with_products(U, constraints.B, full, beside.T @ c, floor=1e-8 * np.abs(c).max())
    Z = np.hstack([constraints.B, free]) @ np.linalg.inv(np.hstack([constraints.A, beside]))
    return Z, Z.T @ full


def _with_products(U: Array, B: Array, a: Array, wanted: Array, floor: float) -> Array:
    """Columns Z2 with Z2'a = wanted, whose span with B is that of U and B."""
    now = U.T @ a
    if np.abs(wanted).max() > floor:  # turn and stretch U so that its products become the wanted ones
        turn = np.outer(wanted, now) / (now @ now) + null_space(wanted[None]) @ null_space(now[None]).T
        return U @ turn.T
    fixed = B.T @ a  # U cannot lose its product with a, but part of B can be added that takes it away
    return U + np.outer(B @ fixed, wanted - now) / (fixed @ fixed)
