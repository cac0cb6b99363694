"""Linear models by numpy's least squares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.inference.intervals.restrict import hold
from formula_neuro.request import Request
from formula_neuro.result import Fit


@dataclass(frozen=True)
class Engine:
    """What this backend can do again for a finished fit."""

    def refit(self, request: Request) -> Fit:
        return fit(request)

    def restricted(self, request: Request, fixed: Mapping[int, float]) -> Fit:
        """The fit with columns held at values: what anova and drop1 ask for."""
        return fit(hold(request, fixed))

    def df(self, fit: Fit, L: np.ndarray, method: str) -> np.ndarray:
        """Degrees of freedom (q,) of the contrasts L (q, p)."""
        if method != "residual":
            raise ValueError(f"df={method!r} is not known for a linear model; there is 'residual'")
        return np.full(len(np.atleast_2d(L)), fit.df_resid)


def fit(request: Request) -> Fit:
    """The coefficients (p,) of least squares; sqrt(w) multiplies the rows of X (n, p) and y (n,)."""
    X, y, w = request.design.matrix, request.y - request.design.offset, request.weights
    root = np.sqrt(w)
    beta, _, rank, _ = np.linalg.lstsq(X * root[:, None], y * root, rcond=None)
    if rank < X.shape[1]:
        raise FitError(f"X has {X.shape[1]} columns of rank {rank}; leave out the terms that others contain")
    n = int((w > 0).sum())
    df = n - rank
    rss = float((w * (y - X @ beta) ** 2).sum())
    loglik = float(np.log(root[w > 0]).sum() - n * (np.log(2 * np.pi * rss / n) + 1) / 2)
    return Fit(
        request=request,
        backend="mylab-lm",
        beta=beta.astype(np.float64),
        covariance=rss / df * np.linalg.inv(X.T @ (w[:, None] * X)),
        loglik=loglik,
        deviance=rss,
        criterion=-2 * loglik,
        n_parameters=int(rank) + 1,
        df_resid=float(df),
        sigma=float(np.sqrt(rss / df)),
        eta=X @ beta + request.design.offset,
        converged=True,
        messages=request.messages,
        engine=Engine(),
    )
