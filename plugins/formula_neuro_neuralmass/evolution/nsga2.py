"""The operators of NSGA-II (Deb et al. 2002, IEEE Transactions on Evolutionary Computation 6:182)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .history import Ids

ETA = 20.0  # of crossover and of mutation: how near children are to parents
BLOCK = 2_000_000  # comparisons at a time


def fronts(fitness: Array) -> NDArray[np.int64]:
    """(mu,) the front of each row of fitness (mu, F), larger is better: 0 where no row dominates it.

    >>> fronts(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.5], [-1.0, -1.0]])).tolist()
    [0, 0, 1, 2]
    """
    beats = _dominance(fitness)
    rank = np.full(len(fitness), -1)
    above = beats.sum(axis=0)  # how many dominate it
    level = 0
    while (rank < 0).any():
        front = (above == 0) & (rank < 0)
        rank[front] = level
        above = above - beats[front].sum(axis=0)
        level += 1
    return rank


def _dominance(fitness: Array) -> NDArray[np.bool_]:
    """(mu, mu) whether row i is nowhere worse than row j and somewhere better."""
    mu, F = fitness.shape
    beats = np.empty((mu, mu), dtype=bool)
    rows = max(1, BLOCK // max(1, mu * F))
    for i in range(0, mu, rows):
        here = fitness[i : i + rows, None, :]
        beats[i : i + rows] = (here >= fitness).all(axis=2) & (here > fitness).any(axis=2)
    return beats


def crowding(fitness: Array) -> Array:
    """(mu,) of one front: the sum over objectives of the distance of both neighbours, as a share of the range.

    Ends of a front are infinitely far.
    """
    mu, F = fitness.shape
    distance = np.zeros(mu)
    for f in range(F):
        order = np.argsort(fitness[:, f], kind="stable")
        values = fitness[order, f]
        distance[order[[0, -1]]] = np.inf
        if values[-1] > values[0]:
            distance[order[1:-1]] += (values[2:] - values[:-2]) / (values[-1] - values[0])
    return distance


def ranked(fitness: Array) -> tuple[NDArray[np.int64], Array]:
    """The front of each row, and how far it is from its neighbours within its front."""
    rank = fronts(fitness)
    far = np.zeros(len(fitness))
    for level in range(rank.max(initial=-1) + 1):
        far[rank == level] = crowding(fitness[rank == level])
    return rank, far


def best_crowded(fitness: Array, count: int) -> Ids:
    """The first rows by front, then by distance from their neighbours, best first."""
    rank, far = ranked(fitness)
    return np.asarray(np.lexsort((-far, rank))[:count])


def tournament(fitness: Array, count: int, rng: np.random.Generator) -> Ids:
    """(count,) winners between pairs of two shuffles: the lower front, else the less crowded, else by chance."""
    rank, far = ranked(fitness)
    drawn: list[NDArray[np.int64]] = []
    while 2 * count > sum(map(len, drawn)):
        drawn.append(rng.permutation(len(fitness)))
    a, b = np.concatenate(drawn)[: 2 * count].reshape(2, count, order="F")
    better = (rank[a] < rank[b]) | ((rank[a] == rank[b]) & (far[a] > far[b]))
    tied = (rank[a] == rank[b]) & (far[a] == far[b])
    return np.asarray(np.where(better | (tied & (rng.random(count) < 0.5)), a, b))


class BoundedCrossover:
    """Simulated binary crossover that stays within bounds (n, 2): Deb & Agrawal 1995; half of the genes are crossed."""

    def __init__(self, bounds: Array) -> None:
        self.low, self.high = bounds.T

    def __call__(self, a: Array, b: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        crossed = (rng.random(a.shape) < 0.5) & (np.abs(a - b) > 1e-14)
        u, swapped = rng.random(a.shape), rng.random(a.shape) < 0.5
        x1, x2 = np.minimum(a, b), np.maximum(a, b)
        gap = np.where(crossed, x2 - x1, 1.0)
        c1 = 0.5 * (x1 + x2 - self._spread(1 + 2 * (x1 - self.low) / gap, u) * gap)
        c2 = 0.5 * (x1 + x2 + self._spread(1 + 2 * (self.high - x2) / gap, u) * gap)
        c1, c2 = np.clip(c1, self.low, self.high), np.clip(c2, self.low, self.high)
        c1, c2 = np.where(swapped, c2, c1), np.where(swapped, c1, c2)
        return np.where(crossed, c1, a), np.where(crossed, c2, b)

    def _spread(self, beta: Array, u: Array) -> Array:
        """How far children are apart, of parents 1 apart; beta: how far they may be."""
        alpha = 2 - np.maximum(beta, 1.0) ** -(ETA + 1)
        inner = (u * alpha) ** (1 / (ETA + 1))
        outer = (1 / np.maximum(2 - u * alpha, 1e-300)) ** (1 / (ETA + 1))
        return np.asarray(np.where(u <= 1 / alpha, inner, outer))


def polynomial(rows: Array, bounds: Array, rng: np.random.Generator) -> Array:
    """Rows (m, n) with each gene moved with probability 1 / n by Deb's polynomial mutation within its bounds."""
    low, high = bounds.T
    moved, u = rng.random(rows.shape) < 1 / len(bounds), rng.random(rows.shape)
    down, up = (rows - low) / (high - low), (high - rows) / (high - low)
    near = np.where(u < 0.5, down, up)
    tail = np.where(u < 0.5, 2 * u + (1 - 2 * u) * (1 - near) ** (ETA + 1),
                    2 * (1 - u) + (2 * u - 1) * (1 - near) ** (ETA + 1))  # fmt: skip
    delta = np.where(u < 0.5, tail ** (1 / (ETA + 1)) - 1, 1 - tail ** (1 / (ETA + 1)))
    return np.where(moved, np.clip(rows + delta * (high - low), low, high), rows)
