"""Many responses of one GLMM with one scalar random effect: refits that step together, for the bootstrap.

Takes binomial and poisson responses with links that keep means in their range, Laplace or AGQ as the estimator.
Every replicate must end where the single fit ends; those of which that is not certain (no convergence, theta without
limit, means at the edge of their range, where separation is looked for) are fitted one by one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import AGQ, Laplace
from formula_neuro.family import Array, Family
from formula_neuro.inference.bootstrap.refits import Refits, again
from formula_neuro.inference.prediction.simulation import fixed_part
from formula_neuro.maps.request import MapRequest
from formula_neuro.request import Request
from formula_neuro.result import Fit

from . import laplace as batch_laplace
from . import rows as batch_rows
from .boundary import Template, settle_many
from .newton import minimise_many
from .problem import Problem, problem_of
from .quadrature import Quadrature

EDGE = 1e-4  # of a mean from its limit: nearer, a single fit looks for separation
SMALLEST_START = 0.3  # of theta: at 0 the gradient vanishes whatever the data
TOLERANCE = 1e-11  # of the deviance: what one more step would gain at the end


def takes(request: Request | MapRequest) -> bool:
    """Whether the batch knows this model."""
    family, random = request.family, request.design.random
    return (
        len(random) == 1
        and len(random[0].columns) == 1
        and bool(random[0].basis[request.weights > 0].any())
        and family.link.name in batch_rows.LINKS.get(family.name, ())
        and (request.estimator == Laplace() or request.estimator == AGQ(getattr(request.estimator, "nodes", 1)))
        and (family.name != "binomial" or bool((request.weights == np.round(request.weights)).all()))
    )


def batch(fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
    """A function from responses Y (n, B), drawn from `near`, to refits of `fit`'s model; None if not known here."""
    if not takes(fit.request) or np.isnan(fit.beta).all():
        return None
    problem = problem_of(fit.request)
    start = _start(problem, fit, near)
    return lambda Y: refits(fit, problem, start, Y)


def _start(problem: Problem, fit: Fit, near: Fit) -> Array:
    """psi near the estimates from which the responses were drawn, in inner coordinates."""
    theta = (near if len(near.theta) == 1 else fit).theta[0] / problem.spread
    fixed = fixed_part(near) - near.request.design.offset
    return np.concatenate([[max(float(theta), SMALLEST_START)], problem.inner(fixed)])


def refits(fit: Fit, problem: Problem, start: Array, Y: Array) -> Refits:
    """The model fitted to every column of Y (n, B)."""
    used = problem.used
    B, everyone = Y.shape[1], np.arange(Y.shape[1])
    wy = np.ascontiguousarray(problem.merge @ Y[used])
    nodes = getattr(fit.request.estimator, "nodes", 1)
    target = batch_laplace.Laplace(problem, wy) if nodes == 1 else Quadrature(problem, wy, nodes)
    found = settle_many(
        lambda psi, which: minimise_many(target, psi, which, tolerance=TOLERANCE),
        target.value,
        Template(1),
        np.tile(start, (B, 1)),
        everyone,
    )
    theta, b = np.abs(found.point[:, 0]), found.point[:, 1:]
    sure = found.converged & (theta < batch_laplace.LARGEST / 2) & (np.ptp(Y[used], axis=0) > 0)
    sure &= inside(problem.family, problem.X @ b.T + problem.offset)
    loglik = batch_rows.log_constants(problem.family, Y[used], problem.weights) - found.value / 2
    out = Refits(loglik, problem.beta(b), (theta * problem.spread)[:, None], np.ones(B), ("",) * B)
    return out if sure.all() else again(out, fit, Y, np.flatnonzero(~sure))


def inside(family: Family, eta: Array) -> NDArray[np.bool_]:
    """(B,) whether all means of a column of eta (n, B) keep away from their limits."""
    with np.errstate(over="ignore"):
        mu = family.link.inverse(eta)
    high = 1 - EDGE if family.name == "binomial" else np.inf
    return np.asarray(((mu > EDGE) & (mu < high)).all(axis=0))
