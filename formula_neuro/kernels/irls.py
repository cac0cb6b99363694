"""Generalized linear models by guarded Fisher scoring: the fit itself, or where a mixed model starts.

With mu1 = dmu/deta, mu2 = d2mu/deta2, V the variance function and V' its slope, the score of eta is
q = w (y - mu) mu1 / V and the weights are

    W = w mu1^2 / V                                          (expected information; Fisher scoring)
    W - w (y - mu) (mu2 V - mu1^2 V') / V^2                  (observed information; Newton)

Each step solves X'WX db = X'q (McCullagh & Nelder 1989, section 2.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from ..errors import FitError
from ..family import Array, Family
from .edges import at_edge, room, wrongly_held
from .normal_equations import solved
from .problem import Problem
from .starts import starts

SLOW = 0.1  # Fisher scoring whose decrement falls by less than this factor gives way to Newton's method
ROUNDING = 1e-13  # of the deviance: a predicted fall that is smaller and does not shrink is rounding
ENOUGH = 0.1  # of the predicted fall of the deviance that a step must bring, else it went too far
LARGEST_MOVE = 10.0  # of a linear predictor in one step, where exp(eta) would lose sight of the maximum


@dataclass(frozen=True, eq=False)
class Scoring:
    """Where the iteration ended; `decrement` is the fall of the deviance that one more step predicts.

    `edge` are the rows whose linear predictors ended at a limit of the family's range: the maximum is on its edge.
    """

    b: Array
    eta: Array
    mu: Array
    deviance: float
    decrement: float
    iterations: int
    converged: bool
    edge: NDArray[np.intp]


def inside(family: Family, eta: Array) -> NDArray[np.bool_]:
    """Which rows' means lie inside the family's range, (n,), on any branch of the square root link."""
    with np.errstate(all="ignore"):
        mu = family.link.inverse(eta)
    fine = np.isfinite(eta) & np.isfinite(mu)
    if family.link.name == "inverse":
        fine &= eta > 0  # the other branch gives negative means
    low, high = family.range
    return np.asarray(fine & (mu > low) & (mu < high))


def irls(
    X: Array,
    y: Array,
    w: Array,
    offset: Array,
    family: Family,
    *,
    start: Array | None = None,
    iterations: int = 200,
    tolerance: float = 1e-20,
) -> Scoring:
    """Maximum likelihood of eta = X b + offset; X (n, r) of full rank on the rows with w > 0.

    Steps that raise the deviance or leave the family's range are shortened; where Fisher scoring is slow, as
    under links far from the canonical one, Newton's method takes over as long as the observed information is
    positive definite. It ends where the predicted fall of the deviance is below `tolerance` of it (the square of how
    far the coefficients are off, in standard errors), or no longer shrinks. Raises FitError when no coefficients at
    all keep the means in the family's range.
    """
    problem = Problem(X, y, w, offset, family)
    b, eta, value = _begin(problem, start)
    before, steps, newton, done, decrement = np.inf, 0, False, False, np.inf
    held: tuple[int, ...] = ()  # rows kept at a limit of eta
    while not done and steps < iterations:
        steps += 1
        step, decrement = direction(problem, eta, newton, held)
        share = decrement / (0.1 + abs(value))
        arrived = share < tolerance or (share < ROUNDING and decrement > before / 4)
        newton, before = newton or decrement > SLOW * before, decrement
        moved = None if arrived else _shortened(problem, b, eta, step, value, decrement, held)
        if moved is not None:
            b, eta, value, blocking = moved
            held = held if blocking is None else (*held, blocking)
        elif (loose := wrongly_held(problem, eta, held)) is not None:
            held, newton, before = tuple(row for row in held if row != loose), True, np.inf
        else:
            done = True
    # also where rounding ended it; R's epsilon
    enough = decrement < 1e-8 * (0.1 + abs(value)) and (done or wrongly_held(problem, eta, held) is None)
    mu = family.link.inverse(eta)
    deviance = float(family.deviance(y, mu, w).sum())
    return Scoring(b, eta, mu, deviance, float(decrement), steps, bool(enough), at_edge(problem, eta))


def _begin(problem: Problem, start: Array | None) -> tuple[Array, Array, float]:
    given = iter(() if start is None else (start,))
    for candidates in (given, starts(problem.X, problem.y, problem.w, problem.offset, problem.family)):
        for b in candidates:
            eta = problem.eta(b)
            value = problem.objective(eta)
            if np.isfinite(value):
                return b, eta, value
    raise FitError(
        f"no coefficients keep all means inside the range of {problem.family}; look at the offset, or use another "
        f"link ({', '.join(problem.family.links)})"
    )


def direction(problem: Problem, eta: Array, newton: bool, held: tuple[int, ...] = ()) -> tuple[Array, float]:
    """The step that leaves the held rows where they are, and the fall of the deviance that its quadratic predicts."""
    family, X = problem.family, problem.X
    if not X.shape[1]:
        return np.empty(0), 0.0
    mu, mu1 = family.link.inverse(eta), family.link.derivative(eta)
    V = family.variance(mu)
    q = problem.w * (problem.y - mu) / V
    W = problem.w * mu1**2 / V
    Z = null_space(X[list(held)]) if held else None
    X = X if Z is None else X @ Z
    g = X.T @ (q * mu1)
    step = None
    if newton:
        observed = W - q * (family.link.second(eta) - mu1**2 * family.variance_slope(mu) / V)
        step = solved(X.T @ (X * observed[:, None]), g)
    if step is None:
        step = solved(X.T @ (X * W[:, None]), g)
    if step is None:  # weights of very different size: the rows themselves, not their products
        root = np.sqrt(W)
        z = np.divide(q * mu1, root, out=np.zeros_like(root), where=root > 0)
        step = np.asarray(np.linalg.lstsq(X * root[:, None], z, rcond=None)[0])
    return (step if Z is None else Z @ step), float(g @ step)


def _shortened(
    problem: Problem, b: Array, eta: Array, step: Array, value: float, fall: float, held: tuple[int, ...]
) -> tuple[Array, Array, float, int | None] | None:
    """b after the step, or after as much of it as lowers the deviance in proportion; None where nothing is left.

    A deviance that only fell may be that of means gone far past the maximum, where it is flat (an inverse gaussian
    with the log link); `fall` is what the whole step was to bring. The last is the row to be held from now on, if the
    step ended at its limit.
    """
    move = problem.X @ step
    share, blocking = room(problem, eta, move, held)
    if problem.family.link.name == "log" and (largest := float(np.abs(share * move).max(initial=0.0))) > LARGEST_MOVE:
        share, blocking = share * LARGEST_MOVE / largest, None
    for _ in range(40):
        candidate = b + share * step
        there = problem.eta(candidate)
        new = problem.objective(there)
        if new <= value - ENOUGH * share * fall + 1e-12 * abs(value):
            return candidate, there, new, blocking
        share, blocking = share / 2, None
    return None
