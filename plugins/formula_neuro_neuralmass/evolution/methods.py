"""The methods as values: who becomes a parent, how children are made, who is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from . import adaptive, nsga2
from .history import Brood, History, Ids, joined, uniform

Selection: TypeAlias = Callable[[Array, int, np.random.Generator], Ids]
Mate: TypeAlias = Callable[[Array, Array, np.random.Generator], tuple[Array, Array]]
Mutate: TypeAlias = Callable[[Array, Array, np.random.Generator], Array]
RETRIES = 100  # mutations of an individual that leaves its bounds, before it is put on the edge


@dataclass(frozen=True)
class Genetic:
    """A method of parents and children, for genes within bounds (n, 2).

    steps: whether an individual's row holds the sizes of its mutations too.
    """

    bounds: Array
    size: int
    initial: int
    selection: Selection
    mate: Mate
    mutate: Mutate
    survivors: Callable[[Array, int], Ids]
    steps: bool

    def brood(self, history: History, weights: Array, rng: np.random.Generator) -> Brood:
        """As many children as the population has, and new individuals in the places of failed ones."""
        if not history.generations:
            return uniform(rng, self.initial, self.bounds, adaptive.STEP)
        population = history.population
        new = uniform(rng, self.size - len(population), self.bounds, adaptive.STEP)
        return joined(self._children(history, weights, rng), new) if len(population) else new

    def left(self, history: History, weights: Array) -> Ids:
        """The best of the last population and the new generation."""
        ids = history.candidates()
        return np.asarray(ids[self.survivors(history.fitness[ids] * weights, self.size)])

    def _children(self, history: History, weights: Array, rng: np.random.Generator) -> Brood:
        population = history.population
        chosen = np.asarray(self.selection(history.fitness[population] * weights, self.size, rng))
        whole = chosen.shape == (self.size,) and chosen.dtype.kind in "iu"
        if not whole or chosen.min() < 0 or chosen.max() >= len(population):
            raise DataError(f"selection answered {chosen!r}; {self.size} rows of 0 to {len(population) - 1} expected")
        parents = population[chosen].reshape(-1, 2)
        n = len(self.bounds)
        rows = np.hstack([history.genes, history.steps]) if self.steps else history.genes
        pairs = [rows[parents[:, k]] for k in (0, 1)]
        both = [_checked(made, pairs[0].shape, "mate") for made in self.mate(pairs[0], pairs[1], rng)]
        children = within(self.mutate, np.stack(both, axis=1).reshape(self.size, -1), self.bounds, rng)
        steps = children[:, n:] if self.steps else np.full((self.size, n), np.nan)
        return Brood(children[:, :n], steps, np.repeat(parents, 2, axis=0))


def within(mutate: Mutate, rows: Array, bounds: Array, rng: np.random.Generator) -> Array:
    """Mutated rows whose genes, the first n columns, are within bounds: mutated again, in the end put on the edge."""
    low, high = bounds.T
    n = len(bounds)
    done = rows.copy()
    left = np.arange(len(rows))
    for _ in range(RETRIES):
        done[left] = _checked(mutate(rows[left], bounds, rng), rows[left].shape, "mutate")
        genes = done[left, :n]
        left = left[~((genes >= low) & (genes <= high)).all(axis=1)]
        if not len(left):
            break
    done[:, :n] = np.clip(done[:, :n], low, high)
    return done


def _checked(made: Array, shape: tuple[int, ...], name: str) -> Array:
    """What an operator answered, which must be rows like those that it was given."""
    found = np.asarray(made, dtype=np.float64)
    if found.shape != shape or np.isnan(found).any():
        missing = " with missing values" if np.isnan(found).any() else ""
        raise DataError(f"{name} answered an array {found.shape}{missing}; {shape} numbers are expected")
    return found


def genetic(
    method: str,
    bounds: Array,
    size: int,
    initial: int,
    selection: Selection | None = None,
    mate: Mate | None = None,
    mutate: Mutate | None = None,
) -> Genetic:
    """The method "adaptive" or "nsga2", with own operators in the places of its."""
    if method == "adaptive":
        made = Genetic(bounds, size, initial, adaptive.by_rank, adaptive.blend, adaptive.self_adaptive,
                       adaptive.best_sums, steps=True)  # fmt: skip
    else:
        made = Genetic(bounds, size, initial, nsga2.tournament, nsga2.BoundedCrossover(bounds), nsga2.polynomial,
                       nsga2.best_crowded, steps=False)  # fmt: skip
    return replace(made, selection=selection or made.selection, mate=mate or made.mate, mutate=mutate or made.mutate)
