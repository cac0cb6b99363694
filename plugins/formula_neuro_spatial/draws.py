"""Draws of coefficients around their mode by perturbing it, and what they say of covariances.

With e_s ~ N(0, I) at voxels and f ~ N(0, I) at edges, r = chol(A_s) e_s + B f chol(Q)' (B: the graph's incidence) has
the covariance H, so that the solution of H delta = r is a draw from N(0, H^-1) (Papandreou and Yuille 2010). Given its
neighbours delta_s has the known covariance (A_s + n_s Q)^-1, so that only the rest is estimated from draws (Siden et
al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from formula_neuro.family import Array

from .graph import MaskGraph
from .system import System


@dataclass(frozen=True, eq=False)
class Noise:
    """e (V, P, K) and g = B f (V, P, K), which stay the same while Q and the mode change."""

    e: Array
    g: Array

    @classmethod
    def of(cls, graph: MaskGraph, P: int, numbers: range, seed: int) -> Noise:
        """Draws of these numbers, a stream each."""
        B = graph.incidence
        e, g = np.empty((graph.size, P, len(numbers))), np.empty((graph.size, P, len(numbers)))
        for k, number in enumerate(numbers):
            rng = np.random.default_rng([seed, 0, number])
            e[:, :, k] = rng.standard_normal((graph.size, P))
            g[:, :, k] = B @ rng.standard_normal((len(graph.edges), P))
        return cls(e, g)

    def perturbation(self, system: System) -> Array:
        """r (V, P, K) with covariance H."""
        C = np.linalg.cholesky(system.Q)
        return np.asarray(_roots(system.A) @ self.e + C @ self.g)


def _roots(A: Array) -> Array:
    """C (V, P, P) with C C' = A; symmetric roots, as voxels without information have singular A."""
    size, ways = np.linalg.eigh(A)
    return np.asarray((ways * np.sqrt(np.maximum(size, 0.0))[:, None, :]) @ ways.transpose(0, 2, 1))


def batches(draws: int, at_once: int = 8) -> Iterator[range]:
    """Numbers of draws that are solved together."""
    for first in range(0, draws, at_once):
        yield range(first, min(first + at_once, draws))


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over draws of the conditional means m m', (V, P, P), and of the scatter of edges (P, P)."""

    means: Array
    edges: Array
    draws: int

    @classmethod
    def of(cls, system: System, delta: Array) -> Moments:
        """Of draws delta (V, P, K)."""
        V, P, K = delta.shape
        m = system.local @ system.pull(delta)
        flat = delta.reshape(V, P * K)
        lap = (system.halves.n_s[:, None] * flat - system.halves.adjacency @ flat).reshape(V, P, K)
        edges = np.einsum("vpk,vqk->pq", delta, lap)
        return cls(np.einsum("vpk,vqk->vpq", m, m), (edges + edges.T) / 2, K)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.means + other.means, self.edges + other.edges, self.draws + other.draws)

    def covariance(self, system: System) -> Array:
        """Of b at every voxel, (V, P, P); the draws' mean is known to be 0."""
        return system.local + self.means / self.draws

    @property
    def scatter(self) -> Array:
        """The expected sum over edges of delta's differences, (P, P)."""
        return self.edges / self.draws
