"""The generalized linear mixed model by Laplace's approximation or adaptive quadrature."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import optimize
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from formula_neuro.errors import DataError, FitError
from formula_neuro.estimator import AGQ
from formula_neuro.family import Array
from formula_neuro.inference.refits import Refits
from formula_neuro.kernels.irls import Scoring, irls
from formula_neuro.kernels.rank import Basis, aliased, orthonormal_basis
from formula_neuro.kernels.separation import at_the_limits, infinite, separation
from formula_neuro.request import Request
from formula_neuro.result import Fit

from . import batch_glmm
from .boundary import free, settle
from .checks import check_groups, singular_directions
from .effects import contribution, random_effects
from .fixed_part import loglik_without_random
from .newton import Minimum, Target, minimise
from .objective import Objective
from .pirls import Problem
from .terms import inner_terms, start_theta, users_theta

ENOUGH = 1e-6  # predicted gain in deviance below which a fit counts as converged
SIMPLEX = 400  # evaluations of the rescue; each may be a long search for modes that there are not


@dataclass(frozen=True, eq=False)
class Engine:
    """What a GLMM can do again: fit another response."""

    def refit(self, request: Request) -> Fit:
        return fit(request)

    def batch(self, fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
        """What refits many responses drawn from `near` at once, or None where this model has no such path."""
        return batch_glmm.batch(fit, near)

    def loglik_without_random(self, request: Request) -> float:
        return loglik_without_random(request)

    def df(self, fit: Fit, L: Array, method: str) -> Array:
        """Degrees of freedom (q,) of each row of L (q, p): "residual" only, the tests being z tests."""
        if method != "residual":
            raise ValueError(f"df={method!r} is not known for a generalized linear mixed model; there is 'residual'")
        return np.full(len(np.atleast_2d(L)), fit.df_resid)


def fit(request: Request) -> Fit:
    """The model that maximises the approximated likelihood over theta and the coefficients together."""
    began = time.perf_counter()
    design = request.design
    _check_response(request)
    notes = check_groups(design.random)
    problem, basis, scale = inner_problem(request)
    alone = irls(problem.X, problem.y, problem.w, problem.offset, problem.family)
    separated = _separated(request, basis, alone)
    nodes = request.estimator.nodes if isinstance(request.estimator, AGQ) else 1
    objective = Objective(problem, nodes)
    # coefficients on their way to infinity are no place to start from
    b = alone.b * min(1.0, 5.0 / np.abs(problem.X @ alone.b).max()) if separated else alone.b
    found = _optimise(objective, np.concatenate([start_theta(problem.terms), b]), rescue=not separated)
    found, covariance, uncertain = _polished(objective, found, flat=bool(separated))
    theta, b = np.split(found.point, [problem.n_theta])
    unbounded = _unbounded(objective, theta)
    messages = (
        *request.messages,
        *aliased(design.names, basis.kept),
        *notes,
        *separation(separated),
        *unbounded,
        *singular_directions(problem.terms, theta),
        *(() if separated or unbounded else _unfinished(found)),
        *uncertain,
    )
    return _finished(
        request,
        objective,
        found,
        beta=basis.coefficients(b * scale),
        covariance=scale**2 * covariance_of_all(basis, covariance),
        converged=found.converged and not separated and not unbounded,
        messages=messages,
        separated=separated,
        began=began,
    )


def _finished(
    request: Request,
    objective: Objective,
    found: Minimum,
    *,
    beta: Array,
    covariance: Array,
    converged: bool,
    messages: tuple[str, ...],
    separated: dict[str, float],
    began: float,
) -> Fit:
    """The Fit, with everything that follows from the modes at the optimum."""
    problem, design, kept = objective.problem, request.design, ~np.isnan(beta)
    mode, theta = objective.sure_mode(found.point), found.point[: problem.n_theta]
    effects = random_effects(problem.terms, theta, mode.v, mode.A, 1.0)
    deviance = float(mode.rows.deviance.sum())
    mu = problem.family.link.inverse(mode.eta)
    # the optimiser works with deviances; the likelihood adds the saturated model's
    loglik = (deviance - found.value) / 2 + problem.family.loglik(problem.y, mu, problem.w, 1.0)
    n_parameters = int(kept.sum()) + len(theta)
    return Fit(
        request=request,
        backend="native-glmm",
        beta=beta,
        covariance=covariance,
        loglik=loglik,
        deviance=deviance,
        criterion=-2 * loglik,
        n_parameters=n_parameters,
        df_resid=float(len(request.y) - n_parameters),
        sigma=1.0,
        eta=design.matrix[:, kept] @ beta[kept] + design.offset + contribution(design.random, effects),
        converged=converged,
        messages=messages,
        seconds=time.perf_counter() - began,
        random=effects,
        theta=users_theta(problem.terms, theta),
        iterations=found.iterations,
        engine=Engine(),
        separated=separated,
    )


def inner_problem(request: Request) -> tuple[Problem, Basis, float]:
    """The problem in inner coordinates, the basis of X, and what turns inner coefficients into the basis's."""
    design, used = request.design, request.weights > 0
    basis = orthonormal_basis(design.matrix[used])
    scale = float(np.sqrt(used.sum()))
    X = solve_triangular(basis.R, design.matrix[:, basis.kept].T, trans="T").T * scale
    terms = inner_terms(design.random, used.astype(float))
    return Problem(request.y, request.weights, design.offset, X, terms, request.family), basis, scale


def covariance_of_all(basis: Basis, covariance: Array | None) -> Array:
    """(p, p) covariance of X's coefficients; all NaN where there is none."""
    if covariance is None:
        return np.full((basis.columns, basis.columns), np.nan)
    return basis.covariance(covariance)


def _optimise(objective: Objective, start: Array, *, rescue: bool) -> Minimum:
    X, cut = objective.problem.X, objective.problem.n_theta

    def length(point: Array, step: Array) -> float:
        """At most 5 units of the linear predictor, or a doubling of it or of theta."""
        eta = np.abs(X @ point[cut:]).max(initial=0.0)
        moved = np.abs(X @ step[cut:]).max(initial=0.0)
        of_theta = np.abs(step[:cut]).max() / max(1.0, np.abs(point[:cut]).max())
        return float(max(moved / max(5.0, eta), of_theta))

    target = Target(objective.value, objective.gradient, objective.derivatives, length, secant=True)
    search = partial(minimise, target, tolerance=1e-10, enough=ENOUGH)
    # effects of size 1 may leave the range of an identity or log link: begin with smaller ones
    starts = [start * np.where(np.arange(len(start)) < cut, size, 1.0) for size in (1.0, 0.1, 0.01)]
    start = next((s for s in starts if np.isfinite(objective.value(s))), start)
    found = settle(search, objective.value, objective.problem.terms, start)
    if found.converged or not rescue:
        return found
    # a likelihood with kinks (a mean that touches 0) stops Newton's method; a simplex walks over them
    with np.errstate(invalid="ignore"):  # corners outside the family's range are infinite
        simplex = optimize.minimize(objective.value, found.point, method="Nelder-Mead", options={"maxfev": SIMPLEX})
    try:
        again = settle(search, objective.value, objective.problem.terms, simplex.x)
    except FitError:  # at the edge of the family's range: what was found before stays, and says so
        return found
    return again if again.value < found.value else found


def _polished(objective: Objective, found: Minimum, *, flat: bool) -> tuple[Minimum, Array | None, tuple[str, ...]]:
    """One Newton step with the exact Hessian, and the covariance (r, r) of b that this Hessian gives.

    The Hessian of -log L is that over theta and b; elements of theta on the boundary are left out.
    The step makes the estimates the same to the last digits that matter, however the search came here.
    Where separation leaves directions `flat`, their curvature is rounding: it is raised to 1e-8 of the largest,
    so that it does not reach the other coefficients' standard errors.
    """
    cut, keep = objective.problem.n_theta, free(objective.problem.terms, found.point)
    uncurved = ("no standard errors: the likelihood is not curved in every direction at the estimates",)
    try:
        H = objective.hessian(found.point)[np.ix_(keep, keep)]
    except FitError:  # no modes a small step away
        return found, None, uncurved
    if flat and np.isfinite(H).all():
        values, vectors = np.linalg.eigh(H)
        H = (vectors * np.maximum(values, 1e-8 * values.max())) @ vectors.T
    try:
        half = solve_triangular(cholesky(H, lower=True), np.eye(len(H)), lower=True)
    except (LinAlgError, ValueError):
        return found, None, uncurved
    inverse = half.T @ half
    point = found.point.copy()
    point[keep] -= inverse @ found.gradient[keep]
    fixed = int(keep[:cut].sum())
    covariance = 2 * inverse[fixed:, fixed:]
    if not found.converged or objective.mode(point) is None:
        return found, covariance, ()
    value, gradient = objective.gradient(point)
    decrement = float(gradient[keep] @ inverse @ gradient[keep]) / 2
    better = decrement < found.decrement and value <= found.value + 1e-9 * max(1.0, abs(value))
    polished = replace(found, point=point, value=value, gradient=gradient, decrement=decrement)
    return polished if better else found, covariance, ()


# ---- what can be wrong ---------------------------------------------------------------------------
def _check_response(request: Request) -> None:
    """A response at one limit in all rows has no finite maximum-likelihood estimate."""
    y, used = request.y, request.weights > 0
    family, first = request.family.name, float(y[used][0])
    if (y[used] == first).all() and (first == 0 or (family == "binomial" and first == 1)):
        what = "0 in all" if first == 0 else "1 in all"
        raise DataError(
            f"the response is {what} {int(used.sum())} rows, so its maximum-likelihood estimate is infinite; "
            "check the response, or fit without random terms by a bias-reduced estimator (estimator='mean_br')"
        )


def _separated(request: Request, basis: Basis, alone: Scoring) -> dict[str, float]:
    """The coefficients that separation makes infinite, with signs; looked for only where means reach their limits."""
    used, kept, design = request.weights > 0, basis.kept, request.design
    if alone.converged and not at_the_limits(alone.mu[used], request.family):
        return {}
    X = design.matrix[:, kept]
    return infinite([design.names[j] for j in kept], X, request.y, request.weights, request.family)


def _unbounded(objective: Objective, theta: Array) -> tuple[str, ...]:
    if np.abs(theta).max() < objective.limit / 2:
        return ()
    groups = [
        term.given.group
        for term in objective.problem.terms
        if np.abs(term.template(theta)).max() >= objective.limit / 2
    ]
    return (
        f"the standard deviation of the random effects of {', '.join(groups)} grows without limit: "
        "the responses hardly vary within levels; leave the term out or collect more rows a level",
    )


def _unfinished(found: Minimum) -> tuple[str, ...]:
    if found.converged:
        return ()
    return (
        f"did not converge in {found.iterations} iterations: largest gradient {np.abs(found.gradient).max():.2g}, "
        f"predicted gain in deviance {found.decrement:.2g} (wanted below {ENOUGH:g}); "
        "simplify the random terms, or compare with backend='lme4'",
    )
