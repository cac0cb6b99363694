"""The probit log-likelihood of masks in all voxels, with its derivatives, streamed by blocks of voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special

from formula_neuro.family import Array

from .rows import Rows

READ = 1_000_000  # rows times voxels that are read at once
AT_ONCE = 50_000  # and worked on: what a processor's cache holds is twice as quick
Block = Callable[[int, int], NDArray[np.uint8]]  # first, last -> masks (C, n)


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Log-likelihood (V,), its gradient (V, P) in b and minus its Hessian A (V, P, P)."""

    loglik: Array
    gradient: Array
    A: Array


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Masks that are read block by block, and the rows that they go with."""

    rows: Rows
    masks: Block
    V: int
    at_once: int = field(default=AT_ONCE)

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Voxels and their successes (C, K)."""
        step = max(1, self.at_once // len(self.rows.trials))
        read = step * max(1, READ // (step * len(self.rows.group)))
        for start in range(0, self.V, read):
            S = self.rows.successes(self.masks(start, min(start + read, self.V)))
            for first in range(start, start + len(S), step):
                at = slice(first, min(first + step, start + len(S)))
                yield at, S[at.start - start : at.stop - start]

    def totals(self) -> Array:
        """Successes of every distinct row in all voxels, (K,)."""
        return np.asarray(sum((S.sum(axis=0) for _, S in self.blocks()), start=np.zeros(len(self.rows.trials))))

    def loglik(self, b: Array) -> Array:
        """Log-likelihoods (V,) at b (V, P)."""
        out = np.empty(self.V)
        for at, S in self.blocks():
            out[at] = _loglik(Tails.of(self._eta(b[at])), S, self.rows.trials)
        return out

    def derivatives(self, b: Array) -> Derivatives:
        """All of b (V, P) at once."""
        X, m, P = self.rows.X, self.rows.trials, b.shape[1]
        loglik, gradient, A = np.empty(self.V), np.empty((self.V, P)), np.empty((self.V, P, P))
        i, j = np.tril_indices(P)
        squares = X[:, i] * X[:, j]
        for at, S in self.blocks():
            u = Tails.of(self._eta(b[at]))
            up, down = S * u.r1, (m - S) * u.r0
            loglik[at] = _loglik(u, S, m)
            gradient[at] = (up - down) @ X
            packed = (up * (u.r1 + u.eta) + down * (u.r0 - u.eta)) @ squares
            A[at, i, j] = packed
            A[at, j, i] = packed
        return Derivatives(loglik, gradient, A)

    def skewness(self, b: Array, covariance: Array) -> Array:
        """t_s = 1/2 sum_i x_i l'''_i var(eta_i(s)), (V, P), with the covariances (V, P, P) of b."""
        X, m = self.rows.X, self.rows.trials
        t = np.empty(b.shape)
        for at, S in self.blocks():
            u = Tails.of(self._eta(b[at]))
            up = u.r1 * ((u.r1 + u.eta) * (2 * u.r1 + u.eta) - 1)
            down = u.r0 * ((u.r0 - u.eta) * (2 * u.r0 - u.eta) - 1)
            variance = self._variance(covariance[at])
            t[at] = 0.5 * ((S * up - (m - S) * down) * variance) @ X
        return t

    def incidence(self, b: Array, covariance: Array) -> Array:
        """The posterior mean of the share of images with an event (V,), b normal with these means and covariances."""
        share = self.rows.trials / self.rows.trials.sum()
        out = np.empty(self.V)
        step = max(1, self.at_once // len(share))
        for first in range(0, self.V, step):
            at = slice(first, min(first + step, self.V))
            out[at] = special.ndtr(self._eta(b[at]) / np.sqrt(1 + self._variance(covariance[at]))) @ share
        return out

    def _eta(self, b: Array) -> Array:
        return b @ self.rows.X.T + self.rows.offset

    def _variance(self, covariance: Array) -> Array:
        """Of eta (C, K)."""
        i, j = np.tril_indices(covariance.shape[1])
        X = self.rows.X
        squares = X[:, i] * X[:, j] * np.where(i == j, 1.0, 2.0)
        return covariance[:, i, j] @ squares.T


@dataclass(frozen=True, eq=False)
class Tails:
    """phi/Phi of eta (r1) and of -eta (r0), and the logarithms of Phi(eta) and Phi(-eta), exact far into both tails."""

    eta: Array
    r1: Array
    r0: Array
    log1: Array
    log0: Array

    @classmethod
    def of(cls, eta: Array) -> Tails:
        """With E = erfcx(|eta| / sqrt(2)): phi/Phi(-|eta|) = sqrt(2/pi) / E, phi/Phi(|eta|) has 2 exp(eta^2/2) - E."""
        half = eta**2 / 2
        E, c = special.erfcx(np.sqrt(half)), np.sqrt(2 / np.pi)
        with np.errstate(over="ignore"):
            near, far = c / (2 * np.exp(half) - E), c / E  # an infinite exponential makes 0 of the ratio
        log_near, log_far = np.log1p(-0.5 * E * np.exp(-half)), np.log(E / 2) - half
        up = eta > 0
        return cls(
            eta, np.where(up, near, far), np.where(up, far, near), np.where(up, log_near, log_far),
            np.where(up, log_far, log_near),
        )  # fmt: skip


def _loglik(u: Tails, S: Array, m: Array) -> Array:
    return np.asarray((S * u.log1 + (m - S) * u.log0).sum(axis=1))
