"""Working correlations of a GEE: their parameters by moments, and rows made uncorrelated by them.

With Pearson residuals e = sqrt(w / V(mu)) (y - mu) and dispersion phi (Liang & Zeger 1986, section 4; for the
denominators Halekoh, Hojsgaard & Yan 2006): exchangeable, the mean of e_i e_j / phi over all pairs of a cluster;
unstructured, the same for each pair of times; AR1, the a for which sum d a^(d-1) (e_i e_j / phi - a^d) = 0 over all
pairs, d apart: least squares, in which all distances take part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import brentq

from formula_neuro.family import Array

from .clusters import Clusters

EDGE = 0.9999  # share of the way to a correlation that no data can have, at which an estimate beyond it is held
LEAST_EIGENVALUE = 0.01  # of an unstructured correlation that is not positive definite as estimated


@dataclass(frozen=True, eq=False)
class Residuals:
    """Pearson residuals e (m,) with the weights that they carry, and how many coefficients took part in them."""

    e: Array
    w: Array
    p: int  # taken off the denominators; -1: geepack's, which are sums of weights

    @property
    def phi(self) -> float:
        total = float(self.e @ self.e)
        return total / float(self.w.sum()) if self.p < 0 else total / (len(self.e) - self.p)

    @property
    def scaled(self) -> tuple[Array, Array]:
        """What products of pairs are made of, and what those count."""
        if self.p < 0:
            return np.sqrt(self.w) * self.e, self.w
        return self.e, np.ones_like(self.e)

    def mean(self, products: Array, counts: Array) -> Array:
        """Sums of products over phi and their numbers; 0 where there is no pair."""
        left = counts - max(self.p, 0)
        return np.divide(products / self.phi, left, out=np.zeros_like(products), where=left > 0)


@dataclass(frozen=True, eq=False)
class Independence:
    """Rows as they are."""

    words: tuple[str, ...] = ()

    @property
    def alpha(self) -> Mapping[str, float]:
        return {}

    def whiten(self, M: Array, clusters: Clusters) -> Array:
        """R^-1/2 M for M (m, c), block by block; any root."""
        return M


@dataclass(frozen=True, eq=False)
class Exchangeable:
    """R = (1 - a) I + a 11'."""

    a: float
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, clusters: Clusters, rest: Residuals) -> Exchangeable:
        e, n = rest.scaled

        def pairs(x: Array) -> float:
            return float((clusters.totals(x) ** 2).sum() - (x**2).sum()) / 2

        a = float(rest.mean(np.array([pairs(e)]), np.array([pairs(n)]))[0])
        largest = int(clusters.sizes.max())
        low, high = -EDGE / (largest - 1), EDGE
        if low <= a <= high:
            return cls(a)
        held = min(max(a, low), high)
        limit = f"-1/{largest - 1} in a cluster of {largest} rows" if a < low else "1"
        return cls(held, (_held("exchangeable", a, held, limit),))

    @property
    def alpha(self) -> Mapping[str, float]:
        return {"alpha": self.a}

    def whiten(self, M: Array, clusters: Clusters) -> Array:
        n = clusters.sizes.astype(float)
        within = 1 / np.sqrt(1 - self.a)
        share = (1 / np.sqrt(1 + (n - 1) * self.a) - within) / n
        moved = share[:, None] * clusters.totals(M)
        return np.asarray(within * M + moved[clusters.codes])


@dataclass(frozen=True, eq=False)
class AR1:
    """R_ij = a^|t_i - t_j|."""

    a: float
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, clusters: Clusters, rest: Residuals) -> AR1:
        e, n = rest.scaled
        apart = int(np.ptp(clusters.times)) + 1
        products, counts = np.zeros(apart), np.zeros(apart)
        for i, j in clusters.neighbours():
            d = clusters.times[j] - clusters.times[i]
            products += np.bincount(d, e[i] * e[j], apart)
            counts += np.bincount(d, n[i] * n[j], apart)
        d = np.flatnonzero(counts > 0)
        total = counts.sum()
        z = products[d] / rest.phi * (total / max(total - max(rest.p, 0), 1.0))
        a = _power(d.astype(float), z, counts[d])
        held = min(max(a, -EDGE), EDGE)
        return cls(held, (_held("ar1", a, held, "1"),) if held != a else ())

    @property
    def alpha(self) -> Mapping[str, float]:
        return {"alpha": self.a}

    def whiten(self, M: Array, clusters: Clusters) -> Array:
        same = np.flatnonzero(np.diff(clusters.codes) == 0) + 1
        rho = self.a ** (clusters.times[same] - clusters.times[same - 1]).astype(float)
        out = np.array(M)
        out[same] = (M[same] - rho[:, None] * M[same - 1]) / np.sqrt(1 - rho**2)[:, None]
        return out


def _power(d: Array, z: Array, n: Array) -> float:
    """The a in [-1, 1] that makes sum n (z/n - a^d)^2 least: the best of a grid, then the root beside it."""

    def slope(a: float) -> float:
        return float((d * a ** (d - 1) * (z - n * a**d)).sum())

    grid = np.linspace(-1, 1, 401)
    powers = grid[:, None] ** d
    best = int(np.argmin((n * powers**2 - 2 * z * powers).sum(axis=1)))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, 400)]
    if slope(low) > 0 > slope(high):
        return float(brentq(slope, low, high, xtol=1e-15, rtol=1e-14))
    return float(grid[best])


@dataclass(frozen=True, eq=False)
class Unstructured:
    """A correlation for each pair of times."""

    R: Array  # (T, T)
    names: tuple[str, ...]  # T
    seen: NDArray[np.bool_]  # (T, T) pairs that occur in some cluster
    words: tuple[str, ...] = ()

    @classmethod
    def of(cls, clusters: Clusters, rest: Residuals) -> Unstructured:
        e, n = rest.scaled
        times, place = np.unique(clusters.times, return_inverse=True)
        T = len(times)
        products, counts = np.zeros(T * T), np.zeros(T * T)
        for i, j in clusters.neighbours():
            at = place[i] * T + place[j]
            products += np.bincount(at, e[i] * e[j], T * T)
            counts += np.bincount(at, n[i] * n[j], T * T)
        upper = rest.mean(products, counts).reshape(T, T)
        R, words = _definite(upper + upper.T + np.eye(T))
        names = tuple(clusters.labels[t - 1] if clusters.labels else str(t) for t in times)
        return cls(R, names, counts.reshape(T, T) > 0, words)

    @property
    def alpha(self) -> Mapping[str, float]:
        pairs = np.argwhere(self.seen)
        return {f"alpha.{self.names[i]}:{self.names[j]}": float(self.R[i, j]) for i, j in pairs}

    def whiten(self, M: Array, clusters: Clusters) -> Array:
        place = np.unique(clusters.times, return_inverse=True)[1]
        roots: dict[bytes, Array] = {}  # clusters seen at the same times share one
        out = np.empty_like(M)
        for block in clusters.blocks:
            at = place[block]
            key = at.tobytes()
            if key not in roots:
                root = np.linalg.cholesky(self.R[np.ix_(at, at)])
                roots[key] = solve_triangular(root, np.eye(len(at)), lower=True)
            out[block] = roots[key] @ M[block]
        return out


Working = Independence | Exchangeable | AR1 | Unstructured
KINDS: dict[str, Callable[[Clusters, Residuals], Working]] = {
    "exchangeable": Exchangeable.of, "ar1": AR1.of, "unstructured": Unstructured.of,
}  # fmt: skip


def working_correlation(corr: str, clusters: Clusters, rest: Residuals) -> Working:
    """The working correlation at these residuals."""
    if corr == "independence":
        return Independence()
    if not clusters.pairs:
        return Independence((f"every cluster has one row: there is no {corr} correlation to estimate",))
    return KINDS[corr](clusters, rest)


def _definite(R: Array) -> tuple[Array, tuple[str, ...]]:
    """R, mixed with the identity as far as it takes to be positive definite; what is said of that."""
    least = float(np.linalg.eigvalsh(R)[0])
    if least >= LEAST_EIGENVALUE / 100:
        return R, ()
    share = (LEAST_EIGENVALUE - least) / (1 - least)
    return (1 - share) * R + share * np.eye(len(R)), (
        f"the unstructured correlation as estimated from pairs is not positive definite (too few clusters for so many "
        f"times): a working correlation shrunk by {share:.0%} is used, which is as valid",
    )


def _held(name: str, a: float, held: float, limit: str) -> str:
    return (
        f"the {name} correlation comes out as {a:.3g}, beyond what is possible ({limit}): the working correlation is "
        f"held at {held:.3g}; standard errors stay valid, another corr= would fit better"
    )
