"""Satterthwaite's degrees of freedom of any contrast in every voxel, from numbers that the maps keep.

With v = l'Cov(beta)l, a its gradient in (theta, log sigma^2) and A the covariance of these, from the observed
information as lmerTest's: df = 2 v^2 / a'Aa (Kuznetsova et al. 2017). The last element of a is v itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array
from formula_neuro.maps.fit import MapFit


def freedom(v: Array, slopes: Array, A: Array) -> Array:
    """(C, q) for q contrasts with variances v (C, q), slopes (C, m, q) of these in theta, and A (C, m + 1, m + 1)."""
    a = np.concatenate([slopes, v[:, None]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(2 * v**2 / np.einsum("cmq,cmk,ckq->cq", a, A, a, optimize=True))


@dataclass(frozen=True)
class Engine:
    """What a linear mixed model in every voxel can be asked besides its maps."""

    def freedom(self, fit: MapFit, L: Array) -> Array:
        """Denominator degrees of freedom (V,) of L (q, P), by lmerTest's rules; NaN where nothing was fitted."""
        L = np.atleast_2d(np.asarray(L, dtype=float))
        used = np.atleast_1d(L.any(axis=0))
        L = L[:, used]
        V = fit.covariance()[:, used][:, :, used]
        D = unpacked(fit.values["df_slopes"], len(used))[:, :, used][:, :, :, used]
        A = fit.values["df_covariance"]
        out = np.full(len(V), np.nan)
        fine = np.isfinite(V).all(axis=(1, 2)) & np.isfinite(A).all(axis=(1, 2))
        LVL = L @ V[fine] @ L.T
        axes = np.linalg.eigh(LVL)[1] if len(L) > 1 else np.ones((len(LVL), 1, 1))
        U = np.swapaxes(axes, 1, 2) @ L  # (F, q, used): uncorrelated contrasts
        v = np.einsum("cqi,cij,cqj->cq", U, V[fine], U, optimize=True)
        slopes = np.einsum("cqi,cmij,cqj->cmq", U, D[fine], U, optimize=True)
        known = v > 1e-10 * v.max(axis=1, keepdims=True)  # rows that repeat others add nothing
        out[fine] = pooled(np.where(known, freedom(v, slopes, A[fine]), np.nan))
        return out


def pooled(nu: Array) -> Array:
    """(C,) of the degrees of freedom (C, q) of uncorrelated contrasts, NaN for those that do not count.

    2 E / (E - q) with E = sum nu / (nu - 2); theirs where all agree, 2 where one has 2 or fewer.
    """
    q = np.isfinite(nu).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        E = np.nansum(nu / (nu - 2), axis=1)
        joint = 2 * E / (E - q)
    least, most = (f(np.where(np.isfinite(nu), nu, fill), axis=1) for f, fill in ((np.min, np.inf), (np.max, -np.inf)))
    same = most - least <= 1e-8 * np.abs(most)
    return np.asarray(np.where(same, least, np.where(least <= 2, 2.0, joint)))


def unpacked(packed: Array, P: int) -> Array:
    """Symmetric (..., P, P) from their lower triangles (..., P (P + 1) / 2), row by row."""
    rows, columns = np.tril_indices(P)
    full = np.empty((*packed.shape[:-1], P, P))
    full[..., rows, columns] = packed
    full[..., columns, rows] = packed
    return full
