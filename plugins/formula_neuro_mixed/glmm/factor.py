"""The factor of A = U'WU + I, and what is asked of it: log|A|, solutions, its inverse where rows need it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrs

from formula_neuro.family import Array

from .layout import Layout

Blocks = tuple[Array, Array | None, Array | None]


@dataclass(frozen=True, eq=False)
class Factor:
    """A^-1 = blockdiag(h h') + N (J J') N' with N = [-Y; I]; without a border the first part alone."""

    layout: Layout
    half: Array  # h (G, K, K)
    inverse: Array  # h h'
    log_determinant: float
    Y: Array | None = None  # D^-1 B (q1, q2)
    S: Array | None = None  # (q2, q2)
    L: Array | None = None  # its lower Cholesky factor

    @cached_property
    def J(self) -> Array:
        """(q2, q2): the inverse of S is J J'. The steps to the modes do without."""
        assert self.L is not None
        # scipy's triangular solver spends milliseconds on its threads
        return np.asarray(np.linalg.inv(self.L).T)

    def solve(self, r: Array) -> Array:
        """A^-1 r for r (q, c)."""
        layout, c = self.layout, r.shape[1]
        if layout.M == 1:
            return np.asarray(self.inverse[:, :, 0] * r)
        first = _times(self.inverse, r[: layout.q1].reshape(layout.G, layout.K, c)).reshape(layout.q1, c)
        if self.Y is None or self.S is None or self.L is None:
            return first
        second = _solved(self.S, self.L, r[layout.q1 :] - self.Y.T @ r[: layout.q1])
        return np.concatenate([first - self.Y @ second, second])

    def own(self) -> Array:
        """(n, M, M): the part of A^-1 that belongs to the effects each row meets."""
        layout, K = self.layout, self.layout.K
        if self.Y is None:
            return np.asarray(self.inverse[layout.codes])
        YJ = self.Y @ self.J
        byblock = YJ.reshape(layout.G, K, -1)
        first = self.inverse + byblock @ byblock.transpose(0, 2, 1)
        R, YR = self.J @ self.J.T, YJ @ self.J.T
        one, two = layout.columns[:, :K], layout.columns[:, K:] - layout.q1
        out = np.empty((len(one), layout.M, layout.M))
        out[:, :K, :K] = first[layout.codes]
        out[:, :K, K:] = -YR[one[:, :, None], two[:, None, :]]
        out[:, K:, :K] = out[:, :K, K:].transpose(0, 2, 1)
        out[:, K:, K:] = R[two[:, :, None], two[:, None, :]]
        return out

    def diagonal_blocks(self, k: int) -> Array:
        """(levels, K, K): the part of A^-1 that belongs to each level of term k."""
        layout, slot, K = self.layout, self.layout.slots[k], self.layout.terms[k].K
        within = slice(slot.within, slot.within + K)
        if slot.start == 0:
            blocks = self.inverse
            if self.Y is not None:
                YJ = (self.Y @ self.J).reshape(layout.G, layout.K, -1)
                blocks = blocks + YJ @ YJ.transpose(0, 2, 1)
            out = np.tile(np.eye(K), (layout.terms[k].levels, 1, 1))
            out[layout.levels] = blocks[:, within, within]
            return out
        rows = slice(slot.start - layout.q1, slot.start - layout.q1 + slot.count * slot.stride)
        J = self.J[rows].reshape(slot.count, slot.stride, -1)[:, within]
        return np.asarray(J @ J.transpose(0, 2, 1))

    def products(self, parts: Blocks) -> Array:
        """tr(A^-1 A_i A^-1 A_j) (c, c) for c symmetric matrices that are given as A is."""
        D, B, C = parts
        layout, c = self.layout, D.shape[-1]
        D = np.moveaxis(D, -1, 0)  # (c, G, K, K)
        root = self.half.transpose(0, 2, 1)
        within = self.inverse * D if layout.K == 1 else root @ D @ self.half
        stacked = [within.reshape(c, -1)]
        if B is not None and C is not None and self.Y is not None:
            B, C = np.moveaxis(B, -1, 0), np.moveaxis(C, -1, 0)
            DY = _times(D, self.Y.reshape(layout.G, layout.K, -1))  # (c, G, K, q2)
            side = self.Y.T @ (B - DY / 2).reshape(c, layout.q1, -1)
            Q = C - side - side.transpose(0, 2, 1)  # C - B'Y - Y'B + Y'DY
            halved = _times(root, B - DY).reshape(c * layout.q1, -1)
            stacked.append(np.sqrt(2) * (halved @ self.J).reshape(c, -1))
            stacked.append((self.J.T @ Q @ self.J).reshape(c, -1))
        F = np.hstack(stacked)
        return np.asarray(F @ F.T)


def factor(layout: Layout, parts: Blocks) -> Factor:
    """The factor of A, the parts being those of U'WU; LinAlgError where A is not positive definite."""
    D, B, C = (None if part is None else part[..., 0] for part in parts)
    assert D is not None
    half, log_determinant = _halves(D)
    inverse = half**2 if layout.K == 1 else half @ half.transpose(0, 2, 1)
    if B is None or C is None:
        return Factor(layout, half, inverse, log_determinant)
    Y = _times(inverse, B).reshape(layout.q1, -1)
    S = C - B.reshape(layout.q1, -1).T @ Y
    S.reshape(-1)[:: len(S) + 1] += 1.0
    L = np.asarray(np.linalg.cholesky(S))
    return Factor(layout, half, inverse, log_determinant + 2 * float(np.log(np.diag(L)).sum()), Y, S, L)


def scalar_factor(layout: Layout, D: Array) -> Factor:
    """The factor of the diagonal A whose elements are D (G,), of one scalar effect a level."""
    if not D.min() > 0:
        raise LinAlgError("not positive definite")
    inverse = (1.0 / D)[:, None, None]
    return Factor(layout, np.sqrt(inverse), inverse, float(np.log(D).sum()))


def _halves(D: Array) -> tuple[Array, float]:
    """h (G, K, K) with h h' = (D + I)^-1, and log|D + I|."""
    K = D.shape[1]
    if K == 1:
        D = D + 1.0
        if not D.min() > 0:
            raise LinAlgError("not positive definite")
        return 1 / np.sqrt(D), float(np.log(D).sum())
    L = np.linalg.cholesky(D + np.eye(K))
    determinant = 2 * float(np.log(np.diagonal(L, axis1=1, axis2=2)).sum())
    return np.linalg.inv(L).transpose(0, 2, 1), determinant


def _solved(S: Array, L: Array, r: Array) -> Array:
    """S^-1 r, S = L L'."""
    if r.shape[1] == 1:
        return np.asarray(dpotrs(L.T, r, lower=0)[0])
    return np.asarray(np.linalg.solve(S, r))  # scipy spends milliseconds on its threads for several columns


def _times(blocks: Array, M: Array) -> Array:
    """(..., G, K, K) times (..., G, K, c)."""
    return np.asarray(blocks * M if blocks.shape[-1] == 1 else blocks @ M)
