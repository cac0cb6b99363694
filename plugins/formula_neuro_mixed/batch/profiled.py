"""The profiled deviance of an LMM with one random term, for B responses at once, with exact derivatives in theta.

profiled.py has the equations. Of the data only Z'y, and y'y change between responses; everything is by groups, so that
the rows never appear again. Arrays end in (A, G), replicates and groups; K are the term's columns, r those of X.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from formula_neuro.family import Array

from .boundary import Template
from .newton import Which


@dataclass(frozen=True, eq=False)
class Products:
    """Cross products: Z and y times sqrt(w), X made orthonormal, y a residual from X."""

    ZZ: Array  # (K, K, G)
    ZX: Array  # (K, r, G)
    Zy: Array  # (K, B, G)
    yy: Array  # (B,)
    n: int
    reml: bool
    constant: float  # of the criterion: log-determinants of the weights and of X's scale

    @property
    def df(self) -> int:
        return self.n - self.ZX.shape[1] if self.reml else self.n


@dataclass(frozen=True, eq=False)
class Solved:
    """The model solved at one theta for each of A replicates."""

    value: Array  # (A,)
    L: Array  # (A, K, K)
    H: Array  # (K, K, A, G), Z'V^-1Z
    G: Array  # (K, r, A, G), Z'V^-1X
    k: Array  # (K, A, G), Z'V^-1(y - Xb)
    C: Array  # (A, r, r)
    b: Array  # (A, r)
    r2: Array  # (A,)


class Profiled:
    """The criterion as a target of minimise_many."""

    def __init__(self, products: Products):
        self.products, self.template = products, Template(len(products.ZZ))

    def solve(self, psi: Array, which: Which) -> Solved:
        p, L = self.products, self.template.of(psi)
        K, r, _ = p.ZX.shape
        Zy, yy = p.Zy[:, which], p.yy[which]
        M = np.einsum("aji,jkag->ikag", L, np.einsum("ijg,ajk->ikag", p.ZZ, L))
        M += np.eye(K)[:, :, None, None]
        inverse, logdet = inverted(M)
        N = np.einsum("aij,jkag->ikag", L, np.einsum("ijag,akj->ikag", inverse, L))  # L M^-1 L'
        F = np.eye(K)[:, :, None, None] - np.einsum("ijg,jkag->ikag", p.ZZ, N)
        NX, Ny = np.einsum("ijag,jpg->ipag", N, p.ZX), np.einsum("ijag,jag->iag", N, Zy)
        C = np.linalg.inv(np.eye(r) - np.einsum("jpg,jqag->apq", p.ZX, NX))
        Xy = -np.einsum("jpg,jag->ap", p.ZX, Ny)
        b = np.einsum("apq,aq->ap", C, Xy)
        r2 = yy - np.einsum("jag,jag->a", Zy, Ny) - (Xy * b).sum(axis=1)
        G = p.ZX[:, :, None, :] - np.einsum("ijg,jpag->ipag", p.ZZ, NX)
        k = np.einsum("ijag,jag->iag", F, Zy) - np.einsum("ipag,ap->iag", G, b)
        value = logdet.sum(axis=1) + p.df * (1 + np.log(2 * np.pi * r2 / p.df)) + p.constant
        if p.reml:
            value -= np.linalg.slogdet(C)[1]
        value = np.where((r2 > 1e-11 * yy) & np.isfinite(value), value, np.inf)
        return Solved(value, L, np.einsum("ijag,jkg->ikag", F, p.ZZ), G, k, C, b, r2)

    def value(self, psi: Array, which: Which) -> Array:
        with np.errstate(all="ignore"):  # a replicate that is lost is answered by inf, not by a warning
            return self.solve(psi, which).value

    def expand(self, psi: Array, which: Which) -> tuple[Array, Array, Array]:
        with np.errstate(all="ignore"):
            at = self.solve(psi, which)
            found = self.slopes(at)
            q = found.quadratic * np.sqrt(self.products.df) / at.r2[:, None]  # what profiling s2 out takes off
            gradient, hessian = found.first, found.second - q[:, :, None] * q[:, None, :]
        fine = np.isfinite(at.value) & np.isfinite(gradient).all(axis=1) & np.isfinite(hessian).all(axis=(1, 2))
        gradient[~fine], hessian[~fine] = 0.0, np.eye(psi.shape[1])
        return np.where(fine, at.value, np.inf), gradient, hessian

    def slopes(self, at: Solved) -> Slopes:
        """The derivatives in theta at a point, s2 held."""
        return slopes(at, sums(at), self.products, self.template)

    def length(self, psi: Array, step: Array) -> Array:
        """At most a doubling of theta, or a move by the residual's standard deviation."""
        return np.asarray(np.abs(step).max(axis=1) / np.maximum(1.0, np.abs(psi).max(axis=1)))


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over groups at one theta: of products of two of vec H, vec K, vec kk', vec G and k, with K = G C G'."""

    HH: Array  # (A, K, K, K, K)
    HK: Array
    Hkk: Array
    GG: Array  # (A, K, r, K, r)
    Gk: Array  # (A, K, r, K)
    K: Array  # (A, K, K), sums of K alone, and of kk'
    kk: Array
    H: Array


def sums(at: Solved) -> Sums:
    K, r, A, groups = at.G.shape
    KG = np.einsum("ipag,jpag->ijag", np.einsum("ipag,apq->iqag", at.G, at.C), at.G)
    kk = at.k[:, None] * at.k[None, :]
    squares = [part.reshape(K * K, A, groups) for part in (at.H, KG, kk)]
    stacked = np.concatenate([*squares, at.G.reshape(K * r, A, groups), at.k]).transpose(1, 0, 2)
    gram, alone = stacked @ stacked.transpose(0, 2, 1), stacked.sum(axis=2)
    cuts = np.cumsum([0, K * K, K * K, K * K, K * r, K])
    of_H, of_K, of_kk, of_G, of_k = (slice(a, b) for a, b in itertools.pairwise(cuts))
    HH, HK, Hkk = (gram[:, of_H, other].reshape(A, K, K, K, K) for other in (of_H, of_K, of_kk))
    H, KS, kkS = (alone[:, part].reshape(A, K, K) for part in (of_H, of_K, of_kk))
    GG, Gk = gram[:, of_G, of_G].reshape(A, K, r, K, r), gram[:, of_G, of_k].reshape(A, K, r, K)
    return Sums(HH, HK, Hkk, GG, Gk, KS, kkS, H)


@dataclass(frozen=True, eq=False)
class Slopes:
    """The derivatives in theta at s2 = r2 / df held, the quadratic forms y'PB_iPy, and those of C."""

    first: Array  # (A, m)
    second: Array  # (A, m, m)
    quadratic: Array  # (A, m)
    C: Array  # (A, m, r, r)


class Reached(Protocol):
    """What the derivatives need of a point beside sums over groups."""

    @property
    def L(self) -> Array: ...
    @property
    def C(self) -> Array: ...
    @property
    def r2(self) -> Array: ...


def slopes(at: Reached, t: Sums, products: Products, template: Template) -> Slopes:
    """The pieces of the derivatives, from sums over groups."""
    s2, reml = at.r2 / products.df, products.reml
    D = t.H - t.kk / s2[:, None, None] - (t.K if reml else 0.0)  # the derivative in S
    S = [_change(at.L, i, j) for i, j in template.elements]
    CN = [at.C @ np.einsum("aij,aipjq->apq", one, t.GG) for one in S]
    a = [np.einsum("aij,aipj->ap", one, t.Gk) for one in S]
    q = [np.einsum("aij,aij->a", one, t.kk) for one in S]
    DL = D @ at.L
    gradient = np.stack([2 * DL[:, i, j] for i, j in template.elements], axis=1)
    H = np.empty((len(s2), len(S), len(S)))
    for x, (i, j) in enumerate(template.elements):
        for y, (m, l) in enumerate(template.elements[: x + 1]):
            trace = _double(S[x], S[y], t.HH)
            if reml:
                trace = trace - _double(S[x], S[y], t.HK) - _double(S[y], S[x], t.HK)
                trace = trace + np.einsum("apq,aqp->a", CN[x], CN[y])
            quadratic = _double(S[x], S[y], t.Hkk) - np.einsum("ap,apq,aq->a", a[x], at.C, a[y])
            H[:, x, y] = H[:, y, x] = 2 * quadratic / s2 - trace + (2 * D[:, i, m] if j == l else 0.0)
    return Slopes(gradient, H, np.stack(q, axis=1), np.stack([one @ at.C for one in CN], axis=1))


def _change(L: Array, i: int, j: int) -> Array:
    """S_i = E L' + L E', (A, K, K), for the element (i, j) of theta."""
    half = np.zeros_like(L)
    half[:, i, :] = L[:, :, j]
    return half + half.transpose(0, 2, 1)


def _double(S: Array, T: Array, gram: Array) -> Array:
    """sum over groups of tr(S X T Y), the gram of vec X and vec Y (A, K, K, K, K)."""
    return np.asarray(np.einsum("aij,akl,ajkli->a", S, T, gram))


def inverted(M: Array) -> tuple[Array, Array]:
    """Inverses and log-determinants of M (K, K, A, G), positive definite."""
    if len(M) == 1:
        return 1 / M, np.log(M[0, 0])
    if len(M) == 2:
        determinant = M[0, 0] * M[1, 1] - M[0, 1] * M[1, 0]
        return np.array([[M[1, 1], -M[0, 1]], [-M[1, 0], M[0, 0]]]) / determinant, np.log(determinant)
    stack = M.transpose(2, 3, 0, 1)
    inverse, logdet = np.linalg.inv(stack), np.linalg.slogdet(stack)[1]
    return np.asarray(inverse.transpose(2, 3, 0, 1), dtype=float), np.asarray(logdet, dtype=float)
