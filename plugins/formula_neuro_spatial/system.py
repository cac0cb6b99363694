"""The precision of all coefficients, H = blockdiag(A_s) + L (x) Q, solved by preconditioned conjugate gradients.

L is the Laplacian of the mask's graph. The preconditioner is the inverse of H's diagonal blocks A_s + n_s Q.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from formula_neuro.errors import FitError
from formula_neuro.family import Array

TOLERANCE = 1e-8  # of the residual, relative to the right-hand side
ROUNDS = 5_000


@dataclass(frozen=True, eq=False)
class System:
    """A (V, P, P), Q (P, P), n_s (V,) and the graph's adjacency (V, V); vectors are (V, P, K), K at once."""

    A: Array
    Q: Array
    n_s: Array
    adjacency: sparse.csr_array

    @cached_property
    def diagonal(self) -> Array:
        """A_s + n_s Q, (V, P, P)."""
        return self.A + self.n_s[:, None, None] * self.Q

    @cached_property
    def local(self) -> Array:
        """(A_s + n_s Q)^-1, the covariance of b_s given all others, (V, P, P)."""
        return np.asarray(np.linalg.inv(self.diagonal))

    def pull(self, x: Array) -> Array:
        """Q times the sum over neighbours, (V, P, K)."""
        V, P, K = x.shape
        around = self.adjacency @ x.reshape(V, P * K)
        return np.asarray(around @ np.kron(self.Q, np.eye(K))).reshape(V, P, K)

    def apply(self, x: Array) -> Array:
        return times(self.diagonal, x) - self.pull(x)

    def solve(self, r: Array, start: Array | None = None, tolerance: float = TOLERANCE) -> Array:
        """H^-1 r for K right-hand sides (V, P, K); raises FitError where rounding keeps it from the tolerance."""
        x = np.zeros_like(r) if start is None else start.copy()
        rest = r - self.apply(x) if start is not None else r.copy()
        goal = tolerance**2 * dots(r, r)
        z = times(self.local, rest)
        way, size = z, dots(rest, z)
        for _ in range(ROUNDS):
            open_ = dots(rest, rest) > goal
            if not open_.any():
                return x
            ahead = self.apply(way)
            curve = dots(way, ahead)
            step = np.where(open_, size / np.where(curve > 0, curve, 1.0), 0.0)
            x += step * way
            rest -= step * ahead
            z = times(self.local, rest)
            new = dots(rest, z)
            way = z + np.where(open_, new / np.where(size > 0, size, 1.0), 0.0) * way
            size = new
        raise FitError(
            f"conjugate gradients did not end in {ROUNDS} steps: the covariance of the coefficients between neighbours "
            "has become tiny beside what the data say; look at voxels, or columns, that hold no information"
        )


def times(blocks: Array, x: Array) -> Array:
    """Blocks (V, P, P) times vectors (V, P, K)."""
    return np.asarray(blocks @ x)


def dots(x: Array, y: Array) -> Array:
    """Inner products over voxels and columns, (K,)."""
    return np.einsum("vpk,vpk->k", x, y)
