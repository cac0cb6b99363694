"""Errors of b and of the random effects together: how far x'b + z'u may be from what is predicted.

Henderson (1975): with Cov(u) = S = LL', W the weights over the dispersion (of a GLMM the working weights at the modes)
and A = L'Z'WZL + I,

    Var(u - modes | b) = L A^-1 L'                                            lme4's condVar
    Var(x'b + z'u - predicted) = z'L A^-1 L'z + g' Cov(b) g,   g = x - X'WZ L A^-1 L'z

The variances of the random effects are taken as known; a level that the fit has not seen adds its own z'Sz.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from ..design import RandomTerm
from ..errors import Unable
from ..family import Array
from ..result import Fit

BLOCK = 4096  # right sides solved at a time


@dataclass(frozen=True, eq=False)
class Joint:
    """The joint uncertainty of fixed coefficients and random effects of one fit."""

    covariance: Array  # (k, k) of the k coefficients that are not aliased
    factors: tuple[Array, ...]  # (K, K) L of each term
    solved: Callable[[Array], Array]  # A^-1 times (q, m)
    ZWX: Array  # (q, k) L'Z'WX

    def variance(self, X: Array, basis: sparse.csr_array) -> Array:
        """Variances (n,) of x'b + z'u for rows X (n, k) and Z L (n, q)."""
        found = np.empty(len(X))
        for start in range(0, len(X), BLOCK):
            rows = slice(start, start + BLOCK)
            right = basis[rows].T.toarray()
            through = self.solved(right)
            found[rows] = (right * through).sum(axis=0) + _quadratic(X[rows] - through.T @ self.ZWX, self.covariance)
        return found

    def added(self, term: int, start: int, stop: int) -> Array:
        """(levels, K, K) of one term: H Cov(b) H', what not knowing b adds to the covariances of its modes."""
        factor = self.factors[term]
        half = self.solved(self.ZWX)[start:stop].reshape(-1, len(factor), len(self.covariance))
        H = factor @ half
        return np.asarray(H @ self.covariance @ np.swapaxes(H, 1, 2))


def _quadratic(rows: Array, V: Array) -> Array:
    return np.asarray(np.einsum("np,pq,nq->n", rows, V, rows, optimize=True))


def joint(fit: Fit, covariance: Array | None = None) -> Joint:
    """The joint uncertainty of a mixed model; covariance (p, p) of b, the fit's own unless given.

    One sparse factorisation; nothing n x n or q x q is made dense.
    """
    request, kept = fit.request, ~np.isnan(fit.beta)
    factors = tuple(root_of(effect.covariance) for effect in fit.random)
    root = np.sqrt(working_weights(fit))
    M = scaled_basis(request.design.random, factors).multiply(root[:, None]).tocsc()
    A = (M.T @ M + sparse.eye_array(M.shape[1])).tocsc()
    solver = splu(A, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    V = (fit.covariance if covariance is None else covariance)[np.ix_(kept, kept)]
    return Joint(V, factors, solver.solve, M.T @ (request.design.matrix[:, kept] * root[:, None]))


def working_weights(fit: Fit) -> Array:
    """W (n,): prior weights over sigma^2 of a linear model; w mu1^2 / V over the dispersion at the modes of others."""
    if "AR1" in fit.request.residuals:
        raise Unable(
            "standard errors that include random effects are not offered beside AR1 residuals; predict(..., "
            "random=False) gives those of the population"
        )
    family, w = fit.request.family, fit.residual_weights
    if fit.request.model in ("lm", "lmm"):
        return np.asarray(w / fit.sigma**2)
    mu, slope = family.link.inverse(fit.eta), family.link.derivative(fit.eta)
    return np.asarray(w * slope**2 / family.variance(mu) / fit.dispersion)


def root_of(covariance: Array) -> Array:
    """L with LL' = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def scaled_basis(random: Sequence[RandomTerm], factors: Sequence[Array]) -> sparse.csr_array:
    """Z L (n, q) of all terms, sparse; rows of unseen levels are empty."""
    parts = [replace(term, basis=term.basis @ factor).Z for term, factor in zip(random, factors, strict=True)]
    return sparse.csr_array(sparse.hstack(parts, format="csr"))


def places(fit: Fit) -> list[tuple[int, int]]:
    """Where each term's effects start and stop among the q of all."""
    stops = np.cumsum([effect.modes.size for effect in fit.random])
    return [(int(stop - effect.modes.size), int(stop)) for stop, effect in zip(stops, fit.random, strict=True)]
