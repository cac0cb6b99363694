"""Gibbs sampling with latent variables, every full conditional as Ge et al. 2014 (section 2.3) have it.

It samples what gibbs/ samples, by other means, and stands beside it for the tests. Latent variables are drawn a stretch
of voxels after another; of them only X'Z is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from formula_neuro.family import Array

from ..model import Model
from ..precision import wishart

STRETCH = 512  # voxels


def departures(eta: Array, events: NDArray[np.uint8], u: Array) -> tuple[Array, Array]:
    """Z - eta and the probability of what was seen, for uniform numbers u in (0, 1).

    With t = Phi(s eta), s = 1 at an event and -1 elsewhere, s (Z - eta) = -Phi^-1(t u). Where t underflows, beyond 37
    standard deviations, its logarithm takes its place.

    >>> z, t = departures(np.array([-40.0]), np.array([1], dtype=np.uint8), np.array([0.5]))
    >>> bool(-40 + z[0] > 0), round(float(-40 + z[0]), 4)  # an exponential of rate 40: its median is log(2) / 40
    (True, 0.0173)
    """
    s = 2.0 * events - 1.0
    t = special.ndtr(s * eta)
    e = -special.ndtri(t * u)
    far = t < 1e-290
    if far.any():
        e[far] = -special.ndtri_exp(special.log_ndtr((s * eta)[far]) + np.log(u[far]))
    return s * e, t


@dataclass(frozen=True, eq=False)
class State:
    """Coefficients b (V, P) and precision Q (P, P)."""

    b: Array
    Q: Array


@dataclass(frozen=True, eq=False)
class Half:
    """The voxels of one parity with their rows of the graph's adjacency and their numbers of neighbours."""

    voxels: NDArray[np.intp]
    neighbours: sparse.csr_array
    n_s: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Sampler:
    """What all sweeps share: rows X (n, P) with offset (n,), X'X, and two halves."""

    model: Model
    X: Array
    offset: Array
    XX: Array
    halves: tuple[Half, Half]

    @classmethod
    def of(cls, model: Model) -> Sampler:
        rows, graph = model.likelihood.rows, model.graph
        X, adjacency = rows.X[rows.group], graph.adjacency

        def half(parity: int) -> Half:
            voxels = np.flatnonzero(graph.parity == parity)
            return Half(voxels, adjacency[voxels], graph.n_s[voxels].astype(np.intp))

        return cls(model, X, rows.offset[rows.group], X.T @ X, (half(0), half(1)))

    def sweep(self, state: State, rng: np.random.Generator) -> State:
        """The next state."""
        xz = self.latent(state.b, rng)
        b = self.field(self.level(state.b, xz, rng), xz, state.Q, rng)
        return State(b, self.precision(b, rng))

    def latent(self, b: Array, rng: np.random.Generator) -> Array:
        """X'(Z - offset) (V, P) given b."""
        xz = np.empty(b.shape)
        for start in range(0, len(b), STRETCH):
            at = slice(start, min(start + STRETCH, len(b)))
            eta = b[at] @ self.X.T + self.offset
            u = np.maximum(rng.random(eta.shape), 2.0**-54)  # 0 has no logarithm
            away, _ = departures(eta, self.model.likelihood.masks(at.start, at.stop), u)
            xz[at] = (eta - self.offset + away) @ self.X
        return xz

    def level(self, b: Array, xz: Array, rng: np.random.Generator) -> Array:
        """b moved by one vector a at all voxels: a has precision V X'X, as the prior is flat in it."""
        C = np.linalg.inv(len(b) * self.XX)
        mean = C @ (xz - b @ self.XX).sum(axis=0)
        return np.asarray(b + mean + np.linalg.cholesky(C) @ rng.standard_normal(len(C)))

    def field(self, b: Array, xz: Array, Q: Array, rng: np.random.Generator) -> Array:
        """b of one parity given the other, and then of the other; a factor for each number of neighbours."""
        b, z = b.copy(), rng.standard_normal(b.shape)
        covariance = np.linalg.inv(self.XX + np.arange(7.0)[:, None, None] * Q)
        roots = np.linalg.cholesky(covariance)
        for half in self.halves:
            pulled = xz[half.voxels] + (half.neighbours @ b) @ Q
            b[half.voxels] = np.einsum("vpq,vq->vp", covariance[half.n_s], pulled) + np.einsum(
                "vpq,vq->vp", roots[half.n_s], z[half.voxels]
            )
        return b

    def precision(self, b: Array, rng: np.random.Generator) -> Array:
        """Q given b: Wishart(nu + V - c, (I + sum of D D')^-1)."""
        scale = np.linalg.inv(np.eye(b.shape[1]) + self.model.scatter(b))
        return wishart(self.model.df, (scale + scale.T) / 2, rng)
