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
from formula_neuro.kernels.irls import admissible

from .terms import Term, model_matrix

ITERATIONS = 100
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
class Mode:
    """The modes at one (theta, b), with the matrices there."""

    v: Array
    eta: Array
    U: sparse.csr_array
    rows: Weights
    penalised: float  # deviance + |v|^2

    def hessian(self, weights: Array) -> Array:
        """Lower Cholesky factor of U' diag(weights) U + I."""
        A = (self.U.T @ self.U.multiply(weights[:, None])).toarray()
        return np.asarray(cholesky(A + np.eye(len(A)), lower=True))


def modes(problem: Problem, theta: Array, b: Array, start: Array) -> Mode | None:
    """The modes from a start (q,), to 1e-10; None where the means leave the family's range or nothing converges."""
    factors = [term.template(theta) for term in problem.terms]
    U = model_matrix(problem.terms, factors, np.ones(len(problem.y)))
    fixed = problem.X @ b + problem.offset
    at = _evaluate(problem, U, fixed, start)
    if at is None:
        at = _evaluate(problem, U, fixed, np.zeros_like(start))
    for _ in range(ITERATIONS):
        if at is None:
            return None
        step = _step(at)
        if np.abs(step).max() < TOLERANCE:
            return at
        moved = _halved(problem, U, fixed, at, step)
        if moved is None:  # rounding hides the gain: good enough if the step was small anyway
            return at if np.abs(step).max() < 1e-7 else None
        at = moved
    return None


def _evaluate(problem: Problem, U: sparse.csr_array, fixed: Array, v: Array) -> Mode | None:
    eta = fixed + U @ v
    if not admissible(problem.family, eta):
        return None
    rows = weights_at(problem, eta)
    penalised = float(rows.deviance.sum() + v @ v)
    return Mode(v, eta, U, rows, penalised) if np.isfinite(penalised) else None


def _step(at: Mode) -> Array:
    """The Newton step, with Fisher's weights where the observed ones are not a convex problem's."""
    gradient = at.U.T @ at.rows.score - at.v
    try:
        return np.asarray(cho_solve((at.hessian(at.rows.observed), True), gradient))
    except LinAlgError:
        return np.asarray(cho_solve((at.hessian(at.rows.fisher), True), gradient))


def _halved(problem: Problem, U: sparse.csr_array, fixed: Array, at: Mode, step: Array) -> Mode | None:
    for _ in range(30):
        new = _evaluate(problem, U, fixed, at.v + step)
        if new is not None and new.penalised <= at.penalised + 1e-13 * abs(at.penalised):
            return new
        step = step / 2
    return None
