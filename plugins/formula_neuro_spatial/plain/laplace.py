"""The normal approximation with dense matrices: the precision H (V P, V P) is made and inverted.

Coefficients are stacked voxel by voxel, so that H = blockdiag(A_s) + L (x) Q.
"""

from __future__ import annotations

import numpy as np
from scipy import special

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
    return float(special.log_ndtr(np.where(Y > 0, eta, -eta)).sum() - 0.5 * np.trace(b.T @ L @ b @ Q))


def derivatives(b: Array, Y: Array, X: Array, C: Array | None = None) -> tuple[Array, Array]:
    """Of the log-likelihood: gradient (V, P) and minus the Hessian (V, P, P); given C (V P, V P), their expectations.

    The expectations are over b with means b and covariance C, by 15 nodes for every linear predictor.
    """
    V, P = b.shape
    own = np.zeros((V, P, P)) if C is None else np.einsum("vpvq->vpq", C.reshape(V, P, V, P))
    sd = np.sqrt(np.einsum("ip,vpq,iq->vi", X, own, X))
    s = np.where(Y > 0, 1.0, -1.0)
    slope, W = np.zeros(s.shape), np.zeros(s.shape)
    points, weights = np.polynomial.hermite_e.hermegauss(15)
    for z, weight in zip(points, weights / weights.sum(), strict=True):
        u = s * (b @ X.T + z * sd)
        r = np.exp(-(u**2) / 2 - special.log_ndtr(u)) / np.sqrt(2 * np.pi)
        slope += weight * s * r
        W += weight * r * (r + u)
    return slope @ X, np.einsum("vi,ip,iq->vpq", W, X, X)


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
        gradient, A = derivatives(b, Y, X)
        H = precision(A, L, Q)
        way = np.linalg.solve(H, (gradient - L @ b @ Q).ravel()).reshape(b.shape)
        length = 1.0
        while log_posterior(b + length * way, Y, X, L, Q) < log_posterior(b, Y, X, L, Q) and length > 1e-6:
            length /= 2
        b = b + length * way
        if np.abs(way).max() < 1e-10:
            break
    return np.asarray(b), precision(derivatives(b, Y, X)[1], L, Q)


def _at_mode(Y: Array, X: Array, L: Array, Q: Array) -> tuple[Array, Array]:
    b, H = mode(Y, X, L, Q, np.zeros((len(Y), X.shape[1])))
    return b, np.asarray(np.linalg.inv(H))


def expected(
    Y: Array, X: Array, L: Array, Q: Array, start: tuple[Array, Array] | None = None
) -> tuple[Array, Array, Array]:
    """Means (V, P) and covariance (V P, V P) of b given Q, and the expected sum over edges of D D' (P, P).

    Both are where the expected gradient vanishes and the precision is the expected curvature; they are sought from a
    start on, or from the mode.
    """
    V, P = len(Y), X.shape[1]
    b, C = _at_mode(Y, X, L, Q) if start is None else start
    for _ in range(200):
        gradient, A = derivatives(b, Y, X, C)
        C = np.asarray(np.linalg.inv(precision(A, L, Q)))
        way = (C @ (gradient - L @ b @ Q).ravel()).reshape(b.shape)
        b = b + way
        if np.abs(way).max() < 1e-7:
            break
    return np.asarray(b), np.asarray(C), b.T @ L @ b + np.einsum("st,sptq->pq", L, C.reshape(V, P, V, P))


def em(Y: Array, X: Array, L: Array, Q: Array, df: float, steps: int = 300) -> tuple[Array, Array, Array]:
    """Means, covariance and Q by plain EM steps."""
    mean, C, scatter = expected(Y, X, L, Q)
    for _ in range(steps):
        new = np.asarray(df * np.linalg.inv(np.eye(len(Q)) + scatter))
        mean, C, scatter = expected(Y, X, L, new, (mean, C))
        if np.abs(new - Q).max() < 1e-4 * np.abs(Q).max():
            break
        Q = new
    return mean, C, new
