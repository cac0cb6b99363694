"""Random terms in the coordinates in which they are fitted.

Inside, the K columns of a term are replaced by basis @ change, with mean square 1 and, where they are
independent, mutually orthogonal. The likelihood is the same (an unstructured K x K covariance stays one),
but neither the units nor the origin of a slope variable matter to the optimiser any more. Of a covariance with a
structure columns are only scaled, all alike where they have one variance: the structure stays what it is.
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
from formula_neuro.kernels.structures import Structure
from formula_neuro.kernels.templates import lower_factor, positions, template, vech


@dataclass(frozen=True, eq=False)
class Term:
    """One random term: u (levels, K) = v L' in inner coordinates; in the user's, u @ change.T."""

    given: RandomTerm
    basis: Array  # (n, K), inner
    change: Array  # (K, K): inner basis = given basis @ change
    start: int  # first of its columns in Z
    theta: slice  # its part of theta
    structure: Structure | None = None  # None: unstructured, theta the lower triangle of L

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
        """Row and column of each of its theta's elements, where it is unstructured."""
        return [(int(i), int(j)) for i, j in zip(*positions(self.K), strict=True)]

    def template(self, theta: Array) -> Array:
        own = theta[self.theta]
        return template(own, self.K) if self.structure is None else self.structure.template(own)

    def changes(self, theta: Array) -> Array:
        """dL / dtheta (m, K, K)."""
        if self.structure is not None:
            return self.structure.slopes(theta[self.theta])
        rows, columns = positions(self.K)
        out = np.zeros((len(rows), self.K, self.K))
        out[np.arange(len(rows)), rows, columns] = 1.0
        return out

    def directions(self) -> Array:
        """(m, K, K) symmetric changes of S: its elements; of a structure those by its parameters at S = I."""
        if self.structure is not None:
            return self.structure.directions()
        out = self.changes(np.empty(0))
        return np.where(np.eye(self.K, dtype=bool), out, out + out.transpose(0, 2, 1))

    def theta_of(self, F: Array) -> Array:
        """Its part of theta from a root F (K, K) of its covariance, F F', in inner coordinates."""
        if self.structure is None:
            return vech(lower_factor(F))
        return self.structure.nearest(F @ F.T)

    def columns_of_rows(self) -> NDArray[np.intp]:
        """(n, K) columns of Z in which each row has its entries."""
        return np.asarray(self.start + self.given.codes[:, None] * self.K + np.arange(self.K))

    def users_template(self, theta: Array) -> Array:
        """The template in the user's coordinates: lower-triangular, as lme4's."""
        return lower_factor(self.change @ self.template(theta))

    def users_theta(self, theta: Array) -> Array:
        """Its users' template column by column; of a structure the relative sds, then the correlation."""
        if self.structure is None:
            return vech(self.users_template(theta))
        units = np.ones(self.structure.size)
        units[: self.structure.n_sds] = np.diag(self.change)[: self.structure.n_sds]
        return units * self.structure.described(theta[self.theta])

    def users_root(self, own: Array) -> Array:
        """A root (K, K) of the relative covariance in the user's coordinates, from what users_theta gives."""
        return template(own, self.K) if self.structure is None else self.structure.root_of(own)


def inner_terms(random: Sequence[RandomTerm], weights: Array) -> tuple[Term, ...]:
    """The terms in inner coordinates, their columns made orthogonal over rows weighted by w (n,)."""
    terms: list[Term] = []
    start = theta = 0
    for given in random:
        structure = structure_of(given)
        change = _orthogonalising(given.basis, weights) if structure is None else _scaling(given, weights)
        K = len(change)
        size = K * (K + 1) // 2 if structure is None else structure.size
        own = slice(theta, theta + size)
        terms.append(Term(given, (change.T @ given.basis.T).T, change, start, own, structure))
        start, theta = start + K * len(given.levels), theta + size
    return tuple(terms)


def structure_of(given: RandomTerm) -> Structure | None:
    """None for an unstructured covariance, which that of a single column is."""
    if given.structure == "us" or len(given.columns) == 1:
        return None
    return Structure(len(given.columns), given.hom, given.structure if given.structure in ("cs", "ar1") else "")


def _scaling(given: RandomTerm, weights: Array) -> Array:
    """(K, K) diagonal: to weighted mean square 1, on average where the columns have one variance."""
    root = np.sqrt(weights)
    norms = column_norms((given.basis.T * root).T) / np.sqrt((weights > 0).sum())
    if given.hom:
        norms = np.full(len(norms), np.sqrt((norms**2).mean()))
    return np.diag(1 / np.where(norms > 0, norms, 1.0))


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


def start_theta(terms: Sequence[Term], size: float = 1.0) -> Array:
    """Templates of identity, or `size` times it: effects as large as the residuals."""
    return np.concatenate([term.theta_of(size * np.eye(term.K)) for term in terms])


def users_theta(terms: Sequence[Term], theta: Array) -> Array:
    """lme4's theta: the users' templates, column by column; sds and correlations of structures."""
    return np.concatenate([term.users_theta(theta) for term in terms])


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
