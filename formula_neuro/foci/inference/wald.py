"""Wald's tests in every voxel: estimates and variances of combinations of maps, z and p with its logarithm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special, stats

from ...family import Array
from ..variances import map_variance
from .hypotheses import Hypothesis, spatial_rows

if TYPE_CHECKING:
    from ..fit import FociFit

WHAT = ("intensity", "shape")
LN10 = float(np.log(10))


def combined(fit: FociFit, asked: Hypothesis, what: str, covariance: str) -> tuple[Array, Array]:
    """The combinations of log intensities (or of log shapes) in every voxel, (V, q), and their covariance (V, q, q).

    A shape is what an intensity is when its sum over the mask is divided out: where foci are, not how many.
    """
    rows, weights = terms(fit, asked, what)
    maps = fit.engine.expand(rows @ fit.engine.b)  # (r, V)
    if what == "shape":
        maps = maps - special.logsumexp(maps, axis=1, keepdims=True)
    variance = map_variance(fit, rows, covariance, what)
    return (weights @ maps).T, weights @ variance @ weights.T


def terms(fit: FociFit, asked: Hypothesis, what: str) -> tuple[Array, Array]:
    """Rows over the fitted maps (r, C) and the weights (q, r) with which the hypothesis sums them.

    Of shapes each row is a cell. The effect of a number is that of half a unit more than its mean less half a unit
    less, on the average cell: shapes are not linear in it.
    """
    rows, matrix = spatial_rows(fit), asked.matrix
    if what == "intensity":
        return matrix @ rows, np.eye(len(matrix))
    cells = len(fit.cells)
    used, parts, weights = np.flatnonzero(matrix.any(axis=0)), [], []
    base = rows[:cells].mean(axis=0)
    for j in used:
        if j < cells:
            parts.append(rows[j])
            weights.append(matrix[:, j])
            continue
        at = float(fit.request.L @ rows[j] @ np.ones(len(fit.request.L)) / len(fit.request.L))
        parts += [base + (at + 0.5) * rows[j], base + (at - 0.5) * rows[j]]
        weights += [matrix[:, j], -matrix[:, j]]
    return np.array(parts), np.array(weights).T


def single(estimate: Array, variance: Array, value: float, sided: bool = False) -> dict[str, Array]:
    """estimate, se, z, p and logp = -log10 p of one row (V,); p is two-sided, or of values above when `sided`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.sqrt(variance)
        z = (estimate - value) / se
    return {"estimate": estimate, "se": se, **of_z(z, sided)}


def of_z(z: Array, sided: bool = False) -> dict[str, Array]:
    """z, p and logp = -log10 p, from the logarithm of the tail: it stays finite where p rounds to 0."""
    log_p = special.log_ndtr(-z) if sided else np.minimum(np.log(2) + special.log_ndtr(-np.abs(z)), 0.0)
    return {"z": z, "p": np.exp(log_p), "logp": -log_p / LN10}


def joint(away: Array, variance: Array, rank: int) -> dict[str, Array]:
    """Wald's chi-squared of q rows that have this rank, z of the same tail, p and logp, (V,) each.

    away (V, q), variance (V, q, q); rows that depend on others count once.
    """
    fine = np.isfinite(away).all(axis=1) & np.isfinite(variance).all(axis=(1, 2))
    statistic = np.full(len(away), np.nan)
    U = np.linalg.svd(variance[fine].mean(axis=0))[0][:, :rank] if fine.any() else np.eye(away.shape[1])[:, :rank]
    d, V = away[fine] @ U, U.T @ variance[fine] @ U
    statistic[fine] = np.einsum("vi,vi->v", d, np.linalg.solve(V, d[:, :, None])[:, :, 0])
    return of_chi2(statistic, rank)


def of_chi2(statistic: Array, df: int) -> dict[str, Array]:
    """A chi-squared statistic with z of the same tail, p and logp."""
    log_p = np.asarray(stats.chi2.logsf(statistic, df))
    return {"statistic": statistic, "z": -special.ndtri_exp(log_p), "p": np.exp(log_p), "logp": -log_p / LN10}
