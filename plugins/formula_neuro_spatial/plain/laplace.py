"""Laplace's approximation with dense matrices: the precision H (V P, V P) is made and inverted.

Coefficients are stacked voxel by voxel, so that H = blockdiag(A_s) + L (x) Q.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from formula_neuro.family import Array


def laplacian(edges: Array, V: int) -> Array:
    """L (V, V) of edges (E, 2)."""
    L = np.zeros((V, V))
    for s, t in edges:
        L[s, s] += 1
        L[t, t] += 1
        L[s, t] -= 1
        L[t, s] -= 1
    return L


def log_posterior(b: Array, Y: Array, X: Array, L: Array, Q: Array) -> float:
    """Of b (V, P) given Q, for masks Y (V, n), up to a constant."""
    eta = b @ X.T
    return float(
        np.where(Y > 0, stats.norm.logcdf(eta), stats.norm.logcdf(-eta)).sum() - 0.5 * np.trace(b.T @ L @ b @ Q)
    )


def derivatives(b: Array, Y: Array, X: Array) -> tuple[Array, Array, Array]:
    """Of the log-likelihood: gradient (V, P), minus the Hessian (V, P, P), third derivatives in eta (V, n)."""
    s = np.where(Y > 0, 1.0, -1.0)
    u = s * (b @ X.T)
    r = np.exp(stats.norm.logpdf(u) - stats.norm.logcdf(u))
    W = r * (r + u)
    third = s * (r * (r + u) * (2 * r + u) - r)
    return (s * r) @ X, np.einsum("vi,ip,iq->vpq", W, X, X), third


def precision(A: Array, L: Array, Q: Array) -> Array:
    """H (V P, V P)."""
    V, P = A.shape[:2]
    H = np.asarray(np.kron(L, Q), dtype=np.float64)
    for s in range(V):
        H[s * P : (s + 1) * P, s * P : (s + 1) * P] += A[s]
    return H


def mode(Y: Array, X: Array, L: Array, Q: Array, b: Array) -> tuple[Array, Array]:
    """The mode (V, P) and H there."""
    for _ in range(100):
        gradient, A, _ = derivatives(b, Y, X)
        H = precision(A, L, Q)
        way = np.linalg.solve(H, (gradient - L @ b @ Q).ravel()).reshape(b.shape)
        length = 1.0
        while log_posterior(b + length * way, Y, X, L, Q) < log_posterior(b, Y, X, L, Q) and length > 1e-6:
            length /= 2
        b = b + length * way
        if np.abs(way).max() < 1e-10:
            break
    return np.asarray(b), precision(derivatives(b, Y, X)[1], L, Q)


def expected(Y: Array, X: Array, L: Array, Q: Array, b: Array, skew: bool = True) -> tuple[Array, Array, Array]:
    """Means (V, P) and covariance (V P, V P) of b given Q, and the expected sum over edges of D D' (P, P)."""
    V, P = b.shape
    b, H = mode(Y, X, L, Q, b)
    C = np.asarray(np.linalg.inv(H))
    blocks = C.reshape(V, P, V, P)
    mean = b
    if skew:
        own = np.einsum("vpvq->vpq", blocks)
        variance = np.einsum("ip,vpq,iq->vi", X, own, X)
        t = 0.5 * (derivatives(b, Y, X)[2] * variance) @ X
        mean = np.asarray(b + (C @ t.ravel()).reshape(V, P))
    return mean, C, mean.T @ L @ mean + np.einsum("st,sptq->pq", L, blocks)


def em(
    Y: Array, X: Array, L: Array, Q: Array, df: float, skew: bool = True, steps: int = 300
) -> tuple[Array, Array, Array]:
    """Means, covariance and Q by plain EM steps."""
    b = np.zeros((len(Y), X.shape[1]))
    for _ in range(steps):
        mean, C, scatter = expected(Y, X, L, Q, b, skew)
        b, new = mean, np.asarray(df * np.linalg.inv(np.eye(len(Q)) + scatter))
        if np.abs(new - Q).max() < 1e-7 * np.abs(Q).max():
            break
        Q = new
    return mean, C, new
