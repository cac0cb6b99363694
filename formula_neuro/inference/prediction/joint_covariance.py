"""Errors of b and of the random effects together: how far x'b + z'u may be from what is predicted.

Henderson (1975): with Cov(u) = S = LL', W the weights over the dispersion (of a GLMM the working weights at the modes)
and A = L'Z'WZL + I,

    Var(u - modes | b) = L A^-1 L'                                            lme4's condVar
    Var(x'b + z'u - predicted) = z'L A^-1 L'z + g' Cov(b) g,   g = x - X'WZ L A^-1 L'z

The variances of the random effects are taken as known; a level that the fit has not seen adds its own z'Sz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from ...design import RandomTerm
from ...errors import Unable
from ...family import Array
from ...result import Fit

BLOCK = 2e7  # numbers in a block of columns of A^-1


@dataclass(frozen=True, eq=False)
class Joint:
    """The joint uncertainty of fixed coefficients and random effects of one fit."""

    covariance: Array  # (k, k) of the k coefficients that are not aliased
    factors: tuple[Array, ...]  # (K, K) L of each term
    modes: tuple[Array, ...]  # (levels, K, K) of each term, conditional covariances of its modes
    solved: Callable[[Array], Array]  # A^-1 times (q, m)
    ZWX: Array  # (q, k) L'Z'WX

    def variance(self, X: Array, terms: Sequence[RandomTerm]) -> Array:
        """Variances (n,) of x'b + z'u for rows X (n, k) and terms on these rows; unseen levels count as 0."""
        seen = [term.codes >= 0 for term in terms]
        bases = [term.basis * known[:, None] for term, known in zip(terms, seen, strict=True)]
        codes = [np.where(known, term.codes, 0) for term, known in zip(terms, seen, strict=True)]
        found = np.zeros(len(X))
        for Z, g, C in zip(bases, codes, self.modes, strict=True):
            found += np.einsum("nk,nkl,nl->n", Z, C[g], Z)
        inner = [Z @ F for Z, F in zip(bases, self.factors, strict=True)]
        for t, s in self._pairs():
            found += 2 * self._between(t, s, inner, codes)
        half, left = self.solved(self.ZWX), X.copy()
        for start, Z, g in zip(self._starts(), inner, codes, strict=True):
            left -= np.einsum("nk,nkp->np", Z, half[_columns(start, Z, g)])
        return np.asarray(found + np.einsum("np,pq,nq->n", left, self.covariance, left, optimize=True))

    def added(self, term: int) -> Array:
        """(levels, K, K) of one term: H Cov(b) H', what not knowing b adds to the covariances of its modes."""
        factor, start = self.factors[term], self._starts()[term]
        levels, K = self.modes[term].shape[0], len(factor)
        half = self.solved(self.ZWX)[start : start + levels * K]
        H = factor @ half.reshape(levels, K, half.shape[1])
        return np.asarray(H @ self.covariance @ np.swapaxes(H, 1, 2))

    def _starts(self) -> list[int]:
        """Where each term's effects start among the q of all."""
        sizes = [C.shape[0] * C.shape[1] for C in self.modes]
        return [int(start) for start in np.cumsum([0, *sizes[:-1]])]

    def _pairs(self) -> Iterator[tuple[int, int]]:
        """Pairs of terms, the one with fewer effects second."""
        order = sorted(range(len(self.modes)), key=lambda t: -self.modes[t].shape[0] * self.modes[t].shape[1])
        return ((t, s) for i, s in enumerate(order) for t in order[:i])

    def _between(self, t: int, s: int, inner: Sequence[Array], codes: Sequence[NDArray[np.intp]]) -> Array:
        """z_t' (A^-1)_ts z_s (n,), a block of the columns of s at a time."""
        start, K, levels = self._starts()[s], len(self.factors[s]), self.modes[s].shape[0]
        rows_of_t, found = _columns(self._starts()[t], inner[t], codes[t]), np.zeros(len(codes[s]))
        step = max(1, int(BLOCK // (len(self.ZWX) * K)))
        for first in range(0, levels, step):
            last = min(first + step, levels)
            rows = np.flatnonzero((codes[s] >= first) & (codes[s] < last))
            right = np.zeros((len(self.ZWX), (last - first) * K))
            right[start + first * K + np.arange(right.shape[1]), np.arange(right.shape[1])] = 1.0
            columns = _columns(0, inner[s][rows], codes[s][rows] - first)
            block = self.solved(right)[rows_of_t[rows][:, :, None], columns[:, None, :]]
            found[rows] = np.einsum("nk,nkl,nl->n", inner[t][rows], block, inner[s][rows])
        return found


def _columns(start: int, Z: Array, codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """(n, K) places among the effects."""
    return np.asarray(start + codes[:, None] * Z.shape[1] + np.arange(Z.shape[1]))


def joint(fit: Fit, covariance: Array | None = None) -> Joint:
    """The joint uncertainty of a mixed model; covariance (p, p) of b, the fit's own unless given.

    One sparse factorisation; nothing n x n or q x q is made dense.
    """
    if "AR1" in fit.request.residuals:
        raise Unable(
            "standard errors that include random effects are not offered beside AR1 residuals; predict(..., "
            "random=False) gives those of the population"
        )
    request, kept = fit.request, ~np.isnan(fit.beta)
    factors = tuple(root_of(effect.covariance) for effect in fit.random)
    W = row_weights(fit)[0][:, None]  # observed ones may be negative in some rows
    M = scaled_basis(request.design.random, factors)
    A = (M.T @ M.multiply(W) + sparse.eye_array(M.shape[1])).tocsc()
    solver = splu(A, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    V = (fit.covariance if covariance is None else covariance)[np.ix_(kept, kept)]
    modes = tuple(effect.mode_covariance for effect in fit.random)
    return Joint(V, factors, modes, solver.solve, M.T @ (request.design.matrix[:, kept] * W))


def row_weights(fit: Fit) -> tuple[Array, Array]:
    """W (n,), the information of each row on its eta, and its score (n,): eta + score / W is what it calls for.

    Of a linear model weights over sigma^2; of others the backend's own at the modes, or w mu1^2 / V / dispersion.
    """
    own = getattr(fit.engine, "row_weights", None)
    if own is not None:
        W, score = own(fit)
        return W, score
    family, w, linear = fit.request.family, fit.residual_weights, fit.request.model in ("lm", "lmm")
    mu, slope = family.link.inverse(fit.eta), family.link.derivative(fit.eta)
    W = w / fit.sigma**2 if linear else w * slope**2 / family.variance(mu) / fit.dispersion
    with np.errstate(invalid="ignore"):  # rows of weight 0 may lie outside the family's range
        return W, np.where(w > 0, W * (fit.request.y - mu) / slope, 0.0)


def root_of(covariance: Array) -> Array:
    """L with LL' = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def scaled_basis(random: Sequence[RandomTerm], factors: Sequence[Array]) -> sparse.csr_array:
    """Z L (n, q) of all terms, sparse; rows of unseen levels are empty."""
    parts = [replace(term, basis=term.basis @ factor).Z for term, factor in zip(random, factors, strict=True)]
    return sparse.csr_array(sparse.hstack(parts, format="csr"))
