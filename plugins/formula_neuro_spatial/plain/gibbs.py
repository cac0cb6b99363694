"""Gibbs sampling one voxel after another, each full conditional as it is written in the paper."""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from formula_neuro.family import Array


def latent(eta: Array, Y: Array, rng: np.random.Generator) -> Array:
    """Z (V, n) of means eta, above 0 where Y is 1."""
    u, below = rng.random(eta.shape), special.ndtr(-eta)  # the normal's quantiles, of the part that is left
    return np.asarray(eta + special.ndtri(np.where(Y > 0, below + u * (1 - below), u * below)))


def sweep(
    b: Array, Q: Array, Y: Array, X: Array, edges: Array, df: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """The next b (V, P) and Q (P, P) for masks Y (V, n) and edges (E, 2)."""
    b, Z = b.copy(), latent(b @ X.T, Y, rng)
    for s in range(len(b)):
        others = [t for e in edges for t in e if s in e and t != s]
        V_s = np.linalg.inv(X.T @ X + len(others) * Q)
        mean = V_s @ (X.T @ Z[s] + Q @ b[others].sum(axis=0))
        b[s] = mean + np.linalg.cholesky(V_s) @ rng.standard_normal(len(mean))
    D = b[edges[:, 0]] - b[edges[:, 1]]
    return b, np.atleast_2d(stats.wishart.rvs(df, np.linalg.inv(np.eye(len(Q)) + D.T @ D), random_state=rng))
