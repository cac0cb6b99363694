"""A fitted GLMM taken up again: its criterion, where it is least, and what its rows say there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.linalg import LinAlgError
from scipy import optimize

from formula_neuro.errors import FitError
from formula_neuro.estimator import AGQ
from formula_neuro.family import Array
from formula_neuro.request import Request
from formula_neuro.result import Fit

from ..profile import inner_theta
from .inner import Inner, inner, penalty
from .marginal import Marginal
from .search import LIMITS


def marginal_of(request: Request, problem: Inner) -> Marginal:
    """The criterion that the request's estimator minimises."""
    nodes = request.estimator.nodes if isinstance(request.estimator, AGQ) else 1
    return Marginal(problem.model, nodes, penalty(request, problem))


def found(fit: Fit) -> tuple[Inner, Marginal, Array]:
    """The problem, the criterion and psi = (theta, b, tau) where the fit found it least."""
    problem = _as_found(fit)
    b = problem.basis.R @ fit.beta[problem.basis.kept] / problem.scale
    if problem.inflation is not None and fit.inflation is not None:
        gamma = fit.inflation.gamma[problem.inflation.kept]
        b = np.concatenate([b, problem.inflation.R @ gamma / problem.scale])
    tau = [_tau(fit)] if problem.model.rows.shaped else []
    return problem, marginal_of(fit.request, problem), np.concatenate([inner_theta(fit, problem.terms), b, tau])


def _as_found(fit: Fit) -> Inner:
    """The problem; that of the family without a shape where the fit found the shape at its limit."""
    problem, shape = inner(fit.request), fit.request.family.shape
    rows = problem.model.rows
    if not rows.shaped or shape is None or 0 < shape[1] < np.inf:
        return problem
    simple = LIMITS[type(rows.family)](rows.family.link)
    return replace(problem, model=replace(problem.model, rows=replace(rows, family=simple)))


def _tau(fit: Fit) -> float:
    """What the criterion takes for the shape: its logarithm, or that of the dispersion."""
    shape = fit.request.family.shape
    return 2 * float(np.log(fit.sigma)) if shape is None else float(np.log(getattr(fit.request.family, shape[0])))


def row_weights(fit: Fit) -> tuple[Array, Array]:
    """The weights (n,) of the rows in the modes' covariances, and their scores in eta (n,); 0 in rows not used."""
    problem, _, psi = found(fit)
    model = problem.model
    order, rows, tau = model.layout.order, model.rows, model.parts(psi)[2]
    eta = fit.eta[order]
    near = rows.near(eta, tau)
    W, score = np.zeros((2, len(fit.eta)))
    W[order], score[order] = rows.weights(near, eta, tau), near.score
    return W, score


def loglik_without_random(fit: Fit) -> float:
    """The log-likelihood at its greatest where theta is 0, on the scale of the fit's; b and tau are free there.

    It is that of the generalized linear model, a shape or dispersion estimated by maximum likelihood.
    """
    _, marginal, psi = found(fit)
    theta = np.zeros(marginal.model.n_theta)

    def slope(rest: Array) -> tuple[float, Array]:
        try:
            value, gradient = marginal.gradient(np.concatenate([theta, rest]))
        except (LinAlgError, FitError):
            return float("inf"), np.zeros(len(rest))
        return value, gradient[len(theta) :]

    start = psi[len(theta) :]
    if len(start) == 0:
        return fit.loglik - (slope(start)[0] - marginal.value(psi)) / 2
    least = optimize.minimize(slope, start, jac=True, method="BFGS", options={"gtol": 1e-5, "maxiter": 500})
    return fit.loglik - (float(least.fun) - marginal.value(psi)) / 2
