"""The generalized linear mixed model by Laplace's approximation or adaptive quadrature."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from formula_neuro.estimator import Normal
from formula_neuro.family import Array
from formula_neuro.inference.bootstrap.refits import Refits
from formula_neuro.inference.intervals.held import Profiler
from formula_neuro.kernels.rank import Basis, aliased
from formula_neuro.request import Request
from formula_neuro.result import Fit, RandomEffect
from formula_neuro.searches.search import Point, Search

from ..batch import glmm as batch_glmm
from ..checks import check_groups, singular_directions
from ..effects import contribution, effects_of_term
from ..lmm.containment import containment, of_rows
from ..lmm.identified import about_identification
from ..newton import flatness
from ..profile import of_glmm
from ..terms import users_theta
from . import again as glmm_again
from .inflation import inflation_of, inflation_words, with_inflation
from .inner import Inner, inner
from .modes import Mode
from .search import Searched, estimated, limiting, polished, search
from .start import alone, start
from .words import check_response, few_groups, separated, separation_words, shape_words, unbounded, unfinished

DF = "containment, residual"


@dataclass(frozen=True, eq=False)
class Engine:
    """What a GLMM can do again: fit another response."""

    def refit(self, request: Request) -> Fit:
        return fit(request)

    def flatness(self, fit: Fit) -> tuple[float, float]:
        """The criterion's largest slope in (theta, b, tau), and the gain that one more Newton step predicts."""
        _, marginal, psi = glmm_again.found(fit)
        return flatness(psi, *marginal.derivatives(psi))

    def profiler(self, fit: Fit) -> Profiler:
        """The deviance with a variance parameter held."""
        problem, marginal, psi = glmm_again.found(fit)
        return of_glmm(fit, problem.terms, marginal, psi)

    def row_weights(self, fit: Fit) -> tuple[Array, Array]:
        """The weights (n,) of the rows in the modes' covariances, and their scores in eta (n,)."""
        return glmm_again.row_weights(fit)

    def batch(self, fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
        """What refits many responses drawn from `near` at once, or None where this model has no such path."""
        return batch_glmm.batch(fit, near)

    def loglik_without_random(self, fit: Fit) -> float:
        """The greatest log-likelihood of the fixed part alone, on the scale of the fit's."""
        return glmm_again.loglik_without_random(fit)

    def df(self, fit: Fit, L: Array, method: str) -> Array:
        """Degrees of freedom (q,) of each row of L (q, p): "containment" or "residual"; without, tests are z tests."""
        if method == "containment":
            request, kept = fit.request, np.flatnonzero(~np.isnan(fit.beta))
            return of_rows(containment(request.design, kept, request.weights > 0), L)
        if method != "residual":
            raise ValueError(f"df={method!r} is not known for a generalized linear mixed model; there are {DF}")
        return np.full(len(np.atleast_2d(L)), fit.df_resid)


def fit(request: Request) -> Fit:
    """The model that maximises the approximated likelihood over theta, the coefficients and the shape together."""
    began = time.perf_counter()
    check_response(request)
    notes = (*check_groups(request.design.random), *about_identification(request.design.random))
    problem = inner(request)
    by_itself = alone(problem.model)
    signs = separated(request, problem.basis, by_itself)
    prior: Normal | None = getattr(request.estimator, "prior", None)
    lost = bool(signs) and prior is None
    # coefficients on their way to infinity are no place to start from
    b = by_itself.b
    b = b * min(1.0, 5.0 / np.abs(problem.model.X[:, : len(b)] @ b).max(initial=1e-300)) if signs else b
    marginal = glmm_again.marginal_of(request, problem)
    how = request.search
    b = with_inflation(problem.model, _given(how, problem, b))
    at = search(problem, marginal, start(problem.model, problem.terms, b, how), how, rescue=not signs)
    at, covariance, uncertain = polished(at, flat=lost)
    too_large = unbounded(at)
    finished = _finished(request, at, covariance)
    messages = (
        *request.messages,
        *aliased(request.design.names, problem.basis.kept),
        *notes,
        *few_groups(request, problem.basis.kept),
        *separation_words(signs, prior),
        *too_large,
        *singular_directions(problem.terms, at.found.point[: problem.model.n_theta]),
        *shape_words(request.family, at),
        *inflation_words(request, finished.inflation),
        *(() if lost or too_large else unfinished(at.found, request.design.random)),
        *uncertain,
    )
    return replace(
        finished,
        converged=at.found.converged and not lost and not too_large,
        messages=messages,
        separated=signs,
        seconds=time.perf_counter() - began,
    )


def _given(how: Search, problem: Inner, usual: Array) -> Array:
    """The inner coefficients of the point that the user gives to start from, else `usual`."""
    if not isinstance(how.start, Point) or len(how.start.beta) != problem.basis.columns:
        return usual
    return np.asarray(problem.basis.R @ np.array(how.start.beta)[problem.basis.kept] / problem.scale)


def _finished(request: Request, at: Searched, covariance: Array | None) -> Fit:
    """The Fit, with everything that follows from the modes at the optimum."""
    problem, point = at.problem, at.found.point
    model, basis, design = problem.model, problem.basis, request.design
    theta, b, _ = model.parts(point)
    tau = float(point[-1]) if model.rows.shaped else model.rows.fixed_tau
    mode = at.marginal.sure_mode(point)
    beta, zeros = basis.coefficients(b[: basis.rank] * problem.scale), inflation_of(problem, b, covariance)
    kept = ~np.isnan(beta)
    sigma = float(np.exp(tau / 2)) if request.family.dispersed else 1.0
    variance = None if covariance is None else covariance[len(b) :, len(b) :]
    family = limiting(request.family) if at.limited else estimated(request.family, tau, variance)
    effects = _effects(at, theta, mode)
    eta = np.empty(len(design.matrix))
    if len(mode.eta) < len(eta):  # rows of weight 0
        eta = design.matrix[:, kept] @ beta[kept] + design.offset + contribution(design.random, effects)
    eta[model.layout.order] = mode.eta  # whose rounding keeps it inside the range
    loglik = at.loglik(family)
    n_parameters = int(kept.sum()) + len(theta) + int(model.rows.shaped or at.limited) + model.rows.n_inflation
    mu = family.link.inverse(mode.eta)
    return Fit(
        request=request if family is request.family else replace(request, family=family),
        backend="native-glmm",
        beta=beta,
        covariance=_covariance_of_all(basis, covariance, problem.scale),
        loglik=loglik,
        deviance=-2 * loglik if zeros else float(family.deviance(model.rows.y, mu, model.rows.w).sum()),
        criterion=-2 * loglik + at.marginal.penalised(point),
        n_parameters=n_parameters,
        df_resid=float(len(request.y) - n_parameters),
        sigma=sigma,
        eta=eta,
        converged=at.found.converged,
        random=effects,
        theta=users_theta(problem.terms, theta) / sigma,
        iterations=at.found.iterations,
        engine=Engine(),
        inflation=zeros,
    )


def _effects(at: Searched, theta: Array, mode: Mode) -> tuple[RandomEffect, ...]:
    layout = at.problem.model.layout
    return tuple(
        effects_of_term(term, theta, layout.of_term(k, mode.v[:, None])[:, :, 0], mode.A.diagonal_blocks(k), 1.0)
        for k, term in enumerate(at.problem.terms)
    )


def _covariance_of_all(basis: Basis, covariance: Array | None, scale: float) -> Array:
    """(p, p) covariance of X's coefficients; all NaN where there is none."""
    if covariance is None:
        return np.full((basis.columns, basis.columns), np.nan)
    return scale**2 * basis.covariance(covariance[: basis.rank, : basis.rank])
