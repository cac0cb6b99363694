"""What is kept of the draws: means, covariances and counts by voxel, none of the draws themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from formula_neuro.family import Array


@dataclass
class Running:
    """Mean (V, P) and sum of squares around it (V, P (P + 1) / 2) of the draws added, by Welford's updates."""

    count: int
    mean: Array
    squares: Array

    @classmethod
    def empty(cls, V: int, P: int) -> Running:
        return cls(0, np.zeros((V, P)), np.zeros((V, P * (P + 1) // 2)))

    def add(self, b: Array) -> None:
        i, j = np.tril_indices(b.shape[1])
        self.count += 1
        before = b - self.mean
        self.mean += before / self.count
        self.squares += before[:, i] * (b - self.mean)[:, j]

    def joined(self, other: Running) -> Running:
        """Of the draws of both (Chan, Golub and LeVeque 1983)."""
        i, j = np.tril_indices(self.mean.shape[1])
        n = self.count + other.count
        away = other.mean - self.mean
        mean = self.mean + away * other.count / n
        squares = self.squares + other.squares + away[:, i] * away[:, j] * self.count * other.count / n
        return Running(n, mean, squares)

    @property
    def covariance(self) -> Array:
        """(V, P, P)."""
        P = self.mean.shape[1]
        i, j = np.tril_indices(P)
        C = np.empty((len(self.mean), P, P))
        C[:, i, j] = C[:, j, i] = self.squares / (self.count - 1)
        return C

    @property
    def variance(self) -> Array:
        """(V, P)."""
        return np.diagonal(self.covariance, axis1=1, axis2=2)


@dataclass
class Kept:
    """One chain: moments of its halves, sums of b > 0 and of expected shares of events, and traces of a few numbers."""

    halves: tuple[Running, Running]
    positive: Array
    incidence: Array
    sigma: list[Array] = field(default_factory=list)
    level: list[Array] = field(default_factory=list)
    some: list[Array] = field(default_factory=list)
    deviance: list[float] = field(default_factory=list)

    @classmethod
    def empty(cls, V: int, P: int) -> Kept:
        return cls((Running.empty(V, P), Running.empty(V, P)), np.zeros((V, P)), np.zeros(V))


def split_rhat(halves: list[Running]) -> Array:
    """R-hat of every coefficient (V, P) from the halves of all chains (Gelman et al. 2013, 11.4)."""
    n = halves[0].count
    means = np.array([h.mean for h in halves])
    within = np.mean([h.variance for h in halves], axis=0)
    return np.asarray(np.sqrt((n - 1) / n + means.var(axis=0, ddof=1) / within))
