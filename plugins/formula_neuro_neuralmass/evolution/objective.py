"""What an objective is asked and what it may answer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.running.pieces import finished

from .history import Brood

EXPECTED = "a number or a tuple of numbers, or a pair of these and a dict of results, is expected"


@dataclass(frozen=True)
class Individual:
    """One set of parameters: individual.x, or individual["x"]; its id and its generation."""

    params: Mapping[str, float]
    id: int
    generation: int

    def __getattr__(self, name: str) -> float:
        params = self.__dict__.get("params", {})  # unpickling asks before it is there
        if name in params:
            return float(params[name])
        raise AttributeError(_no_parameter(name, params))

    def __getitem__(self, name: str) -> float:
        if name not in self.params:
            raise KeyError(_no_parameter(name, self.params))
        return float(self.params[name])


def _no_parameter(name: str, params: Mapping[str, float]) -> str:
    from ..simulation import Simulation

    of_run = name in Simulation.__dataclass_fields__ or hasattr(Simulation, name)
    hint = "; an objective of a run, as n.fc(), needs simulate={...}" if of_run else ""
    return f"no parameter is named {name!r}; there are {', '.join(params)}{hint}"


def check_objective(objective: Any, names: Sequence[str]) -> None:
    """Raise DataError unless it can be called with one individual."""
    if not callable(objective):
        raise DataError(f"objective is {objective!r}; a function of one individual is expected")
    try:
        signature = inspect.signature(objective)
    except (TypeError, ValueError):
        return  # compiled functions do not tell theirs
    try:
        signature.bind(None)
    except TypeError as error:
        values = ", ".join(f"p.{name}" for name in names)
        raise DataError(
            f"the objective takes {signature}; it is called with one individual, p, whose parameters are {values} "
            f"({error})"
        ) from None


@dataclass(frozen=True)
class Evaluated:
    """Of a generation of m individuals: fitness (m, F) as the objective gave it, and results by the individual's id."""

    fitness: Array
    results: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class OneByOne:
    """An objective that gets an individual at a time; called with a list of them."""

    objective: Callable[[Individual], Any]

    def __call__(self, individuals: Sequence[Individual]) -> list[Any]:
        return [self._one(individual) for individual in individuals]

    def _one(self, individual: Individual) -> Any:
        with own_error(individual):
            return self.objective(individual)


@contextmanager
def own_error(individual: Individual) -> Iterator[None]:
    """An error in here says that it is the objective's, and of which individual."""
    try:
        yield
    except Exception as error:
        at = ", ".join(f"{name} = {value:g}" for name, value in individual.params.items())
        error.add_note(f"this is the objective's own error, of individual {individual.id} ({at})")
        raise


@dataclass(frozen=True)
class Whole:
    """An objective that gets a generation at a time, as a table with a row an individual; the index is the id."""

    objective: Callable[[pd.DataFrame], Any]

    def __call__(self, individuals: Sequence[Individual]) -> list[Any]:
        table = pd.DataFrame([dict(i.params) for i in individuals], index=[i.id for i in individuals])
        found = self.objective(table)
        answers = found if isinstance(found, list) else list(np.asarray(found))
        if len(answers) != len(individuals):
            raise DataError(f"the objective answered {len(answers)} rows for {len(individuals)} individuals")
        return [tuple(a) if isinstance(a, np.ndarray) and a.ndim else a for a in answers]


def evaluated(
    ask: Callable[[Sequence[Individual]], list[Any]],
    brood: Brood,
    names: Sequence[str],
    first: int,
    generation: int,
    objectives: int | None,
    workers: Any = None,
    together: int = 1,
) -> Evaluated:
    """The fitness of a brood whose first id is `first`; objectives: how many there were before, None: not known.

    together: individuals that a client or an executor gets at a time.
    """
    people = [
        Individual({n: float(v) for n, v in zip(names, row, strict=True)}, first + k, generation)
        for k, row in enumerate(brood.genes)
    ]
    answers: list[Any] = [None] * len(people)
    for place, found in finished(ask, pieces := _pieces(people, workers, together), workers):
        start = sum(map(len, pieces[:place]))
        answers[start : start + len(found)] = found
    split = [_split(a) for a in answers]
    results = {p.id: r for p, (_, r) in zip(people, split, strict=True) if r}
    return Evaluated(_stacked([f for f, _ in split], people, objectives), results)


def _pieces(people: list[Individual], workers: Any, together: int) -> list[list[Individual]]:
    """Four pieces a worker, so that slow individuals do not keep the others waiting; one here."""
    if workers is None or workers == 1:
        return [people]
    size = max(1, len(people) // (4 * workers)) if isinstance(workers, (int, np.integer)) else together
    return [people[i : i + size] for i in range(0, len(people), size)]


def _split(answer: Any) -> tuple[tuple[float, ...], Mapping[str, Any]]:
    """An answer as its numbers and its results."""
    results: Mapping[str, Any] = {}
    if isinstance(answer, (tuple, list)) and len(answer) == 2 and isinstance(answer[1], Mapping):
        answer, results = answer
    values = list(_numbers(answer))
    if not values:
        raise DataError(f"the objective answered {answer!r}; {EXPECTED}")
    return tuple(values), results


def _numbers(answer: Any) -> Iterator[float]:
    if isinstance(answer, (str, Mapping)) or answer is None:
        raise DataError(f"the objective answered {answer!r} ({type(answer).__name__}); {EXPECTED}")
    try:
        yield from (float(value) for value in np.ravel(np.asarray(answer, dtype=float)))
    except (TypeError, ValueError):
        raise DataError(f"the objective answered {answer!r}; {EXPECTED}") from None


def _stacked(found: list[tuple[float, ...]], people: list[Individual], objectives: int | None) -> Array:
    """(m, F); one NaN stands for a failed individual whatever F."""
    failed = [len(f) == 1 and not np.isfinite(f[0]) for f in found]
    lengths = {len(f): p for f, p, bad in zip(found, people, failed, strict=True) if not bad}
    if objectives is not None:
        lengths.setdefault(objectives, people[0])
    if len(lengths) > 1:
        told = ", ".join(str(n) for n in sorted(lengths))
        raise DataError(f"the objective answered different counts of numbers ({told}); as many for all are expected")
    F = next(iter(lengths), 1)
    return np.array([(np.nan,) * F if bad else f for f, bad in zip(found, failed, strict=True)])
