"""The linear model by weighted least squares, with R's rank rule and R's constants."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array
from formula_neuro.inference.bootstrap.refits import Refits
from formula_neuro.inference.intervals.restrict import hold
from formula_neuro.kernels.rank import Basis, aliased, orthonormal_basis
from formula_neuro.request import Request
from formula_neuro.result import Fit

from . import batch


@dataclass(frozen=True, eq=False)
class Engine:
    """What an LM can do again."""

    def refit(self, request: Request) -> Fit:
        return fit(request)

    def batch(self, fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
        """What refits many responses drawn from `near` at once, or None where this model has no such path."""
        return batch.linear(fit, near)

    def restricted(self, request: Request, fixed: Mapping[int, float]) -> Fit:
        """The fit with columns held at values."""
        return fit(hold(request, fixed))

    def df(self, fit: Fit, L: Array, method: str) -> Array:
        """Degrees of freedom (q,) of the contrasts L (q, p): the residual ones, for every contrast."""
        if method != "residual":
            raise ValueError(f"df={method!r} is not known for a linear model; there is 'residual'")
        return np.full(len(np.atleast_2d(L)), fit.df_resid)


def fit(request: Request) -> Fit:
    """Least squares on the rows of positive weight; rows of zero weight get a fitted value only, as in R."""
    began = time.perf_counter()
    design, w = request.design, request.weights
    used = w > 0
    root = np.sqrt(w[used])
    basis = orthonormal_basis(design.matrix[used] * root[:, None])
    z = (request.y - design.offset)[used] * root
    b = basis.Q.T @ z
    rss = float(((z - basis.Q @ b) ** 2).sum())
    n, df = len(z), len(z) - basis.rank
    variance = rss / df if df > 0 else float("nan")
    beta = basis.coefficients(b)
    return Fit(
        request=request,
        backend="native-lm",
        beta=beta,
        covariance=variance * basis.covariance(np.eye(basis.rank)),
        loglik=(loglik := gaussian_loglik(rss, n, root)),
        deviance=rss,
        criterion=-2 * loglik,
        n_parameters=basis.rank + 1,
        df_resid=float(df),
        sigma=float(np.sqrt(variance)),
        eta=design.matrix[:, basis.kept] @ beta[basis.kept] + design.offset,
        converged=True,
        messages=(*request.messages, *aliased(design.names, basis.kept), *_notes(z, b, basis, rss, df)),
        seconds=time.perf_counter() - began,
        engine=Engine(),
    )


def gaussian_loglik(rss: float, n: int, root_weights: Array) -> float:
    """R's logLik of a linear model: sum log(w)/2 - n (log(2 pi rss/n) + 1)/2."""
    with np.errstate(divide="ignore"):  # a perfect fit has an infinite likelihood
        return float(np.log(root_weights).sum() - n * (np.log(2 * np.pi * rss / n) + 1) / 2)


def _notes(z: Array, b: Array, basis: Basis, rss: float, df: int) -> tuple[str, ...]:
    if df == 0:
        return (f"as many coefficients as rows ({basis.rank}): no residual degrees of freedom, so no standard errors",)
    fitted = basis.Q @ b
    if rss / df < (fitted.mean() ** 2 + fitted.var()) * 1e-30:  # R's rule of summary.lm
        return ("essentially perfect fit: standard errors and tests may be unreliable",)
    return ()
