"""The generalized linear model by guarded Fisher scoring, with R's rank rule and R's constants."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from formula_neuro.estimator import BIAS_REDUCED
from formula_neuro.family import Array, Family, NBinom2
from formula_neuro.inference.bootstrap.refits import Refits
from formula_neuro.inference.intervals.restrict import hold
from formula_neuro.kernels.irls import Scoring, irls
from formula_neuro.kernels.normal_equations import root_of_inverse
from formula_neuro.kernels.rank import GLM_TOLERANCE, Basis, aliased, orthonormal_basis
from formula_neuro.kernels.recession import open_ends
from formula_neuro.kernels.separation import Separation, classify, separation
from formula_neuro.request import Request
from formula_neuro.result import Fit

from . import ADJUSTED, batch, bias_reduced
from .likelihood import count_parameters, dispersion, loglik, null_deviance
from .negative_binomial import fit_with_theta


@dataclass(frozen=True, eq=False)
class Engine:
    """What a GLM can do again; `eta` is the linear predictor that it ended at, None where that runs to infinity."""

    eta: Array | None = None

    def refit(self, request: Request) -> Fit:
        return fit(request)

    def batch(self, fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
        """What refits many responses drawn from `near` at once, or None where this model has no such path."""
        return batch.generalized(fit, near)

    def restricted(self, request: Request, fixed: Mapping[int, float]) -> Fit:
        """The maximum-likelihood fit with columns held at values, sought from this fit on, so that it stays near."""
        return fit(hold(request, fixed), self.eta)

    def open_ends(self, request: Request, j: int) -> tuple[bool, bool]:
        """Whether coefficient j may run to minus, and to plus infinity without a fall of the likelihood."""
        return open_ends(request.design.matrix, request.y, request.weights, request.family, j)


def fit(request: Request, start: Array | None = None) -> Fit:
    """Maximum likelihood on the rows of positive weight; rows of zero weight get a fitted value only, as in R.

    start: a linear predictor (n,) to begin near, R's etastart.

    The columns are made orthonormal first, so that the units and origins of covariates do not matter; the
    covariance is the inverse of the Fisher information at the estimate. Bias-reduced estimators have their own file.
    """
    if request.estimator.word in BIAS_REDUCED:
        return bias_reduced.fit(request)
    began = time.perf_counter()
    design, w = request.design, request.weights
    used = w > 0
    basis = orthonormal_basis(design.matrix[used], GLM_TOLERANCE)
    family, found, words = _scored(request, basis, used, start)
    request = request if family is request.family else replace(request, family=family)
    beta = basis.coefficients(found.b)
    eta = design.matrix[:, basis.kept] @ beta[basis.kept] + design.offset
    eta[used] = found.eta  # whose rounding keeps it inside the range
    with np.errstate(all="ignore"):  # rows of zero weight may lie outside
        mu = family.link.inverse(eta)
    df = int(used.sum()) - basis.rank
    phi = dispersion(family, request.y[used], found.mu, w[used], df)
    apart = _separation(request, basis, found)
    separated = apart.signs
    return Fit(
        request=request,
        backend="native-glm",
        beta=beta,
        covariance=phi * basis.covariance_of_root(_root_of_inverse_information(request, basis, found)),
        loglik=(value := loglik(request, mu)),
        deviance=found.deviance,
        criterion=-2 * value,
        n_parameters=count_parameters(family, basis.rank),
        df_resid=float(df),
        sigma=float(np.sqrt(phi)),
        eta=eta,
        converged=found.converged and not separated,
        messages=(*_messages(request, basis, found, eta, separated), *words, *_without(family, basis.rank, df)),
        seconds=time.perf_counter() - began,
        iterations=found.iterations,
        engine=Engine(None if separated else eta),
        separated=separated,
        separation=apart.kind,
        null_deviance=null_deviance(request, family),
    )


def _messages(
    request: Request, basis: Basis, found: Scoring, eta: Array, separated: Mapping[str, float]
) -> tuple[str, ...]:
    used = request.weights > 0
    return (
        *request.messages,
        *aliased(request.design.names, basis.kept),
        *separation(separated, _instead(request.family)),
        *_unfinished(found, bool(separated)),
        *_on_the_edge(request, found, used),
        *_outside(request, eta, used),
    )


def _scored(
    request: Request, basis: Basis, used: NDArray[np.bool_], start: Array | None
) -> tuple[Family, Scoring, tuple[str, ...]]:
    """The family, with theta where that was to be estimated; where scoring ended; and what is to be said."""
    family = request.family
    rows = request.y[used], request.weights[used], request.design.offset[used]
    if isinstance(family, NBinom2) and not family.fixed:
        return fit_with_theta(basis.Q, *rows, family)
    near = None if start is None else basis.Q.T @ (start - request.design.offset)[used]
    return family, irls(basis.Q, *rows, family, start=near), ()


def _root_of_inverse_information(request: Request, basis: Basis, found: Scoring) -> Array:
    """(r, r) root of the inverse of Q'WQ, W = w mu1^2 / V."""
    family, w = request.family, request.weights[request.weights > 0]
    W = w * family.link.derivative(found.eta) ** 2 / family.variance(found.mu)
    return root_of_inverse(basis.Q, W)


def _separation(request: Request, basis: Basis, found: Scoring) -> Separation:
    """The kind of separation, and the coefficients that it makes infinite, with signs."""
    family, w = request.family, request.weights
    used = w > 0
    score = None
    if found.converged:
        V = family.variance(found.mu)
        score = w[used] * (request.y[used] - found.mu) * family.link.derivative(found.eta) / V
    names = [request.design.names[j] for j in basis.kept]
    return classify(names, request.design.matrix[:, basis.kept], request.y, w, family, score)


def _instead(family: Family) -> str:
    """What to do about infinite coefficients."""
    finite = "estimator='mean_br' gives finite estimates" if family.name in ADJUSTED else ""
    limits = "fn.confint(fit, method='profile') gives the limits that the data leave" if family.likelihood else ""
    return ", and ".join(filter(None, (finite, limits)))


def _unfinished(found: Scoring, separated: bool) -> tuple[str, ...]:
    if found.converged or separated:
        return ()
    return (
        f"scoring stopped after {found.iterations} iterations, where one more step would lower the deviance by "
        f"{found.decrement:.1e}: the estimates are not the maximum; look for extreme covariates or responses, or use "
        "another link",
    )


def _on_the_edge(request: Request, found: Scoring, used: NDArray[np.bool_]) -> tuple[str, ...]:
    if not len(found.edge):
        return ()
    count, row = len(found.edge), np.flatnonzero(used)[found.edge[0]]
    shown = f"the fitted mean{'s' if count > 1 else ''} of {count} row{'s' if count > 1 else ''}"
    return (
        f"the maximum lies on the edge of the range of {request.family}: {shown} (first: row "
        f"{request.design.index[row]}) reached {found.mu[found.edge[0]]:.6g}, where standard errors and tests do not "
        "hold; a link without such limits avoids this",
    )


def _outside(request: Request, eta: Array, used: NDArray[np.bool_]) -> tuple[str, ...]:
    count = int((~request.family.inside(eta[~used])).sum())
    if not count:
        return ()
    return (
        f"{count} row{'s' if count > 1 else ''} of weight 0 would have a mean outside the range of {request.family}; "
        "R lets such rows restrict the others' coefficients, here they do not",
    )


def _without(family: Family, rank: int, df: int) -> tuple[str, ...]:
    """What the fit cannot say: a likelihood of a quasi family, a dispersion without degrees of freedom."""
    words: tuple[str, ...] = ()
    if family.dispersed and df == 0:
        words += (
            f"as many coefficients as rows ({rank}): no residual degrees of freedom, so no dispersion and no standard "
            "errors",
        )
    if not family.likelihood:
        words += (
            f"{family.name} has no likelihood: loglik, aic and bic are NaN; nested models are compared by their "
            "deviances (F tests)",
        )
    return words
