"""The design of least variance whose bias keeps a limit in every design of the family.

Bias and, but for what misfit adds, variance depend on the estimators a alone: the shortest a with |a'v_i - l_i| at most
a share of |l_i| for all i is a least distance programme, solved exactly by one non-negative least squares
(Lawson & Hanson 1974, chapter 23). The free columns that do not carry a take up as much misfit as they can.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import optimize

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .constraints import Constraints
from .family import Family
from .objective import estimator, objective
from .reduced import Coordinates, coordinates, reduced
from .search import Search, search_of
from .solver import Solution, check, solve
from .usable import design_and_contrast

EXCESS = 1e-6  # of the limit: non-negative least squares keeps active limits to about 1e-9
WIDEST = 0.999  # phi near 1: variance alone


def least_variance(
    family: Family, constraints: Constraints, limit: float, space: Coordinates | None = None
) -> Solution:
    """The Z and c of least |a|^2 whose largest |C_b| is at most `limit`, under ZA = B and Cc = d.

    In designs, or second moments, whose contrast is 0 the estimate is at most that share of the smallest true contrast.
    phi has no part in it; the solution's objective is at the family's. Raises DataError, with the limit that can be
    kept.
    """
    if not 0 < limit < 1:
        raise DataError(
            f"the largest bias allowed is {limit}; a share of the truth between 0 and 1 is expected, as .05"
        )
    check(family, constraints)
    space = coordinates(family, constraints.B) if space is None else space
    p = len(constraints.A)
    if p == space.q:
        return _kept(solve(family, constraints, space=space), family, limit, p)
    problem = reduced(space, family, p)
    search = search_of(problem, constraints, p)
    a = _shortest(search, family, space, limit)
    if a is None:
        raise _refusal(search, family, space, limit, p)
    if not search.apart(a):  # the fixed columns alone keep the limit: no free column is called for
        wide = replace(family, phi=np.full(family.phi.shape, WIDEST))
        return _kept(solve(wide, constraints, space=space), family, limit, p)
    Z, c = design_and_contrast(problem, constraints, a, search.space(a))
    c = c if family.l.ndim == 2 else c[0]
    value = objective(Z, c, family)
    return _kept(Solution(Z, c, value, 0, np.array([value]), np.zeros(0)), family, limit, p)


def _shortest(search: Search, family: Family, space: Coordinates, limit: float) -> Array | None:
    """The shortest feasible estimators (s, r) that keep the limit, or None where there are none."""
    found = [_of_one(search, *_rows(family, space, i), i, limit) for i in range(len(family.truth))]
    return None if any(a is None for a in found) else np.stack([a for a in found if a is not None])


def _rows(family: Family, space: Coordinates, contrast: int) -> tuple[Array, Array]:
    """v / |l| (M, r) and l / |l| (M,) of the columns that count, those of contrast 0 by the smallest |l|."""
    counts = family.by_column(family.w) > 0
    v, l = space.v[:, counts].T, family.truth[contrast, counts]
    size = np.where(l != 0, np.abs(l), np.abs(l[l != 0]).min())
    return v / size[:, None], l / size


def _of_one(search: Search, v: Array, l: Array, contrast: int, limit: float) -> Array | None:
    """The least |origin + Ny| with |va - l| <= limit: the least |y|, since origin is at right angles to N."""
    origin = search.origin[contrast]
    G, h = v @ search.N, l - v @ origin
    rows = np.vstack([np.hstack([G, (h - limit)[:, None]]), np.hstack([-G, (-h - limit)[:, None]])])
    target = np.zeros(rows.shape[1])
    target[-1] = 1.0
    try:
        u = optimize.nnls(rows.T, target, maxiter=20 * len(rows))[0]
    except RuntimeError:  # no end: limits that only estimators of absurd size keep
        return None
    left = target - rows.T @ u
    if left[-1] < 1e-13:
        return None
    a = np.asarray(origin - search.N @ left[:-1] / left[-1])
    return a if np.abs(v @ a - l).max() <= limit * (1 + EXCESS) else None


def _refusal(search: Search, family: Family, space: Coordinates, limit: float, p: int) -> DataError:
    low, high = limit, 1.0
    while high / low > 1.01:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if _shortest(search, family, space, middle) is not None else (middle, high)
    return DataError(
        f"no design of {p} columns was found whose largest bias is {limit:.3g} or less: {high:.3g} can be kept; "
        "give a larger bias, fewer or more similar designs, or fewer fixed columns"
    )


def _kept(found: Solution, family: Family, limit: float, p: int) -> Solution:
    """The solution, when the estimators of its Z and c keep the limit too."""
    a, truth = np.atleast_2d(estimator(found.Z, found.c)), family.truth
    some = (truth != 0) & (family.by_column(family.w) > 0)
    reached = float((np.abs(a @ family.v - truth)[some] / np.abs(truth[some])).max())
    if not reached <= limit * (1 + 10 * EXCESS):
        raise DataError(
            f"no design of {p} columns was found whose largest bias is {limit:.3g} or less: {reached:.3g} was reached; "
            "give a larger bias, or more free columns"
        )
    return replace(found, objective=objective(found.Z, found.c, family))
