"""The search for a GLMM's maximum: Newton's method, the boundary of the variances, and of the shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError
from scipy import optimize

from formula_neuro.errors import FitError
from formula_neuro.family import Array, BetaBinomial, Binomial, Family, NBinom1, NBinom2, Poisson
from formula_neuro.searches.search import Point, Search

from ..boundary import free, settle
from ..newton import Descent, Minimum, Target
from ..optimizers import searcher
from ..terms import Term
from .inflated import InflatedRows
from .inner import Inner
from .marginal import Marginal
from .rows import Rows

ENOUGH = 1e-6  # predicted gain in deviance below which a fit counts as converged
SIMPLEX = 400  # evaluations of the rescue; each may be a long search for modes that there are not
LIKE_ITS_LIMIT = 1e-8  # of the log-likelihood: what a shape near its limit may be worth without being one,
AT_MOST = 5e-7  # and however large that is, less than the cross-check would call a difference
AT_LIMIT = 1e-6
POLE = 1e6  # a slope of the deviance in units of theta or the linear predictor that no likelihood of data has
RARE = -4.0  # logit of a probability of extra zeros that hardly counts
FAR = 7.0  # of a shape's logarithm: beyond, the family without a shape is tried
LIMITS: dict[type[Family], type[Family]] = {NBinom2: Poisson, NBinom1: Poisson, BetaBinomial: Binomial}


@dataclass(frozen=True, eq=False)
class Searched:
    """Where the search ended; `limited`: the shape is at its limit, and the model is that of the family without one."""

    problem: Inner
    marginal: Marginal
    found: Minimum
    limited: bool = False

    def loglik(self, family: Family) -> float:
        """The log-likelihood with all its constants, which the criterion leaves out; without a prior's part."""
        model, point = self.problem.model, self.found.point
        mode, tau = self.marginal.sure_mode(point), model.parts(point)[2]
        mu, rows = family.link.inverse(mode.eta), model.rows
        known = family.loglik(mu=mu, y=rows.y, w=rows.w, dispersion=float(np.exp(tau)) if family.dispersed else 1.0)
        F = self.found.value - self.marginal.penalised(point)
        return known - rows.plain_value(mode.eta, mode.near, tau) - F / 2


def search(problem: Inner, marginal: Marginal, start: Array, how: Search, *, rescue: bool) -> Searched:
    """The maximum from a start; where a shape runs away, that of the family without it, if that is no lower."""
    at = Searched(problem, marginal, optimise(marginal, problem.terms, start, how, rescue=rescue))
    if not running_away(problem.model.rows, at.found.point):
        return at
    rows = problem.model.rows
    tau, simple = float(at.found.point[-1]), LIMITS[type(rows.family)]
    model = replace(problem.model, rows=replace(rows, family=simple(rows.family.link)))
    poorer = Marginal(model, marginal.nodes, marginal.penalty)
    found = optimise(poorer, problem.terms, at.found.point[:-1], how, rescue=rescue)
    limit = Searched(replace(problem, model=model), poorer, found, limited=True)
    there = limit.loglik(limiting(rows.family))
    here = at.loglik(estimated(rows.family, tau, None))
    alike = min(AT_MOST, LIKE_ITS_LIMIT * max(1.0, abs(here)))
    if not (found.converged and there >= here - alike):
        return at
    return _without_zeros(limit, there, problem, marginal, start, how) if rows.n_inflation else limit


def _without_zeros(
    limit: Searched, there: float, problem: Inner, marginal: Marginal, start: Array, how: Search
) -> Searched:
    """The fit without a shape, or a better one that tells zeros by the shape and not by zero inflation.

    Both tell zeros: the likelihood often has a maximum for either.
    """
    model, rows = problem.model, problem.model.rows
    few, point = np.full(len(rows.y), RARE), start.copy()
    if not isinstance(rows, InflatedRows):
        return limit
    stop = model.n_theta + model.X.shape[1]
    point[stop - rows.n_inflation : stop] = np.linalg.lstsq(rows.Z, few - rows.zeta_offset, rcond=None)[0]
    point[-1] = 0.0
    try:
        other = Searched(problem, marginal, optimise(marginal, problem.terms, point, how, rescue=False))
    except FitError:
        return limit
    better = other.found.converged and not running_away(rows, other.found.point)
    tau = float(other.found.point[-1])
    return other if better and other.loglik(estimated(rows.family, tau, None)) > there + AT_MOST else limit


def running_away(rows: Rows, point: Array) -> bool:
    """Whether a shape is so near its limit that the family without it should be looked at."""
    if not rows.shaped or type(rows.family) not in LIMITS:
        return False
    return float(-point[-1] if isinstance(rows.family, NBinom1) else point[-1]) >= FAR


def limiting(family: Family) -> Family:
    """The family with its shape at the limit."""
    return estimated(family, -np.inf if isinstance(family, NBinom1) else np.inf, None)


def estimated(family: Family, tau: float, variance: Array | None) -> Family:
    """The family with its shape exp(tau) and the shape's standard error from tau's variance (1, 1), if it has one."""
    if family.shape is None:
        return family
    value = float(np.exp(tau))
    known = variance is not None and variance.size == 1
    se = value * float(np.sqrt(variance[0, 0])) if known and variance is not None else float("nan")
    name = family.shape[0]
    shape: dict[str, Any] = {name: value, f"{name}_se": se}
    return replace(family, **shape)


def optimise(marginal: Marginal, terms: tuple[Term, ...], start: Array, how: Search, *, rescue: bool) -> Minimum:
    model = marginal.model
    cut, stop = model.n_theta, model.n_theta + model.X.shape[1]
    X = model.rows.predictors(model.X)

    def length(point: Array, step: Array) -> float:
        """At most 5 units of the linear predictor, or a doubling of it; 9/10 of theta; 2 of the shape's logarithm."""
        eta = np.abs(X @ point[cut:stop]).max(initial=0.0)
        moved = np.abs(X @ step[cut:stop]).max(initial=0.0)
        of_theta = np.abs(step[:cut]).max() / max(1.0, np.abs(point[:cut]).max())
        # less than all of theta: exactly 0 is a stationary point, and no place to land on by the way
        return float(max(moved / max(5.0, eta), of_theta / 0.9, _of_shape(marginal, point[stop:], step[stop:])))

    target = Target(marginal.value, marginal.gradient, marginal.derivatives, length)
    search = searcher(how, target, tolerance=1e-10, enough=ENOUGH)
    # effects of size 1 may leave the range of an identity or log link: begin with smaller ones
    starts = [start * np.where(np.arange(len(start)) < cut, size, 1.0) for size in (1.0, 0.1, 0.01)]
    start = next((s for s in starts if np.isfinite(marginal.value(s))), start)
    found = settle(search, marginal.value, terms, start, unit=0.0 if isinstance(how.start, Point) else None)
    if found.converged or not rescue or how.optimizer != "newton" or running_away(model.rows, found.point):
        return found
    if np.abs(found.gradient).max() > POLE:
        return _beside_the_pole(search, marginal, terms, starts[1:]) or found
    return _by_simplex(search, marginal, terms, found)


def _beside_the_pole(
    search: Descent, marginal: Marginal, terms: tuple[Term, ...], starts: Sequence[Array]
) -> Minimum | None:
    """The first minimum that a search from smaller effects finds: one from larger effects fell into a pole."""
    for start in starts:
        try:
            found = settle(search, marginal.value, terms, start)
        except (FitError, LinAlgError):
            continue
        if found.converged:
            return found
    return None


def _by_simplex(search: Descent, marginal: Marginal, terms: tuple[Term, ...], found: Minimum) -> Minimum:
    """A likelihood with kinks (a mean that touches 0) stops Newton's method; a simplex walks over them."""
    with np.errstate(invalid="ignore"):  # corners outside the family's range are infinite
        simplex = optimize.minimize(marginal.value, found.point, method="Nelder-Mead", options={"maxfev": SIMPLEX})
    try:
        again = settle(search, marginal.value, terms, simplex.x)
    except FitError:  # at the edge of the family's range: what was found before stays, and says so
        return found
    return again if again.value < found.value else found


def _of_shape(marginal: Marginal, tau: Array, step: Array) -> float:
    """The length of a step of the shape's logarithm in units of 2, or of what is left to its limit; there it ends."""
    if len(tau) == 0:
        return 0.0
    left = marginal.widest - abs(float(tau[0]))
    outward = bool(tau[0] * step[0] > 0)
    if outward and left < AT_LIMIT:
        return np.inf
    return float(abs(step[0]) / min(2.0, left * (1 - AT_LIMIT) if outward else 2.0))


def polished(at: Searched, *, flat: bool) -> tuple[Searched, Array | None, tuple[str, ...]]:
    """One Newton step more, and the covariance of (b, tau) that the exact Hessian gives.

    The Hessian of -log L is that over all parameters; elements of theta on the boundary are left out. The step makes
    the estimates the same to the last digits that matter, however the search came here.
    Where separation leaves directions `flat`, their curvature is rounding: it is raised to 1e-8 of the largest,
    so that it does not reach the other coefficients' standard errors.
    """
    marginal, found = at.marginal, at.found
    cut, keep = marginal.model.n_theta, free(at.problem.terms, found.point)
    uncurved = ("no standard errors: the likelihood is not curved in every direction at the estimates",)
    H = marginal.derivatives(found.point)[2][np.ix_(keep, keep)]
    if flat and np.isfinite(H).all():
        values, vectors = np.linalg.eigh(H)
        H = (vectors * np.maximum(values, 1e-8 * values.max())) @ vectors.T
    if not np.isfinite(H).all():
        return at, None, uncurved
    try:
        half = np.linalg.inv(np.linalg.cholesky(H))
    except LinAlgError:
        return at, None, uncurved
    inverse = half.T @ half
    fixed = int(keep[:cut].sum())
    covariance = 2 * inverse[fixed:, fixed:]
    point = found.point.copy()
    point[keep] -= inverse @ found.gradient[keep]
    if not found.converged or not np.isfinite(value := marginal.value(point)):
        return at, covariance, ()
    better = value <= found.value + 1e-9 * max(1.0, abs(value))
    found = replace(found, point=point, value=value) if better else found
    return replace(at, found=found), covariance, ()
