"""The generalized linear model by guarded Fisher scoring, with R's rank rule and R's constants."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array
from formula_neuro.kernels.irls import Scoring, irls
from formula_neuro.kernels.rank import Basis, aliased, orthonormal_basis
from formula_neuro.kernels.separation import at_the_limits, infinite, separation
from formula_neuro.request import Request
from formula_neuro.result import Fit


@dataclass(frozen=True, eq=False)
class Engine:
    """What a GLM can do again."""

    def refit(self, request: Request) -> Fit:
        return fit(request)


def fit(request: Request) -> Fit:
    """Maximum likelihood on the rows of positive weight; rows of zero weight get a fitted value only, as in R.

    The columns are made orthonormal first, so that the units and origins of covariates do not matter; the
    covariance is the inverse of the Fisher information at the estimate.
    """
    began = time.perf_counter()
    design, family, y, w = request.design, request.family, request.y, request.weights
    used = w > 0
    basis = orthonormal_basis(design.matrix[used])
    found = irls(basis.Q, y[used], w[used], design.offset[used], family)
    beta = basis.coefficients(found.b)
    eta = design.matrix[:, basis.kept] @ beta[basis.kept] + design.offset
    mu = family.link.inverse(eta)
    separated = _separated(request, basis, found)
    loglik = family.loglik(y[used], mu[used], w[used], 1.0)
    return Fit(
        request=request,
        backend="native-glm",
        beta=beta,
        covariance=basis.covariance_of_root(_root_of_inverse_information(request, basis, found)),
        loglik=loglik,
        deviance=float(family.deviance(y, mu, w).sum()),
        criterion=-2 * loglik,
        n_parameters=basis.rank,
        df_resid=float(used.sum() - basis.rank),
        sigma=1.0,
        eta=eta,
        converged=found.converged and not separated,
        messages=(
            *request.messages,
            *aliased(design.names, basis.kept),
            *separation(separated),
            *_unfinished(found, bool(separated)),
        ),
        seconds=time.perf_counter() - began,
        iterations=found.iterations,
        engine=Engine(),
        separated=separated,
    )


def _root_of_inverse_information(request: Request, basis: Basis, found: Scoring) -> Array:
    """(r, r) root of the inverse of Q'WQ, W = w mu1^2 / V; a pseudo-inverse where nothing of a direction is left."""
    family, w = request.family, request.weights[request.weights > 0]
    W = w * family.link.derivative(found.eta) ** 2 / family.variance(found.mu)
    R = np.linalg.qr(basis.Q * np.sqrt(W)[:, None], mode="r")
    root: Array = np.linalg.pinv(R)
    return root


def _separated(request: Request, basis: Basis, found: Scoring) -> dict[str, float]:
    """The coefficients that separation makes infinite, with signs; looked for only where means reach their limits."""
    if found.converged and not at_the_limits(found.mu, request.family):
        return {}
    X = request.design.matrix[:, basis.kept]
    return infinite([request.design.names[j] for j in basis.kept], X, request.y, request.weights, request.family)


def _unfinished(found: Scoring, separated: bool) -> tuple[str, ...]:
    if found.converged or separated:
        return ()
    return (
        f"Fisher scoring stopped after {found.iterations} iterations with a decrement of {found.decrement:.1e} left: "
        "the estimates are not the maximum; look for extreme covariates, or use another link",
    )
