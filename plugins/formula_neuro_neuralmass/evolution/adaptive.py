"""The operators of the adaptive method (Eiben & Smith): rank selection, blend crossover, self-adaptive mutation."""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array

from .history import Ids

PRESSURE = 1.5  # s: how often the best becomes a parent, beside a mean individual
ALPHA = 0.5  # how far a child may lie beyond its parents, as a share of their distance
STEP = 1 / 3  # the first size of mutations, as a share of the range


def rank_probabilities(mu: int, s: float = PRESSURE) -> Array:
    """(mu,) the probability of rank r, the worst 0: (2 - s) / mu + 2 (s - 1) r / (mu (mu - 1)).

    >>> rank_probabilities(3).round(4).tolist()
    [0.1667, 0.3333, 0.5]
    """
    if mu == 1:
        return np.ones(1)
    return np.asarray((2 - s) / mu + 2 * (s - 1) * np.arange(mu) / (mu * (mu - 1)))


def by_rank(fitness: Array, count: int, rng: np.random.Generator) -> Ids:
    """(count,) rows of fitness (mu, F), larger is better, drawn by the rank of their sums, with replacement."""
    worst_first = np.argsort(fitness.sum(axis=1), kind="stable")
    return np.asarray(worst_first[rng.choice(len(fitness), count, p=rank_probabilities(len(fitness)))])


def blend(a: Array, b: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two children of each pair of rows (m, k): (1 - g) a + g b and g a + (1 - g) b, g = (1 + 2 alpha) u - alpha."""
    g = (1 + 2 * ALPHA) * rng.random(a.shape) - ALPHA
    return (1 - g) * a + g * b, g * a + (1 - g) * b


def self_adaptive(rows: Array, bounds: Array, rng: np.random.Generator) -> Array:
    """Rows (m, 2n) of genes x and steps s, mutated: s' = s exp(gamma N_k + gamma_g N), x' = x + s' N'_k.

    gamma = 1 / sqrt(2 sqrt(n)) with a number for each gene, gamma_g = 1 / sqrt(2n) with one for all.
    """
    n = len(bounds)
    each, common = rng.standard_normal((len(rows), n)), rng.standard_normal((len(rows), 1))
    # the sign of a blended step has no meaning for a symmetric mutation
    steps = np.abs(rows[:, n:]) * np.exp(each / np.sqrt(2 * np.sqrt(n)) + common / np.sqrt(2 * n))
    return np.hstack([rows[:, :n] + steps * rng.standard_normal((len(rows), n)), steps])


def best_sums(fitness: Array, count: int) -> Ids:
    """The rows of the largest sums, best first; earlier rows first among equals."""
    return np.asarray(np.argsort(-fitness.sum(axis=1), kind="stable")[:count])
