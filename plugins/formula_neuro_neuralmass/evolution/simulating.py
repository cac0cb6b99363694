"""An objective of simulations: whole generations are run as batches, and each run is measured."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from formula_neuro.errors import DataError

from ..asking import Asked, Timing, ask
from ..batches import Engine, noisy, simulated
from ..exploration.sets import as_sets
from ..models import find
from ..parameters import known
from ..simulating import simulate
from .objective import Individual, own_error

NOT_HERE = ("seed", "noise", "progress")  # of simulate: the evolution's own
TIMING = ("duration", "dt", "every", "sampling", "skip", "outputs")


@dataclass(frozen=True, eq=False)
class Simulated:
    """An objective that gets an individual's run; a run that became infinite is a failed individual.

    own: whether each individual has its own random numbers, by its id, or all have the same.
    """

    objective: Callable[[Any], Any]
    asked: Asked
    own: bool
    engine: Engine
    threads: int

    def __call__(self, individuals: Sequence[Individual]) -> list[Any]:
        answers: list[Any] = [np.nan] * len(individuals)
        sets = [dict(individual.params) for individual in individuals]
        keys = [individual.id if self.own else 0 for individual in individuals]
        for places, runs in simulated(self.asked, sets, keys, engine=self.engine, workers=self.threads):
            for place, run in zip(places, runs, strict=True):
                if run.ok:
                    with own_error(individuals[place]):
                        answers[place] = self.objective(run)
        return answers


def _timing(given: Mapping[str, Any]) -> Timing:
    told: dict[str, Any] = {name: given[name] for name in TIMING if given.get(name) is not None}
    if "outputs" in told and not isinstance(told["outputs"], str):  # a text is refused with what to write
        told["outputs"] = tuple(told["outputs"])
    return Timing(**told)


def as_simulated(
    objective: Callable[[Any], Any],
    given: Mapping[str, Any],
    limits: Mapping[str, tuple[float, float]],
    seed: int,
    threads: int,
) -> Simulated:
    """The objective of runs that differ in these parameters; given: arguments of fn.simulate. Raises DataError."""
    names = [name for name in inspect.signature(simulate).parameters if name not in NOT_HERE]
    if not isinstance(given, Mapping) or "model" not in given:
        raise DataError(
            f'simulate is {given!r}; arguments of fn.simulate by name, {{"model": "aln", ...}}, are expected'
        )
    for name in given:
        known(str(name), [*names, "random"], "simulate has no argument")
    params, random = given.get("params") or {}, given.get("random")
    if random not in (None, "own", "common"):
        raise DataError(f"random is {random!r}; 'own', 'common' or None is expected")
    model = find(given["model"], params, given.get("tables", "compatible"))
    asked = ask(
        model,
        given.get("connectome"),
        _timing(given),
        params=params,
        init=given.get("init") or {},
        stimulus=given.get("stimulus"),
        bold=given.get("bold", False),
        seed=seed,
        **{name: given[name] for name in ("tables", "device", "dtype") if name in given},
    )
    ends = [{name: pair[end] for name, pair in limits.items()} for end in (0, 1)]
    sets = as_sets(ends, None, model, params, given.get("connectome") is not None)
    own = noisy(asked, sets.sets) if random is None else random == "own"
    return Simulated(objective, asked, own, given.get("engine", "auto"), threads)
