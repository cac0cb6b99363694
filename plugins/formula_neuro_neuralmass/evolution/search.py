"""The loop of an evolution: a generation is made, evaluated and thinned out, until it stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .cma_es import CMA
from .history import Brood, History, Ids
from .methods import Mate, Mutate, Selection, genetic
from .objective import Evaluated
from .stopping import Stop

Evaluate: TypeAlias = Callable[[Brood, History], Evaluated]
DEFAULT_SIZE = {"adaptive": 50, "nsga2": 52}


class Method(Protocol):
    """What the loop asks of a method; weights (F,) of the fitness's numbers: negative ones minimise."""

    def brood(self, history: History, weights: Array, rng: np.random.Generator) -> Brood: ...
    def left(self, history: History, weights: Array) -> Ids: ...


@dataclass(frozen=True, eq=False)
class Plan:
    """All that decides an evolution but its objective. bounds (n, 2); weights None: -1 for every number of the fitness.

    size None: 50 (adaptive), 52 (nsga2) or cma's own; initial None: twice the size.
    """

    method: str
    names: tuple[str, ...]
    bounds: Array
    weights: tuple[float, ...] | None
    size: int | None
    initial: int | None
    seed: int
    stop: Stop | None = None
    selection: Selection | None = None
    mate: Mate | None = None
    mutate: Mutate | None = None

    def start(self) -> Method:
        """The method, at its start."""
        if self.method == "cma":
            return CMA(self.bounds, self.size)
        size = self.size or DEFAULT_SIZE[self.method]
        initial = self.initial or 2 * size
        return genetic(self.method, self.bounds, size, initial, self.selection, self.mate, self.mutate)

    def weighted(self, objectives: int) -> Array:
        """(F,) the weight of each number of the fitness."""
        if self.weights is None:
            return np.full(objectives, -1.0)
        if objectives and len(self.weights) not in (1, objectives):
            raise DataError(f"weights has {len(self.weights)} numbers and the objective answers {objectives}")
        return np.array(np.broadcast_to(self.weights, objectives or len(self.weights)))

    def rng(self, generation: int) -> np.random.Generator:
        """A generation's own random numbers, so that a search goes on from any generation as if it had not stopped."""
        return np.random.default_rng([self.seed, generation])


@dataclass(frozen=True, eq=False)
class Searched:
    """What a search found, and why it stopped before its last generation, if it did."""

    history: History
    results: Mapping[int, Mapping[str, Any]]
    message: str = ""


def search(plan: Plan, evaluate: Evaluate, generations: int, known: Searched | None = None) -> Iterator[Searched]:
    """The state after each generation, up to so many in all; known: where a search had stopped."""
    method = plan.start()
    history = History.empty(len(plan.bounds)) if known is None else known.history
    results = {} if known is None else dict(known.results)
    if isinstance(method, CMA):
        _replay(method, plan, history)
    for generation in range(history.generations, generations):
        brood = method.brood(history, plan.weighted(history.fitness.shape[1]), plan.rng(generation))
        found = evaluate(brood, history)
        weights = plan.weighted(found.fitness.shape[1])
        history = history.plus(brood, found.fitness)
        history = history.left(method.left(history, weights))
        results |= found.results
        message = plan.stop.reached(history, weights) if plan.stop else ""
        if not message and isinstance(method, CMA) and (why := method.finished()):
            message = f"cma stopped after generation {generation} by its own rule: {why}"
        yield Searched(history, dict(results), message)
        if message:
            return


def _replay(method: CMA, plan: Plan, history: History) -> None:
    """Ask and tell as before, so that the strategy is where the history ends."""
    weights = plan.weighted(history.fitness.shape[1])
    for generation in range(history.generations):
        method.brood(history, weights, plan.rng(generation))
        method.left(history.until(generation), weights)
