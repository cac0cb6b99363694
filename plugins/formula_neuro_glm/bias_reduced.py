"""Generalized linear models by mean and median bias reduction and by Jeffreys' penalty.

Solved is U(b) / phi + A(b) = 0, U the score at dispersion 1 (adjustments.py has A), in an orthonormal basis of the
columns; the dispersion phi is the root of its own adjusted score at every b (dispersion.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array
from formula_neuro.kernels.rank import aliased, orthonormal_basis
from formula_neuro.kernels.separation import Separation, classify, in_words
from formula_neuro.request import Request
from formula_neuro.result import Fit

from .likelihood import count_parameters, loglik, null_deviance
from .newton import Search, search
from .problem import Problem, State


@dataclass(frozen=True, eq=False)
class Engine:
    """What a bias-reduced GLM can do again."""

    def refit(self, request: Request) -> Fit:
        from .glm import fit as any_estimator  # which imports this file

        return any_estimator(request)

    def restricted(self, request: Request, fixed: Mapping[int, float]) -> Fit:
        """The same estimator with the coefficients of some columns held at values.

        The columns stay in the information that the penalty or the adjustment is made of (Heinze & Schemper 2002),
        so that `criterion` compares with the full fit's.
        """
        return fit(request, fixed)

    def standing(self, request: Request, beta: Array) -> tuple[float, float]:
        """How good other coefficients (p,) are; see `standing`."""
        return standing(request, beta)


def fit(request: Request, fixed: Mapping[int, float] | None = None) -> Fit:
    """The estimator of the request on the rows of positive weight; rows of zero weight get a fitted value only.

    The covariance is the inverse of the expected information at the estimate, without the adjustment.
    """
    began = time.perf_counter()
    design, family, y, w = request.design, request.family, request.y, request.weights
    used = w > 0
    basis = orthonormal_basis(design.matrix[used])
    problem = Problem.of(request, basis, fixed or {})
    found, state = _solved(problem)
    beta = basis.coefficients(state.b)
    beta[list(fixed or {})] = list((fixed or {}).values())
    eta = design.matrix[:, basis.kept] @ beta[basis.kept] + design.offset
    eta[used] = basis.Q @ state.b + design.offset[used]  # whose rounding keeps it inside the range
    with np.errstate(all="ignore"):  # rows of zero weight may lie outside
        mu = family.link.inverse(eta)
    phi = float("nan") if problem.saturated else state.phi
    names = [design.names[j] for j in basis.kept]
    apart = Separation() if fixed else classify(names, design.matrix[:, basis.kept], y, w, family)
    return Fit(
        request=request,
        backend="native-glm",
        beta=beta,
        covariance=phi / state.phi * basis.covariance_of_root(problem.Z @ np.linalg.inv(found.point.L)),
        loglik=loglik(request, mu),
        deviance=float(family.deviance(y[used], mu[used], w[used]).sum()),
        criterion=problem.criterion(state),
        n_parameters=count_parameters(family, problem.Z.shape[1]),
        df_resid=float(problem.df),
        sigma=float(np.sqrt(phi)),
        eta=eta,
        converged=found.converged,
        messages=(
            *(*request.messages, *aliased(design.names, basis.kept)),
            *(*_finite(apart), *_unfinished(found), *_without_dispersion(problem)),
        ),
        seconds=time.perf_counter() - began,
        iterations=found.iterations,
        engine=Engine(),
        separated=apart.signs,
        separation=apart.kind,
        null_deviance=null_deviance(request, family),
    )


def standing(request: Request, beta: Array) -> tuple[float, float]:
    """sqrt(f'I^-1 f) of the adjusted score f at coefficients beta (p,), and the penalised log-likelihood there.

    The first is how many standard errors one scoring step goes, 0 at a root. NaN where means leave their range, and
    where the adjusted score is no derivative of anything.
    """
    basis = orthonormal_basis(request.design.matrix[request.weights > 0])
    b, problem = basis.R @ beta[basis.kept], Problem.of(request, basis, {})
    state = problem.state(b) if np.isfinite(b).all() else None
    point = problem.point(b) if state is not None else None
    if state is None or point is None:
        return float("nan"), float("nan")
    return point.decrement, -problem.criterion(state) / 2


def _solved(problem: Problem) -> tuple[Search, State]:
    """The first search that ends at a root, from several starts; the nearest to one where none does."""
    found: list[Search] = []
    for a in problem.starts():
        start = problem.point(a)
        if start is None:
            continue
        found.append(search(problem.point, start, problem.cap))
        if found[-1].converged or len(found) == 3:
            break
    if not found:
        raise FitError(
            f"no coefficients were found whose means all lie inside the range of {problem.family} and leave some "
            f"information; use another link ({', '.join(problem.family.links)})"
        )
    best = min(found, key=lambda s: (not s.converged, s.point.decrement))
    state = problem.state(best.point.a)
    assert state is not None  # it has been there
    return best, state


def _unfinished(found: Search) -> tuple[str, ...]:
    if found.converged:
        return ()
    return (
        f"the search stopped after {found.iterations} iterations {found.point.decrement:.1e} standard errors from a "
        "root of the adjusted score (where there may be none): the estimates are not bias-reduced; use another link",
    )


def _finite(apart: Separation) -> tuple[str, ...]:
    if not apart.signs or apart.kind in ("all 0", "all 1"):  # the front end has said that already
        return ()
    return (f"separation: in maximum likelihood {in_words(apart.signs)}; the bias-reduced estimates are finite",)


def _without_dispersion(problem: Problem) -> tuple[str, ...]:
    if not problem.saturated:
        return ()
    return (
        f"as many coefficients as rows ({problem.Q.shape[1]}): the fit is perfect, so that no bias is reduced and "
        "there are no standard errors",
    )
