"""The probit log-likelihood of masks in all voxels, with its derivatives.

Sums over rows are taken over a few nodes that stand for them (nodes.py), with successes that are counted once. Where a
voxel's linear predictor leaves their reach, and in designs that no few nodes stand for, masks are read block by block
and every distinct row is summed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from formula_neuro.family import Array
from formula_neuro.images.building import available_threads

from .nodes import Nodes, near
from .rows import Rows
from .tails import Tails, log_likelihood

READ = 1_000_000  # rows times voxels that are read at once
AT_ONCE = 50_000  # and worked on: what a processor's cache holds is twice as quick
HELD = 1 << 30  # bytes of successes at nodes that are kept; more are counted anew at every pass
SPREAD = 9  # nodes of an integral over a linear predictor's normal distribution
RULE = 3  # exact for polynomials of degree 5: 15 nodes move no mean by a hundredth of a deviation
Block = Callable[[int, int], NDArray[np.uint8]]  # first, last -> masks (C, n)
Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Sums:
    """Of C voxels: successes S (C, k) of rows X (k, P) with trials m (k,), and their linear predictors eta (C, k)."""

    S: Array
    X: Array
    m: Array
    eta: Array


Question = Callable[..., tuple[Array, ...]]  # of sums and more arrays (C, ...): arrays (C, ...)


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Log-likelihood (V,), its gradient (V, P) in b and minus its Hessian A (V, P, P)."""

    loglik: Array
    gradient: Array
    A: Array


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Masks that are read block by block, and the rows that they go with, which are all summed unless there are nodes.

    `held` (V, k) are the successes at the nodes, where they are kept. Threads change no number.
    """

    rows: Rows
    masks: Block
    V: int
    at_once: int = field(default=AT_ONCE)
    nodes: Nodes | None = None
    held: Array | None = None
    threads: int = field(default_factory=available_threads)

    @classmethod
    def of(cls, rows: Rows, masks: Block, V: int) -> Likelihood:
        """With nodes where they are clearly fewer than the rows."""
        plain = cls(rows, masks, V)
        nodes = Nodes.of(rows)
        if nodes is None or V * len(nodes.X) * 8 > HELD:
            return replace(plain, nodes=nodes)
        held = np.empty((V, len(nodes.X)))
        for at in plain._pieces():
            held[at] = plain._successes(at) @ nodes.L
        return replace(plain, nodes=nodes, held=held)

    def part(self, voxels: Indices) -> Likelihood:
        """The likelihood of these voxels (C,) alone, in ascending order; its first voxel is voxels[0]."""

        def masks(first: int, last: int) -> NDArray[np.uint8]:
            wanted = voxels[first:last]
            if not len(wanted):
                return self.masks(0, 0)
            near_by = self.masks(int(wanted[0]), int(wanted[-1]) + 1)
            return np.asarray(near_by[wanted - wanted[0]])

        held = None if self.held is None else self.held[voxels]
        return replace(self, masks=masks, V=len(voxels), held=held)

    def totals(self) -> Array:
        """Successes of every distinct row in all voxels, (K,)."""
        return np.asarray(sum((self._successes(at).sum(axis=0) for at in self._pieces()), np.zeros(len(self.rows.X))))

    def loglik(self, b: Array) -> Array:
        """Log-likelihoods (V,) at b (V, P)."""
        return self._asked(lambda sums: (log_likelihood(sums.eta, sums.S, sums.m),), b)[0]

    def derivatives(self, b: Array) -> Derivatives:
        """All of b (V, P) at once."""
        return _unpacked(b, self._asked(_derivatives, b))

    def expected(self, b: Array, covariance: Array) -> Derivatives:
        """The expectations of the same with b normal, of means (V, P) and covariances (V, P, P).

        Gauss and Hermite's quadrature of RULE nodes in every linear predictor.
        """
        return _unpacked(b, self._asked(_expected, b, covariance))

    def incidence(self, b: Array, covariance: Array) -> Array:
        """The posterior mean of the share of images with an event (V,), b normal with these means and covariances."""
        return self._asked(_incidence, b, covariance)[0]

    def predictive(self, b: Array, covariance: Array) -> tuple[Array, Array]:
        """Of every voxel (V,), b normal with these means and covariances: the sum over images of the logarithm of the
        mean probability of their values, and that of the variances of the logarithms of their probabilities.
        """
        density, variance = self._asked(_predictive, b, covariance)
        return density, variance

    def _asked(self, question: Question, b: Array, *more: Array) -> list[Array]:
        """What a question answers of all voxels (V, ...): at nodes, but at all rows where these do not reach."""

        def answered(piece: slice) -> list[tuple[NDArray[Any], ...]]:
            S = self._at_nodes(piece)
            found: list[tuple[NDArray[Any], ...]] = []
            step = max(1, self.at_once // S.shape[1])
            for first in range(piece.start, piece.stop, step):
                at = slice(first, min(first + step, piece.stop))
                sums = self._sums(S[at.start - piece.start : at.stop - piece.start], b[at])
                own = [array[at] for array in more]
                found.append((self._far(sums, *own), *question(sums, *own)))
            return found

        with ThreadPoolExecutor(self.threads) as pool:
            parts = [part for parts in pool.map(answered, self._pieces()) for part in parts]
        far, *found = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if far.any():
            voxels = np.flatnonzero(far)
            rest = replace(self.part(voxels), nodes=None, held=None)
            for array, exact in zip(
                found, rest._asked(question, b[voxels], *(array[voxels] for array in more)), strict=True
            ):
                array[voxels] = exact
        return found

    def _far(self, sums: Sums, covariance: Array | None = None) -> NDArray[np.bool_]:
        """(C,) whether nodes do not reach so far; `covariance` of the coefficients, where an integral is over them."""
        if self.nodes is None:
            return np.zeros(len(sums.S), dtype=bool)
        return ~near(sums.eta, None if covariance is None else _variance(covariance, sums.X))

    def _pieces(self) -> Iterator[slice]:
        """Voxels that are read at once."""
        width = len(self.rows.group) if self.held is None else self.held.shape[1]
        step = max(1, READ // width)
        for first in range(0, self.V, step):
            yield slice(first, min(first + step, self.V))

    def _successes(self, at: slice) -> Array:
        """Of every distinct row, (C, K)."""
        return self.rows.successes(self.masks(at.start, at.stop))

    def _at_nodes(self, at: slice) -> Array:
        """Successes of the rows that sums are taken over, (C, k)."""
        if self.held is not None:
            return self.held[at]
        return self._successes(at) if self.nodes is None else self._successes(at) @ self.nodes.L

    def _sums(self, S: Array, b: Array) -> Sums:
        rows = self.rows if self.nodes is None else self.nodes
        return Sums(S, rows.X, rows.trials, b @ rows.X.T + rows.offset)


def _unpacked(b: Array, found: list[Array]) -> Derivatives:
    V, P = b.shape
    i, j = np.tril_indices(P)
    loglik, gradient, packed = found
    A = np.empty((V, P, P))
    A[:, i, j] = packed
    A[:, j, i] = packed
    return Derivatives(loglik, gradient, A)


def _derivatives(sums: Sums) -> tuple[Array, ...]:
    """Log-likelihood (C,), gradient (C, P), and minus the Hessian's lower triangle (C, P (P + 1) / 2)."""
    S, X, m, u = sums.S, sums.X, sums.m, Tails.of(sums.eta)
    i, j = np.tril_indices(X.shape[1])
    others = m - S
    up, down = S * u.r1, others * u.r0
    loglik = (S * u.log1 + others * u.log0).sum(axis=1)
    return loglik, (up - down) @ X, (up * (u.r1 + u.eta) + down * (u.r0 - u.eta)) @ (X[:, i] * X[:, j])


def _expected(sums: Sums, covariance: Array) -> tuple[Array, ...]:
    sd = np.sqrt(np.maximum(_variance(covariance, sums.X), 0.0))
    points, weights = np.polynomial.hermite_e.hermegauss(RULE)
    each = [_derivatives(replace(sums, eta=sums.eta + z * sd)) for z in points]
    return tuple(np.tensordot(weights / weights.sum(), np.array(arrays), axes=1) for arrays in zip(*each, strict=True))


def _incidence(sums: Sums, covariance: Array) -> tuple[Array, ...]:
    return (special.ndtr(sums.eta / np.sqrt(1 + _variance(covariance, sums.X))) @ sums.m / sums.m.sum(),)


def _predictive(sums: Sums, covariance: Array) -> tuple[Array, ...]:
    variance = _variance(covariance, sums.X)
    mean, centre = Tails.of(sums.eta / np.sqrt(1 + variance)), Tails.of(sums.eta)
    nodes, weights = np.polynomial.hermite_e.hermegauss(SPREAD)
    first, second = np.zeros((2, *sums.eta.shape)), np.zeros((2, *sums.eta.shape))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        at = Tails.of(sums.eta + node * np.sqrt(variance))
        away = np.array([at.log1 - centre.log1, at.log0 - centre.log0])
        first += weight * away
        second += weight * away**2
    varying, failures = second - first**2, sums.m - sums.S
    density = (sums.S * mean.log1 + failures * mean.log0).sum(axis=1)
    return density, (sums.S * varying[0] + failures * varying[1]).sum(axis=1)


def _variance(covariance: Array, X: Array) -> Array:
    """Of eta (C, k)."""
    i, j = np.tril_indices(covariance.shape[1])
    squares = X[:, i] * X[:, j] * np.where(i == j, 1.0, 2.0)
    return np.asarray(covariance[:, i, j] @ squares.T)
