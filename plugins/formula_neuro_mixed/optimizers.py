"""The searches that a user may ask for beside Newton's method, all judged by the exact derivatives where they end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from scipy import optimize

from formula_neuro.errors import FitError
from formula_neuro.family import Array
from formula_neuro.searches.search import Point, Search

from .newton import Descent, Minimum, Target, minimise, state_at
from .terms import Term, start_theta

HIGH = 1e100  # in the place of an infinite value, between which a line search could not interpolate
SIZES = {"identity": 1.0, "zero": 1e-3, "large": 10.0}


def searcher(
    how: Search, target: Target, *, tolerance: float, enough: float, last: float = 0.0, iterations: int = 100
) -> Descent:
    """What searches from a point as the user asked; `iterations` of Newton's method unless the user says how many."""
    if how.optimizer == "newton":
        many = how.iterations or iterations
        return partial(minimise, target, tolerance=tolerance, last=last, iterations=many, enough=enough)
    return partial(_by_scipy, target, how, enough)


def _by_scipy(target: Target, how: Search, enough: float, start: Array, *, goal: float = np.inf) -> Minimum:
    """Where one of scipy's searches ends; whether that is a minimum is told by the derivatives there."""

    def value(point: Array) -> float:
        found = target.value(point)
        return found if np.isfinite(found) else HIGH

    def slope(point: Array) -> tuple[float, Array]:
        try:
            found, gradient = target.gradient(point)
        except (LinAlgError, FitError):
            return HIGH, np.zeros(len(point))
        return (found, gradient) if np.isfinite(found) else (HIGH, np.zeros(len(point)))

    start = np.asarray(start, dtype=float)
    if how.optimizer == "lbfgs":
        options: Any = {"maxiter": how.iterations or 1000, "ftol": 1e-15, "gtol": 1e-7, "maxcor": 20}
        found = optimize.minimize(slope, start, jac=True, method="L-BFGS-B", options=options)
    elif how.optimizer == "powell":
        options = {"maxiter": how.iterations or 200, "xtol": 1e-8, "ftol": 1e-13}
        found = optimize.minimize(value, start, method="Powell", options=options)
    else:
        steps = how.iterations or 400 * len(start)
        options = {"maxiter": steps, "maxfev": 2 * steps, "xatol": 1e-7, "fatol": 1e-9, "adaptive": len(start) > 4}
        found = optimize.minimize(value, start, method="Nelder-Mead", options=options)
    point = np.atleast_1d(np.asarray(found.x, dtype=float))
    return _judged(target, point, int(found.nit), enough)


def _judged(target: Target, point: Array, iterations: int, enough: float) -> Minimum:
    try:
        at = state_at(target, point)
    except (LinAlgError, FitError):
        nothing = np.full(len(point), np.nan)
        return Minimum(point, target.value(point), nothing, float("nan"), iterations, False)
    converged = bool(at.decrement < enough and at.lowest == 0)
    return Minimum(point, at.value, at.gradient, at.decrement, iterations, converged)


def theta_to_start(how: Search, terms: Sequence[Term], usual: Array, scale: float = 1.0) -> Array:
    """theta in inner coordinates where a search begins: as the user asked, else `usual`.

    scale: effects of size 1 in the criterion's units, by which numbers given (in lme4's units) are multiplied too.
    """
    if isinstance(how.start, Point):
        return given_theta(how.start.theta, terms, scale)
    if how.start in SIZES:
        return start_theta(terms, SIZES[str(how.start)] * scale)
    return usual


def given_theta(theta: Sequence[float], terms: Sequence[Term], scale: float = 1.0) -> Array:
    """lme4's theta times `scale` in inner coordinates; ValueError where it is another model's."""
    size = terms[-1].theta.stop
    if len(theta) != size:
        raise ValueError(f"start= has {len(theta)} elements of theta, but this model has {size}: see m.theta")
    values, found = np.asarray(theta, dtype=float), []
    for term in terms:
        inner = np.linalg.solve(term.change, scale * term.users_root(values[term.theta]))
        found.append(term.theta_of(np.asarray(inner, dtype=float)))
    return np.concatenate(found)
