"""The precision of all coefficients, H = blockdiag(A_s) + L (x) Q, and solutions of H x = r.

L is the Laplacian of the mask's graph. With D_s = A_s + n_s Q = C_s C_s' and y = C'x, neighbours s, t are joined by
M_st = C_s^-1 Q C_t^-T, and as voxels of one parity are no neighbours

    y_2 = f_2 + M y_1,   (I - M'M) y_1 = f_1 + M' f_2,   f = C^-1 r:

conjugate gradients in half of the unknowns, in half as many steps as in all of them (Golub and Van Loan, Matrix
Computations, section 11.5, of cyclic reduction).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from formula_neuro.errors import FitError
from formula_neuro.family import Array
from formula_neuro.images.building import available_threads

from .halves import Halves, Indices

TOLERANCE = 1e-8  # of the residual, relative to the right-hand side, both in units of C
ROUNDS = 5_000
TOGETHER = 4  # right-hand sides


@dataclass(frozen=True, eq=False)
class System:
    """A (V, P, P), Q (P, P) and the graph's halves; vectors are (V, P, K), K at once."""

    A: Array
    Q: Array
    halves: Halves

    @cached_property
    def local(self) -> Array:
        """(A_s + n_s Q)^-1, the covariance of b_s given all others, (V, P, P)."""
        return np.asarray(self.roots.transpose(0, 2, 1) @ self.roots)

    @cached_property
    def roots(self) -> Array:
        """C_s^-1, lower triangles (V, P, P)."""
        return np.asarray(np.linalg.inv(np.linalg.cholesky(self.A + self.halves.n_s[:, None, None] * self.Q)))

    @cached_property
    def coupling(self) -> sparse.csr_array:
        """M, from the first half's numbers to the second's."""
        halves = self.halves
        ahead = (self.Q @ self.roots[halves.first].transpose(0, 2, 1))[halves.columns]
        return halves.matrix(self.roots[halves.second][halves.rows] @ ahead)

    def pull(self, x: Array) -> Array:
        """Q times the sum over neighbours, (V, P, K)."""
        V, P, K = x.shape
        around = self.halves.adjacency @ x.reshape(V, P * K)
        return np.asarray(self.Q @ around.reshape(V, P, K))

    def apply(self, x: Array) -> Array:
        return np.asarray(self.A @ x + self.Q @ (self.halves.n_s[:, None, None] * x) - self.pull(x))

    def solve(self, r: Array, start: Array | None = None, tolerance: float = TOLERANCE) -> Array:
        """H^-1 r for K right-hand sides (V, P, K); raises FitError where rounding keeps it from the tolerance."""
        P, K = r.shape[1:]
        M, one, two = self.coupling, self.halves.first, self.halves.second
        f = self.roots @ r
        f1, f2 = f[one].reshape(-1, K), f[two].reshape(-1, K)
        begin = np.zeros_like(f1) if start is None else self._scaled(start, one)
        goal = tolerance**2 * (np.einsum("nk,nk->k", f1, f1) + np.einsum("nk,nk->k", f2, f2))
        y1 = _in_threads(M, f1 + M.T @ f2, begin, goal)
        y = np.empty_like(f)
        y[one], y[two] = y1.reshape(-1, P, K), (f2 + M @ y1).reshape(-1, P, K)
        return np.asarray(self.roots.transpose(0, 2, 1) @ y)

    def _scaled(self, x: Array, voxels: Indices) -> Array:
        """C'x of some voxels, as rows of numbers."""
        C = np.linalg.inv(self.roots[voxels])
        return np.asarray(C.transpose(0, 2, 1) @ x[voxels]).reshape(-1, x.shape[2])


def _in_threads(M: sparse.csr_array, f: Array, start: Array, goal: Array) -> Array:
    """Right-hand sides by TOGETHER at once, the same ones however many threads there are."""
    K = f.shape[1]
    shares = [slice(first, min(first + TOGETHER, K)) for first in range(0, K, TOGETHER)]

    def solved(share: slice) -> Array:
        return conjugate_gradients(M, f[:, share], start[:, share], float(goal[share].min()))

    if len(shares) == 1:
        return solved(shares[0])
    with ThreadPoolExecutor(available_threads()) as pool:
        return np.concatenate(list(pool.map(solved, shares)), axis=1)


def conjugate_gradients(M: sparse.csr_array, f: Array, start: Array, goal: float) -> Array:
    """The solutions (F, K) of (I - M'M) x = f, from a start on, to squared residuals below `goal`.

    All right-hand sides have their steps in common, as one system of K equal blocks: they need as many as each alone,
    and a step is a product of long vectors.
    """
    x, back = np.array(start, order="C"), M.T
    rest = np.ascontiguousarray(f - x + back @ (M @ x))
    way, size = rest.copy(), _dot(rest, rest)
    for _ in range(ROUNDS):
        if size <= goal:
            return x
        half = M @ way
        step = size / (_dot(way, way) - _dot(half, half))
        half = back @ half
        half -= way
        _add(step, half, rest)
        _add(step, way, x)
        new = _dot(rest, rest)
        way *= new / size
        way += rest
        size = new
    raise FitError(
        f"conjugate gradients did not end in {ROUNDS} steps: the covariance of the coefficients between neighbours "
        "has become tiny beside what the data say; look at voxels, or columns, that hold no information"
    )


def _dot(x: Array, y: Array) -> float:
    return float(x.ravel() @ y.ravel())


def _add(a: float, x: Array, y: Array) -> None:
    """y + a x, in y's place."""
    linalg.blas.daxpy(x.ravel(), y.ravel(), a=a)
