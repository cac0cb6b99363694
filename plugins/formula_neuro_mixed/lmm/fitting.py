"""The linear mixed model by REML or maximum likelihood (Bates et al. 2015)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from formula_neuro.design import RandomTerm
from formula_neuro.errors import DataError, FitError, Unable
from formula_neuro.estimator import REML
from formula_neuro.family import Array
from formula_neuro.inference.bootstrap.refits import Refits
from formula_neuro.inference.intervals.held import Profiler
from formula_neuro.kernels.rank import Basis, aliased, orthonormal_basis
from formula_neuro.request import Request
from formula_neuro.result import Fit
from formula_neuro.searches.search import Point, Search
from formula_neuro.searches.simpler import ways_on

from ..batch import lmm as batch_lmm
from ..boundary import far_from_zero, lower_from, settle
from ..checks import check_groups, check_residual, singular_directions
from ..effects import contribution, solved_effects
from ..newton import Minimum, Target, flatness
from ..optimizers import searcher, theta_to_start
from ..profile import of_lmm
from ..residuals import structures as residual_structures
from ..terms import inner_terms, users_theta
from .containment import containment, of_rows
from .derivatives import Solver, derivatives
from .identified import about_absorbed, about_identification, absorbed, cleared, set_to_zero, widened, without
from .kenward_roger import KenwardRoger, kenward_roger
from .profiled import NO_RESIDUAL, Products, Solution, solve
from .satterthwaite import Satterthwaite, satterthwaite
from .scalar import closed_form
from .sums import sums

DF = ("satterthwaite", "kenward-roger", "containment", "residual")
FARTHEST = 1e60  # of a response's spread: degrees of freedom need its fourth power, summed over rows
ENOUGH = 1e-6  # predicted gain in deviance below which a fit counts as converged


@dataclass(frozen=True, eq=False)
class Engine:
    """What an LMM can do again: fit another response, and say its contrasts' degrees of freedom.

    `moments(products, theta, directions)` gives the traces and products from which such answers are made.
    """

    products: Products
    theta: Array  # of the terms in inner coordinates
    basis: Basis  # basis.contrasts(L) and basis.covariance(C) lead to and from X's orthonormal basis
    C: Array  # (r, r) (X'V^-1X)^-1 in that basis; Cov(beta) = s2 basis.covariance(C)
    s2: float

    def refit(self, request: Request) -> Fit:
        return fit(request)

    def flatness(self, fit: Fit) -> tuple[float, float]:
        """The criterion's largest slope in theta, and the gain that one more Newton step predicts."""
        return flatness(self.theta, *derivatives(self.products, self.theta))

    def profiler(self, fit: Fit) -> Profiler:
        """The deviance with a variance parameter held, of a fit by maximum likelihood."""
        return of_lmm(fit, self.products)

    def batch(self, fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
        """What refits many responses drawn from `near` at once, or None where this model has no such path."""
        return batch_lmm.batch(fit, near)

    def df(self, fit: Fit, L: Array, method: str) -> Array:
        """Degrees of freedom (q,) of each row of L (q, p) by one of DF; "residual" is R's df.residual."""
        L = np.atleast_2d(np.asarray(L, dtype=float))
        if method == "residual":
            return np.full(len(L), fit.df_resid)
        if method == "satterthwaite":
            return self.satterthwaite.df(self.basis.contrasts(L))
        if method == "kenward-roger":
            return self.kenward_roger(fit).df(L)
        if method == "containment":
            request = fit.request
            return of_rows(containment(request.design, self.basis.kept, request.weights > 0), L)
        raise ValueError(f"df={method!r} is not known for a linear mixed model; there are {', '.join(DF)}")

    def kenward_roger(self, fit: Fit) -> KenwardRoger:
        """The adjusted covariance of the coefficients, and the tests that go with it; Unable for a fit by ML."""
        if not self.products.reml:
            raise Unable(
                "Kenward and Roger's method is of REML estimates, and this fit is by maximum likelihood; "
                "refit with estimator='reml'"
            )
        return self._kenward_roger

    @cached_property
    def satterthwaite(self) -> Satterthwaite:
        """What the degrees of freedom of every contrast come from."""
        return satterthwaite(self.products, self.theta)

    @cached_property
    def _kenward_roger(self) -> KenwardRoger:
        return kenward_roger(self.products, self.theta, self.basis)


def fit(request: Request) -> Fit:
    """The model that maximises the (restricted) likelihood; rows of zero weight get a fitted value only."""
    if request.residuals:
        return residual_structures.fit(request)
    began = time.perf_counter()
    design = request.design
    used = request.weights > 0
    n = int(used.sum())
    notes = (*check_groups(design.random), *check_residual(design.random, n), *about_identification(design.random))
    products, basis, beta_ols = cross_products(request)
    terms = products.terms
    taken = absorbed(design.random, request.weights, basis) if products.reml else {}
    gone = set_to_zero(design.random, taken)
    asked = (products, *_optimise(products, request.search)) if not gone else _optimise_others(request, products, gone)
    told, found, at = asked  # of what the data tell
    theta = found.point if told is products else widened(told.terms, terms, found.point)
    if not found.converged and at.r2 < 1e-9 * products.yy:
        raise FitError(NO_RESIDUAL)
    s2 = at.r2 / products.df
    beta = beta_ols + basis.coefficients(at.b)
    effects = cleared(solved_effects(products, theta, at if told is products else solve(products, theta), s2), gone)
    eta = design.matrix @ np.where(np.isnan(beta), 0.0, beta) + design.offset + contribution(design.random, effects)
    n_parameters = basis.rank + len(theta) + 1
    return Fit(
        request=request,
        backend="native-lmm",
        beta=beta,
        covariance=s2 * basis.covariance(at.C),
        loglik=-at.value / 2,
        deviance=at.value,
        criterion=at.value,
        n_parameters=n_parameters,
        df_resid=float(n - n_parameters),
        sigma=float(np.sqrt(s2)),
        eta=eta,
        converged=found.converged,
        messages=(
            *request.messages,
            *aliased(design.names, basis.kept),
            *_unweighted(len(used) - n),
            *notes,
            *about_absorbed(design.random, taken),
            *singular_directions(told.terms, found.point),
            *_unfinished(found, design.random),
        ),
        seconds=time.perf_counter() - began,
        random=effects,
        theta=users_theta(terms, theta),
        iterations=found.iterations,
        engine=Engine(told, found.point, basis, at.C, s2),
    )


def cross_products(request: Request, summed: Callable[..., Products] = sums) -> tuple[Products, Basis, Array]:
    """The sums over rows that the criterion needs, the basis of X, and the least-squares coefficients (p,).

    Rows are scaled by the roots of their weights, so those of weight 0 add nothing.
    """
    design, weights = request.design, request.weights
    used = weights > 0
    n = int(used.sum())
    root = None if (weights == 1).all() else np.sqrt(weights)
    basis = orthonormal_basis(_scaled(design.matrix, root))
    if basis.rank >= n:
        raise DataError(f"{n} rows cannot carry {basis.rank} fixed coefficients and random effects; drop some columns")
    z = _scaled(request.y - design.offset, root)
    b = basis.Q.T @ z
    residual = z - basis.Q @ b
    residual -= basis.Q @ (basis.Q.T @ residual)  # once more: orthogonal to the last digit
    _check_variation(residual, z)
    reml = isinstance(request.estimator, REML)
    constant = 0.0 if root is None else -float(np.log(weights[used]).sum())
    if reml:
        constant += 2 * float(np.log(np.abs(np.diag(basis.R))).sum())
    terms = inner_terms(design.random, weights)
    W = np.empty((len(z), basis.rank + 1), order="F")  # columns are what sums are taken of
    W[:, :-1], W[:, -1] = basis.Q, residual
    products = summed(terms, W, root, n=n, reml=reml, constant=constant)
    return products, basis, basis.coefficients(b)


def _scaled(rows: Array, root: Array | None) -> Array:
    """The rows (n, ...) times the roots (n,) of their weights."""
    return rows if root is None else (rows.T * root).T


def _check_variation(residual: Array, z: Array) -> None:
    largest, spread = (float(max(v.max(), -v.min())) for v in (z, residual))
    if spread > 1e-12 * largest and not 1 / FARTHEST < spread < FARTHEST:
        raise DataError(
            f"the response varies by about {spread:.0e}, and powers of that leave the range of floating-point numbers; "
            f"give it in other units, divided by {spread:.0e}"
        )
    if np.linalg.norm(residual) <= 1e-12 * np.linalg.norm(z):
        raise DataError(
            "the fixed effects reproduce the response exactly (is it constant?), "
            "so nothing is left from which variances could be estimated"
        )


def _optimise(products: Products, how: Search) -> tuple[Minimum, Solution]:
    solver = closed_form(products) or Solver(products)
    target = Target(
        value=solver.value,
        gradient=solver.gradient,
        derivatives=solver.derivatives,
        # a step may at most double theta, or move it by the residual's standard deviation
        length=lambda point, step: float(np.abs(step).max() / max(1.0, np.abs(point).max())),
    )
    search = searcher(how, target, tolerance=1e-14, last=1e-19, enough=ENOUGH)
    start = theta_to_start(how, products.terms, solver.start())
    found = settle(search, target.value, products.terms, start, unit=0.0 if isinstance(how.start, Point) else 1.0)
    found = lower_from(search, target.value, found, far_from_zero(products.terms, found.point))
    return found, solver.solution(found.point)


def _optimise_others(
    request: Request, products: Products, gone: Mapping[int, Sequence[str]]
) -> tuple[Products, Minimum, Solution]:
    """The same without the columns of terms of whose variances nothing tells, with the products of what is left.

    Where nothing is left, theta is 0.
    """
    smaller = (without(term, gone.get(i, ())) for i, term in enumerate(request.design.random))
    kept = tuple(term for term in smaller if term is not None)
    if kept:
        design = replace(request.design, random=kept)
        others = cross_products(replace(request, design=design))[0]
        return others, *_optimise(others, request.search.elsewhere())
    point = np.zeros(products.terms[-1].theta.stop)
    at = solve(products, point)
    return products, Minimum(point, at.value, point, 0.0, 0, True), at


def _unweighted(rows: int) -> tuple[str, ...]:
    if rows == 0:
        return ()
    return (
        f"{rows} rows have weight 0: they take no part in the likelihood and in n, but get fitted values "
        "(lme4's criterion is infinite there)",
    )


def _unfinished(found: Minimum, random: Sequence[RandomTerm]) -> tuple[str, ...]:
    if found.converged:
        return ()
    return (
        f"did not converge in {found.iterations} iterations: largest gradient {np.abs(found.gradient).max():.2g}, "
        f"predicted gain in deviance {found.decrement:.2g} (wanted below {ENOUGH:g}); {ways_on(random)}",
    )
