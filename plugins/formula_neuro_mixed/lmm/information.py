"""H = Z'V^-1Z, the information on the random effects: its diagonal, its products and sums of its squares.

H11 = H1 - F T F', H12 = F (I - J T)', H22 = J - J T J in the letters of reduction.py. F = R Z1'Z2 is as sparse as
Z1'Z2, and H11 is never formed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formula_neuro.family import Array

from ..stacks import times
from .rest import Rest

OnFactor = tuple[int, Array]  # index of the factor, symmetric (K, K) change of its S


@dataclass(frozen=True, eq=False)
class Remainder:
    """What concerns the factors that stay, in blocks (B, m, m)."""

    rest: Rest
    S: tuple[Array, ...]  # (K, K) of each factor
    S_inverse: tuple[Array, ...] | None  # where blocks are large and S2 is far from singular
    T: Array  # S2 (I + J S2)^-1
    RT: Array  # I - J T = (I + J S2)^-1
    H22: Array
    shared: Array  # (L, K, K) diagonal blocks of F T F'

    def product(self, FM: Array, M: Array) -> tuple[Array, Array]:
        """(I - T J)M - T F'M1 and H21 M1 + H22 M, (B, m, c), from F'M1 and M.

        Where S2 can be inverted the second is S2^-1 (M - the first), and one product with a large matrix is enough.
        """
        if self.S_inverse is None:
            return self.RT.transpose(0, 2, 1) @ M - self.T @ FM, self.RT @ FM + self.H22 @ M
        apply = self.rest.layout.apply
        first = self.RT.transpose(0, 2, 1) @ (M - apply(self.S, FM))
        return first, apply(self.S_inverse, M - first)

    def traces(self, directions: Sequence[OnFactor]) -> Array:
        """tr(H22 D_i H22 D_j)."""
        squares: dict[tuple[int, int], Array] = {}
        out = np.empty((len(directions), len(directions)))
        for i, (f, D) in enumerate(directions):
            for j, (g, E) in enumerate(directions):
                if (f, g) not in squares:
                    squares[f, g] = self._squares(f - 1, g - 1)
                out[i, j] = np.einsum("xy,zw,yzxw", D, E, squares[f, g])
        return out

    def _squares(self, f: int, g: int) -> Array:
        """Sums over pairs of levels of H_ab[x, z] H_ab[y, w], (K_f, K_g, K_f, K_g)."""
        layout = self.rest.layout
        K, other = layout.factors[f].K, layout.factors[g].K
        block = self.H22[:, layout.slices[f], layout.slices[g]]
        if K * other == 1:
            return np.full((1, 1, 1, 1), np.vdot(block, block))
        shaped = block.reshape(layout.B, block.shape[1] // K, K, block.shape[2] // other, other)
        flat = shaped.transpose(2, 4, 0, 1, 3).reshape(K * other, -1)
        return np.asarray((flat @ flat.T).reshape(K, other, K, other))

    def across(self, N: Array, directions: Sequence[OnFactor]) -> list[float]:
        """tr(H12 D_j H21 D_i), with N = RT F'D_iF of a direction i of the first factor."""
        layout, found = self.rest.layout, []
        for f, D in directions:
            K, where = layout.factors[f - 1].K, layout.slices[f - 1]
            rows, others = (X[:, where].reshape(-1, K, layout.m) for X in (N, self.RT))
            found.append(float(np.sum(D * np.einsum("sxm,sym->xy", rows, others))))
        return found


@dataclass(frozen=True, eq=False)
class Information:
    """H at one theta; the first factor's part alone where it is the only one."""

    R: Array  # (L, K, K)
    H1: Array  # (L, K, K) R Z1'Z1
    remainder: Remainder | None

    @cached_property
    def diagonal(self) -> list[Array]:
        """The sum over levels of the diagonal blocks (K, K), of every factor."""
        first = self.H1.sum(axis=0)
        if self.remainder is None:
            return [first]
        layout, H22 = self.remainder.rest.layout, self.remainder.H22
        others = []
        for factor, where in zip(layout.factors, layout.slices, strict=True):
            own = H22[:, where, where].reshape(layout.B, -1, factor.K, H22[:, :, where].shape[2] // factor.K, factor.K)
            others.append(np.einsum("csxsy->xy", own))
        return [first - self.remainder.shared.sum(axis=0), *others]

    def product(self, parts: Sequence[Array]) -> list[Array]:
        """H times one (L, K, c) array a factor."""
        first = times(self.H1, parts[0])
        if self.remainder is None:
            return [first]
        more, rest = self.remainder, self.remainder.rest
        c = parts[0].shape[2]
        M = rest.layout.pack(parts[1:])
        FM = (rest.Z21 @ times(self.R.transpose(0, 2, 1), parts[0]).reshape(-1, c)).reshape(M.shape)
        back, others = more.product(FM, M)
        first = first + times(self.R, (rest.Z12 @ back.reshape(-1, c)).reshape(first.shape))
        return [first, *rest.layout.unpack(others)]

    def traces(self, directions: Sequence[OnFactor]) -> Array:
        """tr(H D_i H D_j) (m, m), where D_i repeats a direction's matrix for every level of its factor."""
        if self.remainder is None:
            DH = times(np.array([D for _, D in directions])[:, None], self.H1)
            return _paired(DH, DH)
        out = np.zeros((len(directions), len(directions)))
        own = [i for i, (f, _) in enumerate(directions) if f == 0]
        others = [i for i, (f, _) in enumerate(directions) if f > 0]
        out[np.ix_(others, others)] = self.remainder.traces([directions[i] for i in others])
        if own:
            D = np.array([directions[i][1] for i in own])
            DH = times(D[:, None], self.H1)
            mixed = _paired(DH, times(D[:, None], self.remainder.shared))
            R = self.R
            folded = [self.remainder.rest.pairs.fold(times(times(R.transpose(0, 2, 1), one), R)) for one in D]
            N = [self.remainder.RT @ one for one in folded]  # RT F'D_iF
            TN = [self.remainder.rest.layout.apply(self.remainder.S, one) for one in N]
            squares = [[np.einsum("bxy,byx->", one, two) for two in TN] for one in TN]
            out[np.ix_(own, own)] = _paired(DH, DH) + np.array(squares) - mixed - mixed.T
            across = np.array([self.remainder.across(one, [directions[i] for i in others]) for one in N])
            out[np.ix_(own, others)], out[np.ix_(others, own)] = across, across.T
        return out


def _paired(one: Array, two: Array) -> Array:
    """sum of tr(one_i two_j) over stacks (m, ..., k, k)."""
    return np.asarray(one.reshape(len(one), -1) @ np.swapaxes(two, -1, -2).reshape(len(two), -1).T)
