"""V^-1 of a linear mixed model at one theta, by eliminating the first factor's levels, then the rest.

With V1 = I + Z1 S1 Z1', R = (I + Z1'Z1 S1)^-1 in blocks of K, J = Z2'V1^-1Z2 and T = S2 (I + J S2)^-1:

    V^-1 = V1^-1 - V1^-1 Z2 T Z2'V1^-1,    log|V| = log|I + Z1'Z1 S1| + log|I + L2'J L2|
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from formula_neuro.family import Array

from ..grouping_factors import Factor, Index
from ..stacks import Root, inverse_root_and_logdet, root_of, times
from ..terms import Term
from .information import Information, Remainder
from .rest import Layout, Rest

INVERTIBLE = 1e-3  # singular values of templates, in units of the residual's sd, above which they are inverted
LARGE = 64  # size of blocks from which products of matrices cost more than inverting templates


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over rows scaled by sqrt(w), with X made orthonormal and y a residual: X'X = I, X'y = 0.

    Nothing large cancels, whatever the units and origins of the covariates. The first factor's blocks are closed;
    `rest` are the factors that stay when it is eliminated.
    """

    terms: tuple[Term, ...]
    factors: tuple[Factor, ...]
    ZZ: Array  # (L, K, K) of the first factor
    ZW: tuple[Array, ...]  # (L, K, r + 1) Z'[X y] of every factor
    rest: Rest | None
    yy: float
    n: int
    reml: bool
    constant: float  # of the criterion: log-determinants of the weights and of X's scale

    @property
    def rank(self) -> int:
        return self.ZW[0].shape[2] - 1

    @property
    def df(self) -> int:
        return self.n - self.rank if self.reml else self.n

    @cached_property
    def total(self) -> Array:
        """[X y]'[X y]."""
        total = np.eye(self.rank + 1)
        total[-1, -1] = self.yy
        return total

    def reduce(self, theta: Array) -> Reduction:
        """Raises numpy's LinAlgError where theta is so large that the arithmetic fails."""
        L = self.factors[0].template(theta)
        half, logdet = inverse_root_and_logdet(np.eye(len(L)) + times(times(L.T, self.ZZ), L))
        first = First(self.ZZ, L, times(half, L.T))
        halfZW = _flat(times(first.half, self.ZW[0]))
        WVW = self.total - halfZW.T @ halfZW
        if self.rest is None:
            return Reduction(self, first, None, logdet, WVW)
        second = _second(self, self.rest, [f.template(theta) for f in self.factors[1:]], first.T)
        WVW -= _flat(second.halfU).T @ _flat(second.halfU)
        return Reduction(self, first, second, logdet + second.root.logdet, WVW)


@dataclass(frozen=True, eq=False)
class First:
    """The first step, by level: T = L1 (I + L1'Z1'Z1 L1)^-1 L1' = half'half and R = I - Z1'Z1 T."""

    ZZ: Array  # (L, K, K)
    template: Array  # L1 (K, K)
    half: Array  # (L, K, K); products with it lose fewer digits than those with T

    @cached_property
    def T(self) -> Array:
        return times(self.half.transpose(0, 2, 1), self.half)

    @cached_property
    def R(self) -> Array:
        """(I + Z1'Z1 S1)^-1."""
        if len(self.template) > 1:
            return np.asarray(np.eye(len(self.template)) - times(self.ZZ, self.T))
        return np.asarray(1 / (1 + self.ZZ * self.template**2))


@dataclass(frozen=True, eq=False)
class Second:
    """The second step: J, the templates L2, the root of M = I + L2'J L2, T = L2 M^-1 L2' and U = Z2'V1^-1[X y]."""

    layout: Layout
    J: Array  # (B, m, m)
    templates: tuple[Array, ...]
    root: Root
    U: Array  # (B, m, r + 1)
    halfU: Array  # M^-1/2 L2'U

    @cached_property
    def M_inverse(self) -> Array:
        return self.root.inverse()

    @cached_property
    def T(self) -> Array:
        return self.layout.both_sides([template.T for template in self.templates], self.M_inverse)

    @cached_property
    def TU(self) -> Array:
        return self.layout.apply(self.templates, self.root.solve_transposed(self.halfU))


@dataclass(frozen=True, eq=False)
class Reduction:
    """[X y]'V^-1[X y] and log|V|, with what Z'V^-1[X y] and H are made of."""

    sums: Sums
    first: First
    second: Second | None
    logdet: float
    WVW: Array  # (r + 1, r + 1)

    @cached_property
    def ZVW(self) -> tuple[Array, ...]:
        """Z'V^-1[X y], (L, K, r + 1) of every factor."""
        own, rest, second = self.sums.ZW[0], self.sums.rest, self.second
        if rest is None or second is None:
            return (times(self.first.R, own),)
        own = own - (rest.Z12 @ _flat(second.TU)).reshape(own.shape)
        return (times(self.first.R, own), *rest.layout.unpack(second.U - second.J @ second.TU))

    def information(self) -> Information:
        """H = Z'V^-1Z."""
        R, rest, second = self.first.R, self.sums.rest, self.second
        H1 = times(R, self.sums.ZZ)
        if rest is None or second is None:
            return Information(R, H1, None)
        shared = times(times(R, rest.pairs.unfold(second.T)), R.transpose(0, 2, 1))
        S, inverse = tuple(L @ L.T for L in second.templates), _inverses(second)
        S_inverse = None if inverse is None else tuple(one.T @ one for one in inverse)
        return Information(R, H1, Remainder(rest, S, S_inverse, second.T, *_inner(second, inverse), shared))

    def conditional(self) -> list[Array]:
        """S - S H S by level (L, K, K) of every factor: Cov(u | y) in units of s2."""
        first, rest, second = self.first.T, self.sums.rest, self.second
        if rest is None or second is None:
            return [first]
        layout = rest.layout
        others = [_own(second.T, where, f.K) for f, where in zip(layout.factors, layout.places, strict=True)]
        return [first + first @ rest.pairs.unfold(second.T) @ first.transpose(0, 2, 1), *others]


def _second(sums: Sums, rest: Rest, templates: Sequence[Array], T1: Array) -> Second:
    layout = rest.layout
    J = rest.ZZ - rest.pairs.fold(T1) if T1.any() else rest.ZZ
    M = layout.both_sides(templates, J)
    diagonal = np.arange(layout.m)
    M[:, diagonal, diagonal] += 1.0
    root = root_of(M)
    U = layout.pack(sums.ZW[1:])
    U -= (rest.Z21 @ _flat(times(T1, sums.ZW[0]))).reshape(U.shape)
    halfU = root.solve(layout.apply([template.T for template in templates], U))
    return Second(layout, J, tuple(templates), root, U, halfU)


def _inverses(second: Second) -> list[Array] | None:
    """Those of the templates L2, where that is worth it and all are far from singular."""
    L = second.templates
    if second.layout.m < LARGE or min(np.linalg.svd(one, compute_uv=False).min() for one in L) < INVERTIBLE:
        return None
    return [np.asarray(np.linalg.inv(one), dtype=float) for one in L]


def _inner(second: Second, inverse: Sequence[Array] | None) -> tuple[Array, Array]:
    """I - J T and H22 = J - J T J; from L2'^-1 M^-1 L2' where L2's inverses are given."""
    layout, J, L = second.layout, second.J, second.templates
    if inverse is None:
        RT = np.eye(layout.m) - J @ second.T
        H22 = RT @ J
        return RT, (H22 + H22.transpose(0, 2, 1)) / 2
    if layout.scalar:
        return second.M_inverse, (np.eye(layout.m) - second.M_inverse) / float(L[0][0, 0]) ** 2
    left = layout.apply([one.T for one in inverse], second.M_inverse)
    RT = layout.apply(L, left.transpose(0, 2, 1)).transpose(0, 2, 1)
    return RT, layout.both_sides(inverse, np.eye(layout.m) - second.M_inverse)


def _own(M: Array, places: Index, K: int) -> Array:
    """(levels, K, K) blocks on the diagonal of M (B, m, m), of the factor with these places."""
    m = M.shape[-1]
    rows = places.reshape(-1, K)
    return np.asarray(M.reshape(-1, m)[rows[:, :, None], rows[:, None, :] % m])


def _flat(parts: Array) -> Array:
    return parts.reshape(-1, parts.shape[-1])
