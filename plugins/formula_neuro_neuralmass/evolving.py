"""fn.evolve: parameters that make an objective small or large, by evolution."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.running.pieces import threads_or_pool

from .evolution.answer import Evolution, run
from .evolution.history import Brood, History
from .evolution.methods import Mate, Mutate, Selection
from .evolution.objective import Evaluated, Individual, OneByOne, Whole, check_objective, evaluated
from .evolution.search import DEFAULT_SIZE, Evaluate, Plan
from .evolution.stopping import as_stop
from .parameters import known

METHODS = ("adaptive", "nsga2", "cma")
TAKEN = ("id", "generation", "parent1", "parent2", "score", "status", "params")  # columns and fields of the answer


def evolve(
    objective: Callable[[Any], Any],
    bounds: Mapping[str, tuple[float, float]] | None = None,
    *,
    method: str = "adaptive",
    weights: float | Sequence[float] | None = None,
    population: int | None = None,
    initial: int | None = None,
    generations: int = 10,
    stop: Any = None,
    selection: Selection | None = None,
    mate: Mate | None = None,
    mutate: Mutate | None = None,
    batch: bool = False,
    simulate: Mapping[str, Any] | None = None,
    start: Evolution | None = None,
    seed: int | None = None,
    workers: Any = None,
    progress: bool | None = None,
) -> Evolution:
    """Parameters within bounds whose fitness is best, and all individuals on the way.

    objective: gets one individual (p.x, p["x"], p.id) and answers a number or a tuple of numbers, or a pair of these
        and a dict of results to keep. With batch=True it gets a generation at once, a table with a row an individual,
        and answers as many rows. A fitness that is not finite is a failed individual, which has no children.
    simulate: arguments of fn.simulate by name, {"model": "aln", "duration": "2 s", ...}; the objective then gets the
        run of an individual instead, n["rates_exc"], n.bold, n.params; generations are simulated as batches. A run
        that became infinite is a failed individual. "random": "own" random numbers for each individual (where there
        is noise), or "common" ones.
    bounds: of each parameter, {"x": (-5, 5)}.
    method: "adaptive" (rank selection, blend crossover, self-adaptive mutation), "nsga2" (Deb et al. 2002: several
        numbers beside each other, `pareto()`) or "cma" (CMA-ES, by the package cma).
    weights: one number, or one for each number of the fitness; negative ones (default -1) minimise, positive ones
        maximise. adaptive and cma take the weighted numbers' mean.
    population: individuals that are left after a generation: 50 (adaptive), 52 (nsga2), or cma's own default.
    initial: individuals of the first generation, twice the population by default. generations: it counts as one.
    stop: a fitness, or (fitness, k): ends when k individuals of the population reach it.
    selection, mate, mutate: own operators instead of the method's. selection(fitness, count, rng) answers rows of
        fitness (mu, F), larger is better; mate(a, b, rng) two children of each pair of rows; mutate(rows, bounds, rng)
        the rows mutated. A row is an individual's genes, for adaptive followed by as many sizes of mutations.
    start: an evolution to go on from up to `generations` in all; bounds, method, weights and sizes are its own.
    seed: the same seed gives the same evolution for any workers; drawn and kept in the answer where it is not given.
    workers: a number of processes, a dask client or an executor, among which the individuals of a generation are
        shared; of simulations a number is one of threads.

    Raises DataError. Source: Eiben & Smith (adaptive), Deb et al. 2002, Hansen (CMA-ES).

    >>> import formula_neuro as fn
    >>> w = fn.evolve(lambda p: (p.x**2 + p.y**2 - 1) ** 2, {"x": (-5, 5), "y": (-5, 5)}, seed=1)
    >>> len(w.to_frame()), bool(w.best["f0"] < 1e-3)
    (550, True)
    """
    if start is not None:
        other = {"bounds": bounds, "weights": weights, "population": population, "initial": initial, "seed": seed,
                 "method": None if method in ("adaptive", start.plan.method) else method}  # fmt: skip
        plan = _same(start.plan, other, stop, selection, mate, mutate)
        check_objective(objective, plan.names)
        return run(plan, _asking(objective, plan, batch, simulate, workers), generations, start, progress)
    limits = _limits(bounds)
    _check(method, population, initial, selection, mate, mutate)
    check_objective(objective, tuple(limits))
    plan = Plan(
        method=method,
        names=tuple(limits),
        bounds=np.array(list(limits.values())),
        weights=_weights(weights),
        size=population,
        initial=initial,
        seed=_seed(seed),
        stop=as_stop(stop),
        selection=selection,
        mate=mate,
        mutate=mutate,
    )
    return run(plan, _asking(objective, plan, batch, simulate, workers), generations, None, progress)


def _asking(
    objective: Callable[[Any], Any], plan: Plan, batch: bool, simulate: Mapping[str, Any] | None, workers: Any
) -> Evaluate:
    """The objective as the search asks it: a brood at a time."""
    ask: Callable[[Sequence[Individual]], list[Any]]
    pool, together = workers, 1
    if simulate is not None:
        from .batches import SHARED_LANES  # others need no engine
        from .evolution.simulating import as_simulated

        if batch:
            raise DataError("batch=True and simulate= are both given; simulations are run as batches in any case")
        limits = {name: (float(low), float(high)) for name, (low, high) in zip(plan.names, plan.bounds, strict=True)}
        threads, pool = threads_or_pool(workers)
        ask, together = as_simulated(objective, simulate, limits, plan.seed, threads), SHARED_LANES
    else:
        ask = Whole(objective) if batch else OneByOne(objective)

    def evaluate(brood: Brood, history: History) -> Evaluated:
        known = history.fitness.shape[1] if len(history) else None
        return evaluated(ask, brood, plan.names, len(history), history.generations, known, pool, together)

    return evaluate


def _limits(bounds: Mapping[str, tuple[float, float]] | None) -> dict[str, tuple[float, float]]:
    expected = 'bounds of each parameter, such as {"x": (-5, 5)}, are expected'
    if not isinstance(bounds, Mapping) or not bounds:
        raise DataError(f"bounds is {bounds!r}; {expected}")
    limits = {}
    for name, given in bounds.items():
        if not isinstance(name, str) or name in TAKEN or (name[:1] == "f" and name[1:].isdigit()):
            raise DataError(f"a parameter is named {name!r}, which is a column of the answer or no text; rename it")
        pair = np.asarray(given, dtype=float).ravel() if np.ndim(given) else np.empty(0)
        if len(pair) != 2 or not np.isfinite(pair).all():
            raise DataError(f"the bounds of {name} are {given!r}; {expected}")
        if not pair[0] < pair[1]:
            raise DataError(f"the bounds of {name} are {given!r}; the lower one comes first, and they differ")
        limits[name] = (float(pair[0]), float(pair[1]))
    return limits


def _weights(given: float | Sequence[float] | None) -> tuple[float, ...] | None:
    if given is None:
        return None
    values = np.atleast_1d(np.asarray(given, dtype=float))
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or not values.any():
        raise DataError(f"weights is {given!r}; one number for each number of the fitness, not all 0, is expected")
    return tuple(values.tolist())


def _seed(seed: int | None) -> int:
    if seed is None:
        return secrets.randbits(32)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise DataError(f"seed is {seed!r}; a whole number from 0 is expected")
    return int(seed)


def _check(method: str, population: int | None, initial: int | None, *operators: Any) -> None:
    known(method, METHODS, "evolve has no method")
    least = {"adaptive": 2, "nsga2": 4, "cma": 2}[method]
    for name, value in (("population", population), ("initial", initial)):
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and not (whole and value >= least):
            raise DataError(f"{name} is {value!r}; a whole number from {least} is expected")
    if population is not None and method != "cma" and population % least:
        why = "pairs have two children" if least == 2 else "tournaments are between pairs of pairs"
        raise DataError(f"population is {population}; a multiple of {least} is expected ({why})")
    if initial is not None and initial < (population or DEFAULT_SIZE.get(method, 0)):
        raise DataError(f"initial is {initial}, fewer than the population")
    if method == "cma" and (initial is not None or any(operators)):
        raise DataError('method="cma" takes no initial and no own operators: it draws from its own distribution')


def _same(plan: Plan, other: Mapping[str, Any], stop: Any, *operators: Any) -> Plan:
    """The plan of the evolution that is taken up again, with functions given again, and where it now stops."""
    given = [name for name, value in other.items() if value is not None]
    if given:
        raise DataError(f"{given[0]} is that of start, an evolution by {plan.method}; leave it out")
    selection, mate, mutate = operators
    return replace(
        plan,
        stop=as_stop(stop) or plan.stop,
        selection=selection or plan.selection,
        mate=mate or plan.mate,
        mutate=mutate or plan.mutate,
    )
