"""Information of maps and global coefficients together: a block a map, or all maps in one, and a border."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .factor import Factor


@dataclass(frozen=True, eq=False)
class Bordered:
    """[[D, B], [B', E]], D the diagonal of blocks of equal size; B (n, q) and E (q, q) may be empty.

    With U = D^-1 B and the complement F = E - B'U its inverse is [[D^-1 + U F^-1 U', -U F^-1], [-F^-1 U', F^-1]].
    """

    blocks: tuple[Factor, ...]
    B: Array
    E: Array

    @cached_property
    def U(self) -> Array:
        """D^-1 B, (n, q)."""
        return self._within(self.B)

    @cached_property
    def corner(self) -> Array:
        """F^-1 (q, q): the covariance of the global coefficients; raises FitError where that is singular."""
        F = self.E - self.B.T @ self.U
        scale = np.sqrt(np.maximum(np.diagonal(self.E), 1e-300))
        try:
            lower = np.linalg.cholesky(F / np.outer(scale, scale))
        except np.linalg.LinAlgError as error:
            raise FitError(
                "the global terms cannot be told from the maps: their joint information is singular; leave out terms "
                "of the formula that depend on others, or on those in s(...)"
            ) from error
        half = np.linalg.inv(lower) / scale
        return np.asarray(half.T @ half)

    def _within(self, right: Array) -> Array:
        """D^-1 right."""
        n = len(right) // len(self.blocks)
        return np.concatenate([f.solve(right[k * n : (k + 1) * n]) for k, f in enumerate(self.blocks)])

    def solve(self, right: Array) -> Array:
        """The inverse times right (n + q, m)."""
        n = len(self.B)
        top = self._within(right[:n])
        bottom = self.corner @ (right[n:] - self.B.T @ top)
        return np.vstack([top - self.U @ bottom, bottom])

    def covariance(self, u: Array, v: Array) -> Array:
        """Of the combinations u and v (C,) of the C maps whose coefficients stand one after the other: (P, P)."""
        P = len(self.B) // len(u)
        q = self.B.shape[1]
        U = self.U.reshape(len(u), P, q)
        left, right = np.tensordot(u, U, axes=1), np.tensordot(v, U, axes=1)
        out = np.asarray(left @ self.corner @ right.T)
        for c, d, inverse in self._inverses(P):
            if u[c] * v[d]:
                out += u[c] * v[d] * inverse
        return out

    def traces(self, S: Array, C: int) -> Array:
        """tr(of the inverse's block of maps c and d, times S), (C, C); S (P, P) dense."""
        P = len(S)
        U = self.U.reshape(C, P, -1)
        out = np.einsum("cpi,ij,dpj->cd", U, self.corner, np.einsum("pr,drj->dpj", S, U))
        for c, d, inverse in self._inverses(P):
            out[c, d] += float((inverse * S).sum())
        return np.asarray(out)

    def _inverses(self, P: int) -> list[tuple[int, int, Array]]:
        """Of D, by pairs of maps; a view each."""
        found = []
        for k, block in enumerate(self.blocks):
            maps = len(block.lower) // P
            each = block.inverse.reshape(maps, P, maps, P)
            found += [(k * maps + c, k * maps + d, each[c, :, d]) for c in range(maps) for d in range(maps)]
        return found
