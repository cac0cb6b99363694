"""Random terms in the coordinates in which they are fitted.

Inside, the K columns of a term are replaced by basis @ change, with mean square 1 and, where they are
independent, mutually orthogonal. The likelihood is the same (an unstructured K x K covariance stays one),
but neither the units nor the origin of a slope variable matter to the optimiser any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from formula_neuro.design import RandomTerm
from formula_neuro.family import Array
from formula_neuro.kernels.rank import column_norms, independent_columns
from formula_neuro.kernels.templates import lower_factor, positions, template, vech


@dataclass(frozen=True, eq=False)
class Term:
    """One random term: u (levels, K) = v L' in inner coordinates; in the user's, u @ change.T."""

    given: RandomTerm
    basis: Array  # (n, K), inner
    change: Array  # (K, K): inner basis = given basis @ change
    start: int  # first of its columns in Z
    theta: slice  # its part of theta

    @property
    def K(self) -> int:
        return self.basis.shape[1]

    @property
    def levels(self) -> int:
        return len(self.given.levels)

    @property
    def columns(self) -> slice:
        return slice(self.start, self.start + self.levels * self.K)

    @property
    def elements(self) -> list[tuple[int, int]]:
        """Row and column of each of its theta's elements."""
        return [(int(i), int(j)) for i, j in zip(*positions(self.K), strict=True)]

    def template(self, theta: Array) -> Array:
        return template(theta[self.theta], self.K)

    def columns_of_rows(self) -> NDArray[np.intp]:
        """(n, K) columns of Z in which each row has its entries."""
        return np.asarray(self.start + self.given.codes[:, None] * self.K + np.arange(self.K))

    def users_template(self, theta: Array) -> Array:
        """The template in the user's coordinates: lower-triangular, as lme4's."""
        return lower_factor(self.change @ self.template(theta))


def inner_terms(random: Sequence[RandomTerm], weights: Array) -> tuple[Term, ...]:
    """The terms in inner coordinates, their columns made orthogonal over rows weighted by w (n,)."""
    terms: list[Term] = []
    start = theta = 0
    for given in random:
        change = _orthogonalising(given.basis, weights)
        K = len(change)
        size = K * (K + 1) // 2
        terms.append(Term(given, (change.T @ given.basis.T).T, change, start, slice(theta, theta + size)))
        start, theta = start + K * len(given.levels), theta + size
    return tuple(terms)


def _orthogonalising(basis: Array, weights: Array) -> Array:
    """(K, K) change of basis to weighted mean square 1, and to orthogonality where the rank allows it."""
    rows = basis if (weights == 1).all() else (basis.T * np.sqrt(weights)).T
    root_n = np.sqrt((weights > 0).sum())
    K = basis.shape[1]
    norms = column_norms(rows)
    if K == 1:
        return np.array([[root_n / norms[0]]])
    R = _triangle(rows / norms)
    if R is None:
        return np.diag(root_n / norms)
    return np.asarray(np.linalg.inv(R * norms) * root_n)


def _triangle(unit: Array) -> Array | None:
    """R (K, K) of the QR of columns of length 1, its diagonal positive; None where they are dependent."""
    gram = unit.T @ unit
    if np.isfinite(gram).all() and np.linalg.eigvalsh(gram)[0] > 1e-8:  # far from dependent: its root will do
        return np.asarray(np.linalg.cholesky(gram).T)
    if len(independent_columns(unit)) < len(gram):
        return None
    R = np.linalg.qr(unit)[1]
    return np.asarray(R * np.where(np.diag(R) < 0, -1.0, 1.0)[:, None])


def start_theta(terms: Sequence[Term]) -> Array:
    """Identity templates: effects as large as the residuals."""
    return np.concatenate([vech(np.eye(term.K)) for term in terms])


def users_theta(terms: Sequence[Term], theta: Array) -> Array:
    """lme4's theta: the users' templates, column by column."""
    return np.concatenate([vech(term.users_template(theta)) for term in terms])


def model_matrix(terms: Sequence[Term], factors: Sequence[Array], scale: Array) -> sparse.csr_array:
    """(n, q) sparse: row i holds scale_i * basis_i @ factor in the columns of its level, for every term."""
    columns = np.hstack([term.columns_of_rows() for term in terms])
    data = np.hstack([term.basis @ factor for term, factor in zip(terms, factors, strict=True)])
    n, m = columns.shape
    q = terms[-1].columns.stop
    values = (data * scale[:, None]).ravel()
    return sparse.csr_array((values, columns.ravel(), np.arange(0, n * m + 1, m)), shape=(n, q))


def apply_blocks(terms: Sequence[Term], blocks: Sequence[Array], M: Array) -> Array:
    """The block-diagonal matrix that repeats blocks[k] (K, K) for every level of term k, times M (q, c)."""
    out = np.empty_like(M)
    for term, block in zip(terms, blocks, strict=True):
        rows = M[term.columns].reshape(term.levels, term.K, -1)
        out[term.columns] = (block @ rows).reshape(-1, M.shape[1])
    return out


def diagonal_blocks(term: Term, M: Array) -> Array:
    """(levels, K, K) blocks of M (q, q) on the diagonal, for one term."""
    own = M[term.columns, term.columns].reshape(term.levels, term.K, term.levels, term.K)
    return np.einsum("aiaj->aij", own)
