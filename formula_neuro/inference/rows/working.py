"""The weighted least squares that an LM or GLM ends in: what leverages, influence and sandwiches are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ...errors import Unable
from ...family import Array
from ...result import Fit

FULL = 1 - 1e-12  # a leverage above this is 1: residuals over 1 - h would have no digits (R's bound is 1 - 2e-15)


@dataclass(frozen=True, eq=False)
class Working:
    """sqrt(W) X = Q R on the rows of positive weight and the columns with a coefficient.

    With mu1 = dmu/deta, W = w mu1^2 / V(mu) and the working residual r = (y - mu) / mu1 (McCullagh & Nelder 1989,
    section 2.5); of an LM, W = w and r = y - mu. m rows, k columns.
    """

    used: NDArray[np.bool_]  # (n,) rows of positive weight
    kept: NDArray[np.bool_]  # (p,) columns with a coefficient
    W: Array  # (m,)
    r: Array  # (m,)
    sign: Array  # (m,) of mu1: -1 where the link falls
    Q: Array  # (m, k)
    R: Array  # (k, k)

    @property
    def hat(self) -> Array:
        """Leverages (m,), the diagonal of Q Q', without the m x m matrix."""
        h = np.einsum("mk,mk->m", self.Q, self.Q)
        return np.where(h > FULL, 1.0, h)

    @property
    def e(self) -> Array:
        """sqrt(W) r (m,), of which Q'e is 0 at the maximum."""
        return np.asarray(np.sqrt(self.W) * self.r)

    @property
    def pearson(self) -> Array:
        """Pearson residuals (m,): e, with the sign of y - mu."""
        return self.sign * self.e

    def coefficients(self, b: Array) -> Array:
        """Rows (q, k) on Q's axes as rows on the columns of X, R^-1 b."""
        return np.asarray(solve_triangular(self.R, b.T).T)

    def covariance(self, M: Array) -> Array:
        """R^-1 M R^-T (p, p) for M (k, k), NaN where a column has no coefficient."""
        half = solve_triangular(self.R, M, check_finite=False)  # NaN where no degrees of freedom are left
        square = solve_triangular(self.R, half.T, check_finite=False)
        full = np.full((len(self.kept), len(self.kept)), np.nan)
        full[np.ix_(self.kept, self.kept)] = (square + square.T) / 2
        return full

    def on_rows(self, values: Array) -> Array:
        """Values (m,) or (m, ...) on all n rows; rows of weight 0, which take no part, are NaN."""
        full = np.full((len(self.used), *values.shape[1:]), np.nan)
        full[self.used] = values
        return full


def working(fit: Fit, purpose: str) -> Working:
    """The weighted least squares at a fit's estimates; raises Unable for mixed models, which end in no such one."""
    request = fit.request
    if request.model == "gee":
        raise Unable(
            f"{purpose} of a model without clusters, and a GEE has its own sandwich: GEE(bias='md' | 'kc' | 'none')"
        )
    if request.model not in ("lm", "glm"):
        raise Unable(f"{purpose} of a model without random terms, and this is a {request.model}")
    family, used, kept = request.family, request.weights > 0, ~np.isnan(fit.beta)
    eta, w = fit.eta[used], request.weights[used]
    mu, mu1 = family.link.inverse(eta), family.link.derivative(eta)
    W = w * mu1**2 / family.variance(mu)
    X = request.design.matrix[np.ix_(used, kept)]
    norms = np.linalg.norm(X, axis=0)  # columns of length 1: units of covariates do not matter to the digits
    Q, R = np.linalg.qr(X / norms * np.sqrt(W)[:, None])
    return Working(used, kept, W, (request.y[used] - mu) / mu1, np.sign(mu1), Q, R * norms)
