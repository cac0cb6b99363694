"""One sweep: latent variables, level, coefficients by checkerboard, precision (Ge et al. 2014, section 2.3).

Latent variables are drawn stretch by stretch of voxels; of them only X'Z is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from formula_neuro.family import Array

from ..model import Model
from ..precision import wishart
from .latent import departures
from .streams import FIELD, FIRST, LEVEL, PRECISION, STRETCH, Streams


@dataclass(frozen=True, eq=False)
class State:
    """Coefficients b (V, P) and precision Q (P, P)."""

    b: Array
    Q: Array


@dataclass(frozen=True, eq=False)
class Latent:
    """X'(Z - offset) (V, P), the log-likelihood (V,) and the expected share of events (V,) of the b they belong to."""

    xz: Array
    loglik: Array
    incidence: Array


@dataclass(frozen=True, eq=False)
class Half:
    """The voxels of one parity with their rows of the graph's adjacency and the kinds that they are of."""

    voxels: NDArray[np.intp]
    neighbours: sparse.csr_array
    kind: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Sampler:
    """What all sweeps share: rows X (n, P) with offset (n,), X'X, two halves, and the kinds (k, 2) of voxels.

    A kind is a number of neighbours with a prior precision of b(s) itself, 0 but where `anchor` names voxels: one
    anchored voxel makes the prior proper.
    """

    model: Model
    X: Array
    offset: Array
    XX: Array
    halves: tuple[Half, Half]
    kinds: Array
    anchor: Array

    @classmethod
    def of(cls, model: Model, anchor: Array | None = None) -> Sampler:
        rows, graph = model.likelihood.rows, model.graph
        own = np.zeros(graph.size) if anchor is None else anchor
        kinds, kind = np.unique(np.column_stack([graph.n_s, own]), axis=0, return_inverse=True)
        X, adjacency = rows.X[rows.group], graph.adjacency

        def half(parity: int) -> Half:
            voxels = np.flatnonzero(graph.parity == parity)
            return Half(voxels, adjacency[voxels], kind.ravel()[voxels])

        return cls(model, X, rows.offset[rows.group], X.T @ X, (half(0), half(1)), kinds, own)

    def sweep(self, state: State, streams: Streams, number: int) -> tuple[State, Latent]:
        """The next state, and the latent variables that it was drawn with."""
        latent = self.latent(state.b, streams, number)
        b = self.level(state.b, latent.xz, streams.of(number, LEVEL))
        b = self.field(b, latent.xz, state.Q, streams.of(number, FIELD))
        return State(b, self.precision(b, streams.of(number, PRECISION))), latent

    def latent(self, b: Array, streams: Streams, number: int) -> Latent:
        """Sums over latent variables given b."""
        V, n = len(b), len(self.X)
        xz, loglik, incidence = np.empty(b.shape), np.empty(V), np.empty(V)
        step = max(1, self.model.likelihood.at_once // n)
        for stretch, first in enumerate(range(0, V, STRETCH)):
            rng, last = streams.of(number, FIRST + stretch), min(first + STRETCH, V)
            for start in range(first, last, step):
                at = slice(start, min(start + step, last))
                events = self.model.likelihood.masks(at.start, at.stop)
                eta = b[at] @ self.X.T + self.offset
                u = np.maximum(rng.random(eta.shape), 2.0**-54)  # 0 has no logarithm
                away, t = departures(eta, events, u)
                xz[at] = (eta - self.offset + away) @ self.X
                loglik[at] = np.log(np.maximum(t, 1e-300)).sum(axis=1)
                incidence[at] = np.where(events > 0, t, 1 - t).sum(axis=1) / n
        return Latent(xz, loglik, incidence)

    def level(self, b: Array, xz: Array, rng: np.random.Generator) -> Array:
        """b moved by one vector a at all voxels: a has precision V X'X, as the prior is flat in it."""
        P = len(self.XX)
        K = len(b) * self.XX + self.anchor.sum() * np.eye(P)
        pulled = (xz - b @ self.XX - self.anchor[:, None] * b).sum(axis=0)
        return b + _normal(K[None], pulled[None], rng.standard_normal((1, P)))

    def field(self, b: Array, xz: Array, Q: Array, rng: np.random.Generator) -> Array:
        """b of one parity given the other, and then of the other."""
        b, z = b.copy(), rng.standard_normal(b.shape)
        eye = np.eye(len(Q))
        precision = self.XX + self.kinds[:, 0, None, None] * Q + self.kinds[:, 1, None, None] * eye
        covariance = np.linalg.inv(precision)
        roots = np.linalg.cholesky(covariance)
        for half in self.halves:
            pulled = xz[half.voxels] + (half.neighbours @ b) @ Q
            b[half.voxels] = np.einsum("vpq,vq->vp", covariance[half.kind], pulled) + np.einsum(
                "vpq,vq->vp", roots[half.kind], z[half.voxels]
            )
        return b

    def precision(self, b: Array, rng: np.random.Generator) -> Array:
        """Q given b: Wishart(nu + V - c, (I + sum of D D')^-1)."""
        scale = np.linalg.inv(np.eye(b.shape[1]) + self.model.scatter(b))
        return wishart(self.model.df, (scale + scale.T) / 2, rng)


def _normal(K: Array, pulled: Array, z: Array) -> Array:
    """Draws with precisions K (m, P, P) and means K^-1 pulled (m, P) from standard normal z (m, P)."""
    root = np.linalg.cholesky(K)
    half = np.linalg.solve(root, pulled[:, :, None]) + z[:, :, None]
    return np.linalg.solve(root.transpose(0, 2, 1), half)[:, :, 0]
