"""All individuals of an evolution, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Brood:
    """Individuals that are to be evaluated: genes (m, n), steps (m, n) and the ids of both parents (m, 2), -1: none."""

    genes: Array
    steps: Array
    parents: Ids


@dataclass(frozen=True, eq=False)
class History:
    """Individuals in the order of their evaluation; a row's number is the individual's id.

    genes, steps (m, n): parameters, and the sizes of their mutations (NaN where the method has none). fitness (m, F) as
    the objective gave it. parents (m, 2): ids, -1 for individuals drawn anew. populations: who was left after each
    generation, best first; failed individuals are in none.
    """

    genes: Array
    steps: Array
    fitness: Array
    generation: Ids
    parents: Ids
    populations: tuple[Ids, ...] = ()

    @classmethod
    def empty(cls, n: int) -> History:
        """No individual of n genes."""
        none = np.empty(0, dtype=np.int64)
        return cls(np.empty((0, n)), np.empty((0, n)), np.empty((0, 0)), none, none.reshape(0, 2))

    def __len__(self) -> int:
        return len(self.genes)

    @property
    def generations(self) -> int:
        """How many are finished."""
        return len(self.populations)

    @property
    def sound(self) -> NDArray[np.bool_]:
        """(m,) whether an individual's fitness is a finite number; the others have failed."""
        return np.asarray(np.isfinite(self.fitness).all(axis=1))

    @property
    def population(self) -> Ids:
        """Who is left now, best first."""
        return self.populations[-1] if self.populations else np.empty(0, dtype=np.int64)

    def plus(self, brood: Brood, fitness: Array) -> History:
        """With a generation of evaluated individuals; who is left of them is said by `left`."""
        known = self.fitness if len(self) else np.empty((0, fitness.shape[1]))
        return replace(
            self,
            genes=np.vstack([self.genes, brood.genes]),
            steps=np.vstack([self.steps, brood.steps]),
            fitness=np.vstack([known, fitness]),
            generation=np.concatenate([self.generation, np.full(len(fitness), self.generations)]),
            parents=np.vstack([self.parents, brood.parents]),
        )

    def left(self, ids: Ids) -> History:
        """The generation finished, with these left."""
        return replace(self, populations=(*self.populations, ids))

    def until(self, generation: int) -> History:
        """As it was when that generation had been evaluated and not yet thinned out."""
        rows = self.generation <= generation
        return History(
            self.genes[rows], self.steps[rows], self.fitness[rows], self.generation[rows], self.parents[rows],
            self.populations[:generation],
        )  # fmt: skip

    def candidates(self) -> Ids:
        """The sound individuals of the last population and of the generation that is not finished."""
        new = np.flatnonzero(self.generation == self.generations)
        every = np.concatenate([self.population, new])
        return np.asarray(every[self.sound[every]])


def uniform(rng: np.random.Generator, count: int, bounds: Array, steps: float) -> Brood:
    """Individuals drawn anew within bounds (n, 2); their steps are so many ranges."""
    low, high = bounds.T
    genes = rng.uniform(low, high, (count, len(bounds)))
    return Brood(genes, np.tile((high - low) * steps, (count, 1)), np.full((count, 2), -1))


def joined(first: Brood, second: Brood) -> Brood:
    """Both, the first's individuals first."""
    return Brood(
        np.vstack([first.genes, second.genes]),
        np.vstack([first.steps, second.steps]),
        np.vstack([first.parents, second.parents]),
    )
