"""The criterion of one random term in many voxels, levels with the same Z'Z merged: sums over classes of levels.

profiled.py has the equations. All that it sums over levels is linear in products of two of the columns of
W_g = Z_g'[X y], with factors that depend on Z_g'Z_g only, so that in balanced designs a voxel costs as much as a level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from ..batch.boundary import Template
from ..batch.newton import Which
from ..batch.profiled import Products, Slopes, Sums, inverted, slopes
from .answer import inverse

EQUAL = 1e-12  # of the largest: elements of Z'Z nearer than this are the same numbers


@dataclass(frozen=True, eq=False)
class Classes:
    """U classes of levels with the same Z'Z: which levels (G,) belong where, and their sums of products of Z'X."""

    of: NDArray[np.intp]  # (G,)
    counts: Array  # (U,)
    ZZ: Array  # (U, K, K)
    XX: Array  # (U, K, r, K, r)

    @classmethod
    def of_products(cls, shared: Products) -> Classes:
        ZZ = shared.ZZ.transpose(2, 0, 1)
        rounded = np.round(ZZ.reshape(len(ZZ), -1) / (EQUAL * np.abs(ZZ).max()))
        _, first, of = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
        of = of.ravel()
        parts = [shared.ZX[:, :, of == u] for u in range(len(first))]
        XX = np.array([np.einsum("ipg,jqg->ipjq", part, part) for part in parts])
        return cls(of, np.bincount(of).astype(float), ZZ[first], XX)

    @property
    def worth(self) -> bool:
        """Whether sums over classes cost less than those over levels."""
        _, K, r, _, _ = self.XX.shape
        return bool(len(self.counts) * K * r < len(self.of))

    def with_y(self, products: Products) -> tuple[Array, Array]:
        """Sums of products with Z'y (B voxels): (B, U, K, r, K) of Z'X, (B, U, K, K) of Z'y."""
        Xy, yy = [], []
        for u in range(len(self.counts)):
            Zy, ZX = products.Zy[:, :, self.of == u], products.ZX[:, :, self.of == u]
            K, r, g = ZX.shape
            flat = Zy.reshape(-1, g) @ ZX.reshape(K * r, g).T
            Xy.append(flat.reshape(K, -1, K, r).transpose(1, 2, 3, 0))
            yy.append(np.einsum("iag,jag->aij", Zy, Zy))
        return np.stack(Xy, axis=1), np.stack(yy, axis=1)


@dataclass(frozen=True, eq=False)
class Reached:
    """The model solved at one theta for each of A voxels."""

    value: Array  # (A,)
    L: Array  # (A, K, K)
    C: Array  # (A, r, r)
    b: Array  # (A, r)
    r2: Array  # (A,)
    R: Array  # (A, U, K, K), I - Z'Z N
    which: Which


class Merged:
    """The criterion as a target of minimise_many, which counts how often a voxel's derivatives were asked for."""

    def __init__(self, products: Products, classes: Classes):
        self.products, self.classes, self.template = products, classes, Template(len(products.ZZ))
        self.Xy, self.yy = classes.with_y(products)
        self.asked = np.zeros(len(products.yy), dtype=np.int32)

    def solve(self, psi: Array, which: Which) -> Reached:
        p, c, L = self.products, self.classes, self.template.of(psi)
        K, r = L.shape[1], p.ZX.shape[1]
        M = np.eye(K) + L.transpose(0, 2, 1)[:, None] @ c.ZZ @ L[:, None]
        M_inverse, logdet = inverted(np.ascontiguousarray(M.transpose(2, 3, 0, 1)))
        N = L[:, None] @ M_inverse.transpose(2, 3, 0, 1) @ L.transpose(0, 2, 1)[:, None]
        flat = N.reshape(len(N), -1)
        XX = c.XX.transpose(0, 1, 3, 2, 4).reshape(-1, r * r)
        C = inverse(np.eye(r) - (flat @ XX).reshape(-1, r, r))
        Xy = -np.einsum("auij,auipj->ap", N, self.Xy[which])
        b = np.einsum("apq,aq->ap", C, Xy)
        r2 = p.yy[which] - np.einsum("auij,auij->a", N, self.yy[which]) - (Xy * b).sum(axis=1)
        value = logdet @ c.counts + p.df * (1 + np.log(2 * np.pi * r2 / p.df)) + p.constant
        if p.reml:
            value -= np.linalg.slogdet(C)[1]
        value = np.where((r2 > 1e-11 * p.yy[which]) & np.isfinite(value), value, np.inf)
        return Reached(value, L, C, b, r2, np.eye(K) - c.ZZ @ N, which)

    def value(self, psi: Array, which: Which) -> Array:
        with np.errstate(all="ignore"):  # a voxel that is lost is answered by inf, not by a warning
            return self.solve(psi, which).value

    def expand(self, psi: Array, which: Which) -> tuple[Array, Array, Array]:
        self.asked[which] += 1
        with np.errstate(all="ignore"):
            at = self.solve(psi, which)
            found = self.slopes(at)
            q = found.quadratic * np.sqrt(self.products.df) / at.r2[:, None]
            gradient, hessian = found.first, found.second - q[:, :, None] * q[:, None, :]
        fine = np.isfinite(at.value) & np.isfinite(gradient).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
        gradient[~fine], hessian[~fine] = 0.0, np.eye(psi.shape[1])
        return np.where(fine, at.value, np.inf), gradient, hessian

    def slopes(self, at: Reached) -> Slopes:
        """The derivatives in theta at a point, s2 held."""
        return slopes(at, self._sums(at), self.products, self.template)

    def length(self, psi: Array, step: Array) -> Array:
        """At most a doubling of theta, or a move by the residual's standard deviation."""
        return np.asarray(np.abs(step).max(axis=1) / np.maximum(1.0, np.abs(psi).max(axis=1)))

    def _sums(self, at: Reached) -> Sums:
        c, R, b, C = self.classes, at.R, at.b, at.C
        A, U, K, _ = R.shape
        r = b.shape[1]
        Xy, yy = self.Xy[at.which], self.yy[at.which]
        XXb = (c.XX.reshape(-1, r) @ b.T).T.reshape(A, U, K, r, K)  # of the sums with X, their last column times b
        Xe = Xy - XXb
        crossed = np.einsum("auiqj,aq->auij", Xy, b)
        ee = yy - crossed - crossed.transpose(0, 1, 3, 2) + np.einsum("auipj,ap->auij", XXb, b)
        Rt = R.transpose(0, 1, 3, 2)
        kk = R @ ee @ Rt
        H = R @ c.ZZ
        Gk = _turned(R, Xe, Rt)
        pairs = c.XX.transpose(0, 1, 3, 2, 4).reshape(U, K * K, r * r)
        RR = np.einsum("auik,aujl->auijkl", R, R).reshape(A, U, K * K, K * K)
        GG = RR @ pairs  # (A, U, K K, r r)
        KG = (GG @ C.reshape(A, 1, r * r, 1)).reshape(A, U, K, K)
        gram = (H.reshape(A, U, K * K) * c.counts[:, None]).transpose(0, 2, 1) @ H.reshape(A, U, K * K)
        HK, Hkk = (H.reshape(A, U, K * K).transpose(0, 2, 1) @ part.reshape(A, U, K * K) for part in (KG, kk))
        shaped = (A, K, K, K, K)
        return Sums(
            HH=gram.reshape(shaped),
            HK=HK.reshape(shaped),
            Hkk=Hkk.reshape(shaped),
            GG=GG.sum(axis=1).reshape(A, K, K, r, r).transpose(0, 1, 3, 2, 4),
            Gk=Gk.sum(axis=1),
            K=KG.sum(axis=1),
            kk=kk.sum(axis=1),
            H=np.einsum("auij,u->aij", H, c.counts),
        )


def _turned(R: Array, Xe: Array, Rt: Array) -> Array:
    """R on the first K and on the last of Xe (A, U, K, r, K)."""
    A, U, K, r, _ = Xe.shape
    first = (R @ Xe.reshape(A, U, K, r * K)).reshape(A, U, K * r, K)
    return np.asarray((first @ Rt).reshape(A, U, K, r, K))
