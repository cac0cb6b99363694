"""A linear mixed model with covariance structures by n x n matrices and a generic search: the oracle of the others.

Nothing is shared with the fast path: the covariances are written down element by element, V is inverted as it is, and
the parameters are logarithms of standard deviations and transformed correlations. Limits are not reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import optimize, special

from formula_neuro.design import RandomTerm
from formula_neuro.estimator import REML
from formula_neuro.family import Array
from formula_neuro.request import Request


def covariance(term: RandomTerm, sds: Sequence[float], rho: float) -> Array:
    """(K, K) of a term with a structure: sds, one or K of them, and a correlation (0 for diag)."""
    K = len(term.columns)
    s = np.broadcast_to(np.asarray(sds, dtype=float), K)
    S = np.empty((K, K))
    for i in range(K):
        for j in range(K):
            power = abs(i - j) if term.structure == "ar1" else int(i != j)
            S[i, j] = s[i] * s[j] * rho**power
    return S


def shapes(request: Request) -> list[tuple[int, bool]]:
    """For every term how many sds it has, and whether a correlation."""
    random = request.design.random
    return [(1 if term.hom else len(term.columns), term.structure in ("cs", "ar1")) for term in random]


def deviance(request: Request, parameters: Array) -> tuple[float, Array, Array]:
    """-2 log-likelihood, or REML criterion, with the coefficients (p,) and their covariance (p, p).

    parameters: of every term log sds and the correlation's parameter, then log sigma.
    """
    design, start = request.design, 0
    X, V = design.matrix, np.diag(np.exp(2 * parameters[-1]) / request.weights)
    for term, (count, correlated) in zip(design.random, shapes(request), strict=True):
        own = parameters[start : start + count + correlated]
        S = covariance(term, [float(x) for x in np.exp(own[:count])], correlation(term, own[-1]) if correlated else 0.0)
        same = term.codes[:, None] == term.codes
        V = V + same * (term.basis @ S @ term.basis.T)
        start += len(own)
    P = np.linalg.inv(V)
    C = np.asarray(np.linalg.inv(X.T @ P @ X), dtype=float)
    beta = C @ X.T @ P @ (request.y - design.offset)
    r = request.y - design.offset - X @ beta
    reml = isinstance(request.estimator, REML)
    n = len(r) - (X.shape[1] if reml else 0)
    value = n * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + r @ P @ r
    return float(value - np.linalg.slogdet(C)[1] if reml else value), beta, C


def correlation(term: RandomTerm, x: float) -> float:
    """From the whole line into (-1, 1), or above -1 / (K - 1) for compound symmetry."""
    low = -1.0 if term.structure == "ar1" else -1 / (len(term.columns) - 1)
    return float(low + (1 - low) * special.expit(x))


def minimum(request: Request, start: Array) -> Array:
    """The parameters of the least deviance near a start, by differences."""
    options: Any = {"gtol": 1e-4}

    def value(x: Array) -> float:
        return deviance(request, x)[0]

    found = optimize.minimize(value, start, method="BFGS", options=options)
    return np.asarray(found.x)
