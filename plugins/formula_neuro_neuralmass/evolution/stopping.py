"""When an evolution has reached what was wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .history import History


@dataclass(frozen=True)
class Stop:
    """When so many individuals of the population have a fitness as good as this in every number."""

    fitness: tuple[float, ...]
    individuals: int = 1

    def reached(self, history: History, weights: Array) -> str:
        """What was reached, in words; empty where it was not."""
        found = history.fitness[history.population]
        if len(self.fitness) not in (1, len(weights)):
            raise DataError(f"stop has {len(self.fitness)} numbers and the objective answers {len(weights)}")
        good = int((found * weights >= np.array(self.fitness) * weights).all(axis=1).sum())
        if good < self.individuals:
            return ""
        wanted = ", ".join(f"{value:g}" for value in self.fitness)
        return f"stopped after generation {history.generations - 1}: {good} individuals have reached {wanted}"


def as_stop(given: Any) -> Stop | None:
    """A fitness, or a pair of a fitness and a count; a fitness is a number or a tuple of numbers. Raises DataError.

    >>> as_stop((0.01, 20)), as_stop(((0.1, 0.2), 5))
    (Stop(fitness=(0.01,), individuals=20), Stop(fitness=(0.1, 0.2), individuals=5))
    """
    if given is None:
        return None
    fitness, count = given if isinstance(given, tuple) and len(given) == 2 else (given, 1)
    values = fitness if isinstance(fitness, tuple) else (fitness,)
    sound = all(isinstance(v, (int, float, np.number)) and np.isfinite(v) for v in values)
    if not sound or not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 1:
        raise DataError(
            f"stop is {given!r}; a fitness, or (fitness, how many individuals reach it), is expected, such as "
            "(0.01, 20), or ((0.1, 0.2), 20) where the fitness is two numbers"
        )
    return Stop(tuple(float(v) for v in values), int(count))
