"""From the estimators and column space that the solver found to a design matrix Z and contrasts c that keep the
constraints: the objective knows only the space and a = Z (Z'Z)^-1 c, so a basis may be chosen.
"""

from __future__ import annotations

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .constraints import Constraints, null_space
from .reduced import Reduced
from .subspace import Subspace

ALIKE = 1e-8  # of the largest: products that differ by less are the same contrast but for rounding


def design_and_contrast(problem: Reduced, constraints: Constraints, a: Array, space: Subspace) -> tuple[Array, Array]:
    """Z (n, p) and c (s, p) with ZA = B, Cc = d, the column space given and Z'a = c; a is (s, r)."""
    U = problem.Q[:, problem.q :] @ space.basis
    full = problem.Q @ a.T
    beside = null_space(constraints.A.T)  # columns of T = [A, beside]: ZT = [B, Z2], T'c = [B'a, Z2'a]
    if constraints.free_contrast:
        free = U
    else:
        equations = np.vstack([constraints.A.T, constraints.C])
        fixed = constraints.B.T @ full
        given = np.broadcast_to(np.atleast_2d(constraints.d).T, (len(constraints.C), fixed.shape[1]))
        c = np.linalg.lstsq(equations, np.vstack([fixed, given]), rcond=None)[0]
        if np.linalg.matrix_rank(c) < len(a):  # the shortest contrasts may be dependent where others are not
            loose = null_space(equations)
            c = c + np.abs(c).max() * loose @ np.eye(loose.shape[1], len(a))
        free = _with_products(U, constraints.B, full, beside.T @ c)
    Z = np.hstack([constraints.B, free]) @ np.linalg.inv(np.hstack([constraints.A, beside]))
    return Z, (Z.T @ full).T


def _with_products(U: Array, B: Array, a: Array, wanted: Array) -> Array:
    """Columns Z2 with Z2'a = wanted (p - q, s), whose span with B is that of U (n, p - q) and B; a is (n, s).

    Z2 = UR + BX, R invertible. U'a has the rank s, so R alone can make any products of the rank s. Those that are
    missing (a contrast that is 0 in the free columns) are made with R too and taken away by part of B.
    """
    now, fixed = U.T @ a, B.T @ a
    left, size, right = np.linalg.svd(wanted)
    floor = ALIKE * max(size[0], np.abs(fixed).max(initial=0))
    missing = int((size <= floor).sum())
    made, X = wanted, np.zeros((B.shape[1], U.shape[1]))
    if missing:
        if np.linalg.matrix_rank(np.vstack([wanted, fixed]), tol=floor) < a.shape[1]:
            raise FitError("the contrasts' equations leave the contrasts linearly dependent; give them as numbers")
        rank = len(size) - missing
        put = left[:, rank : rank + missing] @ right[rank:]  # orthogonal to wanted in rows and columns
        back = np.linalg.pinv(fixed)
        made, X = wanted + put @ back @ fixed, -(put @ back).T
    turn = made @ np.linalg.pinv(now) + null_space(made.T) @ null_space(now.T).T
    return np.asarray(U @ turn.T + B @ X)
