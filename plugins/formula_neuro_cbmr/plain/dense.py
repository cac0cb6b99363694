"""Meta-regression of foci as one Poisson regression of every analysis and voxel, all matrices dense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from formula_neuro.family import Array

STEPS = 300


def splines(positions: Array, low: float, high: float, step: float) -> Array:
    """Cubic B-splines at positions (J,), knots at low, low + step, ... below high, and high: (J, p).

    >>> splines(np.array([0.0, 1.0]), -10, 12, 10).sum(axis=1).round(12).tolist()
    [1.0, 1.0]
    """
    inner = np.arange(low + step, high - 1e-9 * step, step)
    knots = np.concatenate([[low] * 4, inner, [high] * 4])
    return np.asarray(BSpline(knots, np.eye(len(knots) - 4), 3)(positions))


def design(mask: NDArray[np.bool_], ends: Sequence[tuple[float, float]], steps: Sequence[float]) -> Array:
    """Products of splines in a mask that fills its box, those that reach 0.1 kept: (V, P), not yet normalised."""
    axes = [splines(np.arange(n, dtype=float), *e, s) for n, e, s in zip(mask.shape, ends, steps, strict=True)]
    whole = np.einsum("xa,yb,zc->xyzabc", *axes).reshape(*mask.shape, -1)[mask]
    return np.asarray(whole[:, whole.max(axis=0) >= 0.1])


def joint_design(X: Array, L: Array, Z: Array) -> Array:
    """Rows of every analysis and voxel, (M V, C P + q): L_i times x_v map by map, then z_i."""
    maps = np.einsum("ic,vp->ivcp", L, X).reshape(len(L) * len(X), -1)
    return np.hstack([maps, np.repeat(Z, len(X), axis=0)])


@dataclass(frozen=True, eq=False)
class DenseFit:
    """The optimum theta (C P + q,), mu (M V,), A = D' diag(mu) D + penalty, and observed'theta - sum mu."""

    theta: Array
    mu: Array
    A: Array
    value: float


def newton(D: Array, offset: Array, observed: Array, penalty: Array, start: Array) -> DenseFit:
    """Maximum of observed'theta - sum exp(offset + D theta) - theta'penalty theta / 2; observed: D'y (C P + q,)."""
    theta = start
    for _ in range(STEPS):
        mu = np.exp(offset + D @ theta)
        A = D.T @ (mu[:, None] * D) + penalty
        gradient = observed - D.T @ mu - penalty @ theta
        way = np.linalg.solve(A, gradient)
        theta = theta + way * min(1.0, 1.0 / float(np.abs(D @ way).max()))
        if gradient @ way < 1e-20:
            break
    mu = np.exp(offset + D @ theta)
    return DenseFit(theta, mu, D.T @ (mu[:, None] * D) + penalty, float(observed @ theta - mu.sum()))
