"""Many responses of one LMM with one random term: refits that step together, for the bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import solve_triangular

from formula_neuro.estimator import ML, REML
from formula_neuro.family import Array
from formula_neuro.inference.bootstrap.parameters import spread
from formula_neuro.inference.bootstrap.refits import Refits, again
from formula_neuro.kernels.rank import Basis, column_norms, independent_columns, orthonormal_basis
from formula_neuro.kernels.templates import template
from formula_neuro.maps.request import MapRequest
from formula_neuro.request import Request
from formula_neuro.result import Fit

from .boundary import Template, settle_many
from .newton import minimise_many
from .profiled import Products, Profiled

TOLERANCE = 1e-12  # of the deviance: what one more step would gain at the end
SMALLEST_START = 0.3  # of standard deviations, in the residual's: at 0 the gradient vanishes whatever the data


def takes(request: Request) -> bool:
    """Whether the batch knows this model."""
    random = request.design.random
    return len(random) == 1 and random[0].structure == "us" and request.estimator in (ML(), REML())


@dataclass(frozen=True, eq=False)
class Problem:
    """What all responses share: sums over rows, and the change of coordinates."""

    used: NDArray[np.bool_]
    root: Array  # (rows used, 1), sqrt of the weights
    offset: Array  # (rows used, 1)
    basis: Basis
    Z: sparse.csr_array  # (K G, rows used), of the inner columns times sqrt(w)
    change: Array  # (K, K): inner columns = the user's @ change
    shared: Products  # of no response

    @property
    def K(self) -> int:
        return len(self.change)

    def products(self, Y: Array) -> tuple[Products, Array]:
        """The products of responses Y (n, B), and their least-squares coefficients (r, B)."""
        y = (Y[self.used] - self.offset) * self.root
        b = self.basis.Q.T @ y
        residual = y - self.basis.Q @ b
        residual -= self.basis.Q @ (self.basis.Q.T @ residual)  # once more: orthogonal to the last digit
        Zy = np.asarray(self.Z @ residual).reshape(self.K, -1, Y.shape[1]).transpose(0, 2, 1)
        return replace(self.shared, Zy=np.ascontiguousarray(Zy), yy=(residual**2).sum(axis=0)), b


def problem_of(request: Request | MapRequest) -> Problem:
    """The batch's view of a request with one random term."""
    design, (term,) = request.design, request.design.random
    used = request.weights > 0
    root = np.sqrt(request.weights[used])[:, None]
    basis = orthonormal_basis(design.matrix[used] * root)
    z = term.basis[used] * root
    change = _orthogonalising(z)
    columns, codes, G = z @ change, term.codes[used], len(term.levels)
    n, K = columns.shape
    rows = codes[:, None] + G * np.arange(K)
    Z = sparse.csr_array((columns.ravel(), (rows.ravel(), np.repeat(np.arange(n), K))), shape=(K * G, n))
    ZX = np.asarray(Z @ basis.Q).reshape(K, G, -1).transpose(0, 2, 1)
    ZZ = np.stack([np.asarray(Z @ columns[:, [j]]).reshape(K, G) for j in range(K)], axis=1)
    reml = isinstance(request.estimator, REML)
    constant = -2 * float(np.log(root).sum())
    constant += 2 * float(np.log(np.abs(np.diag(basis.R))).sum()) if reml else 0.0
    shared = Products(ZZ, ZX, np.empty((K, 0, G)), np.empty(0), n, reml, constant)
    return Problem(used, root, design.offset[used][:, None], basis, Z, change, shared)


def _orthogonalising(z: Array) -> Array:
    """(K, K) change to columns of mean square 1, orthogonal to one another where the rank allows it."""
    size, norms = np.sqrt(len(z)), column_norms(z)
    if len(independent_columns(z)) < z.shape[1]:
        return np.diag(size / norms)
    R = np.linalg.qr(z / norms)[1]
    return np.asarray(solve_triangular(R * norms, np.eye(len(norms))) * size)


def batch(fit: Fit, near: Fit) -> Callable[[Array], Refits] | None:
    """A function from responses Y (n, B), drawn from `near`, to refits of `fit`'s model; None if not known here."""
    if not takes(fit.request):
        return None
    problem = problem_of(fit.request)
    start = _start(problem, fit, near)
    return lambda Y: refits(fit, problem, start, Y)


def _start(problem: Problem, fit: Fit, near: Fit) -> Array:
    """theta near that from which the responses were drawn, in inner coordinates, no direction at 0."""
    K = problem.K
    theta = near.theta if len(near.theta) == len(fit.theta) else fit.theta
    L = np.linalg.solve(problem.change, template(theta, K))
    return Template(K).filled(np.zeros((1, len(theta))), np.hstack([L, SMALLEST_START * np.eye(K)])[None])[0]


def refits(fit: Fit, problem: Problem, start: Array, Y: Array) -> Refits:
    """The model fitted to every column of Y (n, B)."""
    products, b = problem.products(Y)
    target, B = Profiled(products), Y.shape[1]
    everyone = np.arange(B)
    found = settle_many(
        lambda psi, which: minimise_many(target, psi, which, tolerance=TOLERANCE),
        target.value,
        target.template,
        np.tile(start, (B, 1)),
        everyone,
    )
    at = target.solve(found.point, everyone)
    beta = np.full((B, problem.basis.columns), np.nan)
    beta[:, problem.basis.kept] = np.linalg.solve(problem.basis.R, b + at.b.T).T
    s2, L = at.r2 / products.df, problem.change @ at.L
    covariance = s2[:, None, None] * (L @ L.transpose(0, 2, 1))
    out = Refits(-found.value / 2, beta, spread(covariance), np.sqrt(s2), ("",) * B)
    sure = found.converged & np.isfinite(found.value)
    return out if sure.all() else again(out, fit, Y, np.flatnonzero(~sure))
