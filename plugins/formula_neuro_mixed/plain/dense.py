"""The same quantities by dense q x q matrices: any structure, slowly. The other paths are tested against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from formula_neuro.family import Array

from ..grouping_factors import Factor, factor_of
from ..lmm.information import OnFactor
from ..terms import Term, apply_blocks, diagonal_blocks, model_matrix


@dataclass(frozen=True, eq=False)
class DenseSums:
    """Cross-products of Z and [X y], scaled and made orthogonal as in `Sums`; every term is a factor of its own."""

    terms: tuple[Term, ...]
    factors: tuple[Factor, ...]
    ZZ: Array  # (q, q)
    ZW: Array  # (q, r + 1)
    yy: float
    n: int
    reml: bool
    constant: float

    @property
    def rank(self) -> int:
        return self.ZW.shape[1] - 1

    @property
    def df(self) -> int:
        return self.n - self.rank if self.reml else self.n

    def reduce(self, theta: Array) -> DenseReduction:
        upper = [term.template(theta).T for term in self.terms]
        LZ = apply_blocks(self.terms, upper, np.column_stack([self.ZZ, self.ZW]))
        q = len(self.ZZ)
        LZZL = apply_blocks(self.terms, upper, LZ[:, :q].T)
        A = cholesky((LZZL + LZZL.T) / 2 + np.eye(q), lower=True)
        U, RZW = np.split(solve_triangular(A, LZ, lower=True), [q], axis=1)
        WVW = np.diag(np.append(np.ones(self.rank), self.yy)) - RZW.T @ RZW
        ZVW = self.ZW - U.T @ RZW
        shaped = tuple(ZVW[t.columns].reshape(t.levels, t.K, -1) for t in self.terms)
        return DenseReduction(self, theta, A, U, 2 * float(np.log(np.diag(A)).sum()), WVW, shaped)


@dataclass(frozen=True, eq=False)
class DenseReduction:
    sums: DenseSums
    theta: Array
    A: Array  # lower Cholesky factor of L'Z'ZL + I
    U: Array  # A^-1 L'Z'Z
    logdet: float
    WVW: Array
    ZVW: tuple[Array, ...]

    def information(self) -> DenseInformation:
        return DenseInformation(self.sums.terms, self.sums.ZZ - self.U.T @ self.U)

    def conditional(self) -> list[Array]:
        """L A^-1 L' by level (L, K, K) of every term."""
        terms = self.sums.terms
        lower = [term.template(self.theta) for term in terms]
        half = solve_triangular(self.A, apply_blocks(terms, [L.T for L in lower], np.eye(len(self.A))), lower=True)
        return [diagonal_blocks(term, half.T @ half) for term in terms]


@dataclass(frozen=True, eq=False)
class DenseInformation:
    """H = Z'V^-1Z."""

    terms: tuple[Term, ...]
    H: Array

    @property
    def diagonal(self) -> list[Array]:
        return [diagonal_blocks(term, self.H).sum(axis=0) for term in self.terms]

    def product(self, parts: Sequence[Array]) -> list[Array]:
        out = self.H @ np.concatenate([part.reshape(-1, part.shape[2]) for part in parts])
        return [out[t.columns].reshape(t.levels, t.K, -1) for t in self.terms]

    def traces(self, directions: Sequence[OnFactor]) -> Array:
        moved = [self._moved(direction) for direction in directions]
        return np.array([[np.sum(one * two.T) for two in moved] for one in moved])

    def _moved(self, direction: OnFactor) -> Array:
        """D H."""
        blocks = [np.zeros((t.K, t.K)) if i != direction[0] else direction[1] for i, t in enumerate(self.terms)]
        return apply_blocks(self.terms, blocks, self.H)


def dense_sums(
    terms: tuple[Term, ...], W: Array, root: Array | None, *, n: int, reml: bool, constant: float
) -> DenseSums:
    """W (rows, r + 1) are the scaled [X y], root (rows,) the roots of the weights (None: all 1)."""
    Z = model_matrix(terms, [np.eye(term.K) for term in terms], np.ones(len(W)) if root is None else root)
    factors = tuple(factor_of(terms, [i]) for i in range(len(terms)))
    yy = float(W[:, -1] @ W[:, -1])
    return DenseSums(terms, factors, (Z.T @ Z).toarray(), Z.T @ W, yy, n, reml, constant)
