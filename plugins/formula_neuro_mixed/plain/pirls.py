"""The modes of the random effects of a GLMM: penalised iteratively reweighted least squares.

h(v) = sum_i w_i log f(y_i | eta_i) - |v|^2 / 2 with eta = X b + U v + offset, U = Z L(theta). Newton's steps
use the observed weights where these make a convex problem and Fisher's otherwise (Bates et al. 2015 for the
linear case; the steps are those of any penalised likelihood).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cho_solve, cholesky

from formula_neuro.family import Array, Family
from formula_neuro.kernels.irls import inside

from ..terms import Term, model_matrix

ITERATIONS = 40
TOLERANCE = 1e-10  # of the largest change of a spherical effect


@dataclass(frozen=True, eq=False)
class Problem:
    """One GLMM in inner coordinates: columns of X with mean square 1 and mutually orthogonal."""

    y: Array
    w: Array
    offset: Array
    X: Array  # (n, r)
    terms: tuple[Term, ...]
    family: Family

    @property
    def n_theta(self) -> int:
        return self.terms[-1].theta.stop

    @property
    def n_effects(self) -> int:
        return self.terms[-1].columns.stop


@dataclass(frozen=True, eq=False)
class Weights:
    """What the likelihood's rows say at eta (n,): derivatives in the linear predictor."""

    deviance: Array
    score: Array  # w (y - mu) mu1 / V
    fisher: Array  # W = w mu1^2 / V
    observed: Array  # minus the second derivative of log f
    slope: Array  # dW / deta


def weights_at(problem: Problem, eta: Array) -> Weights:
    """Score, Fisher and observed weights, and the slope of Fisher's weights."""
    family, y, w = problem.family, problem.y, problem.w
    mu, mu1, mu2 = family.link.inverse(eta), family.link.derivative(eta), family.link.second(eta)
    V, V1 = family.variance(mu), family.variance_slope(mu)
    fisher = w * mu1**2 / V
    bend = w * (y - mu) * (mu2 * V - mu1**2 * V1) / V**2
    slope = w * (2 * mu1 * mu2 / V - mu1**3 * V1 / V**2)
    return Weights(family.deviance(y, mu, w), w * (y - mu) * mu1 / V, fisher, fisher - bend, slope)


@dataclass(frozen=True, eq=False)
class Point:
    """One v of the search for the modes."""

    v: Array
    eta: Array
    rows: Weights
    penalised: float  # deviance + |v|^2


@dataclass(frozen=True, eq=False)
class Mode:
    """The modes at one (theta, b), with the lower Cholesky factors of U'WU + I there."""

    v: Array
    eta: Array
    U: sparse.csr_array
    rows: Weights
    penalised: float
    A: Array  # with Fisher's weights
    A_observed: Array


def modes(problem: Problem, theta: Array, b: Array, start: Array) -> Mode | None:
    """The modes from a start (q,), to 1e-10; None where the means leave the family's range or nothing converges."""
    factors = [term.template(theta) for term in problem.terms]
    U = model_matrix(problem.terms, factors, np.ones(len(problem.y)))
    fixed = problem.X @ b + problem.offset
    at = _point(problem, U, fixed, start) or _point(problem, U, fixed, np.zeros_like(start))
    for _ in range(ITERATIONS):
        if at is None:
            return None
        factor = _convex_factor(U, at.rows)
        step = cho_solve((factor, True), U.T @ at.rows.score - at.v, check_finite=False)
        size = np.abs(step).max()
        moved = _halved(problem, U, fixed, at, step) if size >= TOLERANCE else None
        if moved is None:  # there, or rounding hides the gain: good enough if the step was small
            return _mode(U, at, factor) if size < 1e-7 else None
        at = moved
    return None


def _point(problem: Problem, U: sparse.csr_array, fixed: Array, v: Array) -> Point | None:
    eta = fixed + U @ v
    if not inside(problem.family, eta).all():
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # a step too far is answered by None, not by a warning
        rows = weights_at(problem, eta)
    penalised = float(rows.deviance.sum() + v @ v)
    finite = np.isfinite(penalised) and np.isfinite(rows.slope).all()
    return Point(v, eta, rows, penalised) if finite else None


def _halved(problem: Problem, U: sparse.csr_array, fixed: Array, at: Point, step: Array) -> Point | None:
    for _ in range(30):
        new = _point(problem, U, fixed, at.v + step)
        if new is not None and new.penalised <= at.penalised + 1e-13 * abs(at.penalised):
            return new
        step = step / 2
    return None


def _convex_factor(U: sparse.csr_array, rows: Weights) -> Array:
    """The factor with the observed weights, or with Fisher's where those do not make a convex problem."""
    try:
        return _factor(U, rows.observed)
    except LinAlgError:
        return _factor(U, rows.fisher)


def _factor(U: sparse.csr_array, weights: Array) -> Array:
    """Lower Cholesky factor of U' diag(weights) U + I."""
    A = (U.T @ U.multiply(weights[:, None])).toarray()
    A[np.diag_indices_from(A)] += 1.0
    return np.asarray(cholesky(A, lower=True, overwrite_a=True, check_finite=False))


def _mode(U: sparse.csr_array, at: Point, factor: Array) -> Mode:
    # for a canonical link the two kinds of weights, and so the two factors, are the same
    canonical = np.array_equal(at.rows.observed, at.rows.fisher)
    A = factor if canonical else _factor(U, at.rows.fisher)
    return Mode(at.v, at.eta, U, at.rows, at.penalised, A, factor)
