"""The generalized linear mixed model by Laplace's approximation or adaptive quadrature."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.linalg import LinAlgError, solve_triangular

from formula_neuro.errors import DataError, FitError
from formula_neuro.estimator import AGQ, Laplace, Normal
from formula_neuro.family import Array, Family, NBinom2, Poisson
from formula_neuro.inference.refits import Refits
from formula_neuro.inference.held import Profiler
from formula_neuro.kernels.irls import Scoring
from formula_neuro.kernels.rank import Basis, aliased, orthonormal_basis
from formula_neuro.kernels.separation import at_the_limits, infinite, separation
from formula_neuro.request import Request
from formula_neuro.result import Fit

from . import batch_glmm
from .boundary import free, settle
from .checks import check_groups, singular_directions
from .effects import contribution, effects_of_term
from .fixed_part import loglik_without_random
from .glmm_layout import layout_of
from .glmm_marginal import Marginal, Penalty
from .glmm_modes import Model
from .glmm_rows import EXPECTED, Rows
from .glmm_start import alone, simpler, start
from .newton import Minimum, Target, minimise
from .pirls import Problem
from .terms import Term, inner_terms, users_theta
from .profile import inner_theta, of_glmm

ENOUGH = 1e-6  # predicted gain in deviance below which a fit counts as converged
LARGEST_LOG_SHAPE = 15.0  # a shape of e^15, or e^-15, has become its limit
SIMPLEX = 400  # evaluations of the rescue; each may be a long search for modes that there are not
INSTEAD = (
    "a weak prior gives finite estimates: estimator=fn.Laplace(prior=fn.Normal(sd=2.5)); "
    "or take the term out, or join levels"
)


@dataclass(frozen=True, eq=False)
class Engine:
    """What a GLMM can do again: fit another response."""

    def refit(self, request: Request) -> Fit:
        return fit(request)

    def batch(self, fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
    def profiler(self, fit: Fit) -> Profiler:
        """The deviance with a variance parameter held."""
        request, problem = fit.request, inner(fit.request)
        nodes = request.estimator.nodes if isinstance(request.estimator, AGQ) else 1
        prior: Normal | None = getattr(request.estimator, "prior", None)
        marginal = Marginal(problem.model, nodes, _penalty(request, problem, prior))
        b = problem.basis.R @ fit.beta[problem.basis.kept] / problem.scale
        tau = _tau(fit) if problem.model.rows.shaped else []
        return of_glmm(fit, problem.terms, marginal, np.concatenate([inner_theta(fit, problem.terms), b, tau]))

        """What refits many responses drawn from `near` at once, or None where this model has no such path."""
        return batch_glmm.batch(fit, near)

    def loglik_without_random(self, request: Request) -> float:
        return loglik_without_random(request)

    def df(self, fit: Fit, L: Array, method: str) -> Array:
        """Degrees of freedom (q,) of each row of L (q, p): "residual" only, the tests being z tests."""
        if method != "residual":
            raise ValueError(f"df={method!r} is not known for a generalized linear mixed model; there is 'residual'")
        return np.full(len(np.atleast_2d(L)), fit.df_resid)


@dataclass(frozen=True, eq=False)
class Inner:
    """A request in inner coordinates: columns of X with mean square 1 and mutually orthogonal."""

    model: Model
    terms: tuple[Term, ...]
    basis: Basis
    scale: float  # inner coefficients times this are the basis's
    used: NDArray[np.bool_]


def inner(request: Request) -> Inner:
    """The model of the rows of positive weight."""
    design, used = request.design, request.weights > 0
    terms = inner_terms(design.random, used.astype(float))
    layout = layout_of(terms, used)
    basis = orthonormal_basis(design.matrix[used])
    scale = float(np.sqrt(used.sum()))
    X = np.empty((len(used), basis.rank))
    X[used] = basis.Q * scale
    order = layout.order
    rows = Rows(_limit(request.family), request.y[order], request.weights[order], _expected(request))
    return Inner(Model(rows, layout, X[order], design.offset[order]), terms, basis, scale, used)


def _limit(family: Family) -> Family:
    """A negative binomial of infinite theta is Poisson's."""
    return Poisson(family.link) if isinstance(family, NBinom2) and np.isinf(family.theta) else family


def _expected(request: Request) -> bool:
    how = request.estimator
    chosen = how.weights if isinstance(how, Laplace) else None
    return request.family.name in EXPECTED if chosen is None else chosen == "expected"


def fit(request: Request) -> Fit:
    """The model that maximises the approximated likelihood over theta, the coefficients and the shape together."""
    began = time.perf_counter()
    _check_response(request)
    notes = check_groups(request.design.random)
    problem = inner(request)
    by_itself = alone(problem.model)
    separated = _separated(request, problem.basis, by_itself)
    prior: Normal | None = getattr(request.estimator, "prior", None)
    lost = bool(separated) and prior is None
    nodes = request.estimator.nodes if isinstance(request.estimator, AGQ) else 1
    marginal = Marginal(problem.model, nodes, _penalty(request, problem, prior))
    # coefficients on their way to infinity are no place to start from
    b = by_itself.b
    b = b * min(1.0, 5.0 / np.abs(problem.model.X @ b).max(initial=1e-300)) if separated else b
    found = _optimise(marginal, problem.terms, start(problem.model, problem.terms, b), rescue=not separated)
    found, covariance, uncertain = _polished(marginal, problem.terms, found, flat=lost)
    unbounded = _unbounded(marginal, problem.terms, found.point)
    messages = (
        *request.messages,
        *aliased(request.design.names, problem.basis.kept),
        *notes,
        *_separation_words(separated, prior),
        *unbounded,
        *singular_directions(problem.terms, found.point[: problem.model.n_theta]),
        *(() if lost or unbounded else _unfinished(found)),
        *uncertain,
    )
    converged = found.converged and not lost and not unbounded
    return _finished(request, problem, marginal, found, covariance, converged, messages, separated, began)


def _finished(
    request: Request,
    problem: Inner,
    marginal: Marginal,
    found: Minimum,
    covariance: Array | None,
    converged: bool,
    messages: tuple[str, ...],
    separated: dict[str, float],
    began: float,
) -> Fit:
    """The Fit, with everything that follows from the modes at the optimum."""
    model, basis, design, scale = problem.model, problem.basis, request.design, problem.scale
    theta, b, tau = model.parts(found.point)
    mode = marginal.sure_mode(found.point)
    beta = basis.coefficients(b * scale)
    kept, m = ~np.isnan(beta), len(b)
    shaped = request.family.dispersed
    sigma = float(np.exp(tau / 2)) if shaped else 1.0
    family = _estimated(request.family, tau, None if covariance is None else covariance[m:, m:])
    effects = tuple(
        effects_of_term(term, theta, model.layout.of_term(k, mode.v[:, None])[:, :, 0], mode.A.diagonal_blocks(k), 1.0)
        for k, term in enumerate(problem.terms)
    )
    eta = design.matrix[:, kept] @ beta[kept] + design.offset + contribution(design.random, effects)
    eta[model.layout.order] = mode.eta  # whose rounding keeps it inside the range
    with np.errstate(all="ignore"):  # rows of zero weight may lie outside
        mu = family.link.inverse(eta)
    rows = model.layout.order
    y, w = request.y[rows], request.weights[rows]
    # the criterion leaves out what holds no parameter; the family's own log-likelihood has it
    penalty = 0.0 if marginal.penalty is None else float(b @ marginal.penalty.Q @ b)
    constant = family.loglik(y, mu[rows], w, sigma**2) - float(mode.near.value.sum())
    loglik = constant - (found.value - penalty) / 2
    n_parameters = int(kept.sum()) + len(theta) + int(model.rows.shaped)
    return Fit(
        request=request if family is request.family else replace(request, family=family),
        backend="native-glmm",
        beta=beta,
        covariance=_covariance_of_all(basis, covariance, m, scale),
        loglik=loglik,
        deviance=float(family.deviance(y, mu[rows], w).sum()),
        criterion=-2 * loglik + penalty,
        n_parameters=n_parameters,
        df_resid=float(len(request.y) - n_parameters),
        sigma=sigma,
        eta=eta,
        converged=converged,
        messages=messages,
        seconds=time.perf_counter() - began,
        random=effects,
        theta=users_theta(problem.terms, theta) / sigma,
        iterations=found.iterations,
        engine=Engine(),
        separated=separated,
    )


def _covariance_of_all(basis: Basis, covariance: Array | None, m: int, scale: float) -> Array:
    """(p, p) covariance of X's coefficients; all NaN where there is none."""
    if covariance is None:
        return np.full((basis.columns, basis.columns), np.nan)
    return scale**2 * basis.covariance(covariance[:m, :m])


def _estimated(family: Family, tau: float, variance: Array | None) -> Family:
    """The family with its shape and the shape's standard error, if it has one to estimate."""
    if family.shape is None:
        return family
    value = float(np.exp(tau))
    known = variance is not None and variance.size == 1
    se = value * float(np.sqrt(variance[0, 0])) if known and variance is not None else float("nan")
    name = family.shape[0]
    shape: dict[str, Any] = {name: value, f"{name}_se": se}
    return replace(family, **shape)


def _penalty(request: Request, problem: Inner, prior: Normal | None) -> Penalty | None:
def _tau(fit: Fit) -> list[float]:
    """What the criterion takes for the shape: its logarithm, or that of the dispersion."""
    shape = fit.request.family.shape
    return [2 * float(np.log(fit.sigma)) if shape is None else float(np.log(getattr(fit.request.family, shape[0])))]


    """The prior's quadratic form in inner coefficients."""
    if prior is None:
        return None
    kept = problem.basis.kept
    first = request.design.formula.fixed.intercept
    sd = np.array([prior.intercept if first and j == 0 else prior.sd for j in kept])
    T = solve_triangular(problem.basis.R, np.eye(len(kept))) * problem.scale / sd[:, None]
    return Penalty(T.T @ T)


# ---- the search ----------------------------------------------------------------------------------
def _optimise(marginal: Marginal, terms: tuple[Term, ...], start: Array, *, rescue: bool) -> Minimum:
    model = marginal.model
    cut, stop = model.n_theta, model.n_theta + model.X.shape[1]

    def length(point: Array, step: Array) -> float:
        """At most 5 units of the linear predictor, or a doubling of it or of theta; 2 of the shape's logarithm."""
        eta = np.abs(model.X @ point[cut:stop]).max(initial=0.0)
        moved = np.abs(model.X @ step[cut:stop]).max(initial=0.0)
        of_theta = np.abs(step[:cut]).max() / max(1.0, np.abs(point[:cut]).max())
        return float(max(moved / max(5.0, eta), of_theta, np.abs(step[stop:]).max(initial=0.0) / 2))

    target = Target(marginal.value, marginal.gradient, marginal.derivatives, length)
    search = partial(minimise, target, tolerance=1e-10, enough=ENOUGH)
    # effects of size 1 may leave the range of an identity or log link: begin with smaller ones
    starts = [start * np.where(np.arange(len(start)) < cut, size, 1.0) for size in (1.0, 0.1, 0.01)]
    start = next((s for s in starts if np.isfinite(marginal.value(s))), start)
    found = settle(search, marginal.value, terms, start)
    if found.converged or not rescue:
        return found
    # a likelihood with kinks (a mean that touches 0) stops Newton's method; a simplex walks over them
    with np.errstate(invalid="ignore"):  # corners outside the family's range are infinite
        simplex = optimize.minimize(marginal.value, found.point, method="Nelder-Mead", options={"maxfev": SIMPLEX})
    try:
        again = settle(search, marginal.value, terms, simplex.x)
    except FitError:  # at the edge of the family's range: what was found before stays, and says so
        return found
    return again if again.value < found.value else found


def _polished(
    marginal: Marginal, terms: tuple[Term, ...], found: Minimum, *, flat: bool
) -> tuple[Minimum, Array | None, tuple[str, ...]]:
    """One Newton step more, and the covariance of (b, tau) that the exact Hessian gives.

    The Hessian of -log L is that over all parameters; elements of theta on the boundary are left out, and a shape at
    its limit. The step makes the estimates the same to the last digits that matter, however the search came here.
    Where separation leaves directions `flat`, their curvature is rounding: it is raised to 1e-8 of the largest,
    so that it does not reach the other coefficients' standard errors.
    """
    cut, keep = marginal.model.n_theta, free(terms, found.point)
    if marginal.model.rows.shaped and _shape_lost(marginal, found.point):
        keep[-1] = False
    uncurved = ("no standard errors: the likelihood is not curved in every direction at the estimates",)
    H = marginal.derivatives(found.point)[2][np.ix_(keep, keep)]
    if flat and np.isfinite(H).all():
        values, vectors = np.linalg.eigh(H)
        H = (vectors * np.maximum(values, 1e-8 * values.max())) @ vectors.T
    if not np.isfinite(H).all():
        return found, None, uncurved
    try:
        half = np.linalg.inv(np.linalg.cholesky(H))
    except LinAlgError:
        return found, None, uncurved
    inverse = half.T @ half
    fixed = int(keep[:cut].sum())
    covariance = 2 * inverse[fixed:, fixed:]
    point = found.point.copy()
    point[keep] -= inverse @ found.gradient[keep]
    if not found.converged or not np.isfinite(value := marginal.value(point)):
        return found, covariance, ()
    better = value <= found.value + 1e-9 * max(1.0, abs(value))
    return replace(found, point=point, value=value) if better else found, covariance, ()


# ---- what can be wrong ---------------------------------------------------------------------------
def _check_response(request: Request) -> None:
    """A response at one limit in all rows has no finite maximum-likelihood estimate."""
    y, used = request.y, request.weights > 0
    family, first = request.family, float(y[used][0])
    if not (y[used] == first).all() or family.name in ("gaussian", "Gamma", "inverse.gaussian", "beta"):
        return
    if first == 0 or (first == 1 and family.range[1] == 1):
        what = "0 in all" if first == 0 else "1 in all"
        raise DataError(
            f"the response is {what} {int(used.sum())} rows, so its maximum-likelihood estimate is infinite; "
            "check the response, or fit without random terms by a bias-reduced estimator (estimator='mean_br')"
        )


def _separated(request: Request, basis: Basis, by_itself: Scoring) -> dict[str, float]:
    """The coefficients that separation makes infinite, with signs; looked for only where means reach their limits."""
    used, kept, design, family = request.weights > 0, basis.kept, request.design, simpler(request.family)
    if request.family.name == "beta" or (by_itself.converged and not at_the_limits(by_itself.mu, family)):
        return {}
    X = design.matrix[:, kept]
    return infinite([design.names[j] for j in kept], X, request.y, request.weights * used, family)


def _separation_words(separated: dict[str, float], prior: Normal | None) -> tuple[str, ...]:
    if not separated or prior is None:
        return separation(separated, INSTEAD)
    lost = ", ".join(separated)
    return (
        f"separation: maximum likelihood would make {lost} infinite; the prior (normal with sd {prior.sd:g}) keeps the "
        "estimates finite, and their size is owed to it: say so where they are reported",
    )


def _shape_lost(marginal: Marginal, point: Array) -> bool:
    """Whether the shape went so far that the family has become its limit."""
    return not marginal.model.rows.family.dispersed and abs(marginal.model.parts(point)[2]) > LARGEST_LOG_SHAPE


def _unbounded(marginal: Marginal, terms: tuple[Term, ...], point: Array) -> tuple[str, ...]:
    theta = point[: marginal.model.n_theta]
    if np.abs(theta).max() < marginal.limit / 2:
        return ()
    groups = [term.given.group for term in terms if np.abs(term.template(theta)).max() >= marginal.limit / 2]
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


# ---- the plain path, kept as an oracle -----------------------------------------------------------
def inner_problem(request: Request) -> tuple[Problem, Basis, float]:
    """The problem of the plain path (dense A, differenced Hessian), by which the exact one is tested."""
    design, used = request.design, request.weights > 0
    basis = orthonormal_basis(design.matrix[used])
    scale = float(np.sqrt(used.sum()))
    X = solve_triangular(basis.R, design.matrix[:, basis.kept].T, trans="T").T * scale
    terms = inner_terms(design.random, used.astype(float))
    return Problem(request.y, request.weights, design.offset, X, terms, request.family), basis, scale
