"""What is measured in each run: numbers by name, and arrays beside the table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from formula_neuro.errors import DataError

from ..simulation import Simulation

Measure: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Measures:
    """Functions by the names of their columns; one named "" answers a dict of its own.

    targets: what each subject's runs are compared with; measures of two arguments get the run and the subject's.
    """

    functions: Mapping[str, Measure]
    targets: Mapping[str, Any]

    def of(self, run: Simulation, subject: str | None) -> dict[str, Any]:
        """Every measure of a run that is sound, for a subject if there are targets."""
        found: dict[str, Any] = {}
        for name, function in self.functions.items():
            value = self._value(name, function, run, subject)
            found |= {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else {name or "measure": value}
        return {name: _plain(name, value) for name, value in found.items()}

    def _value(self, name: str, function: Measure, run: Simulation, subject: str | None) -> Any:
        arguments = [run] if arity(function) == 1 or subject is None else [run, self.targets[subject]]
        try:
            return function(*arguments)
        except Exception as error:
            error.add_note(f"this is an error of the measure {name!r} itself")
            raise


def arity(function: Measure) -> int:
    """How many arguments a measure wants, 1 or 2."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return 2 if sum(p.kind in kinds and p.default is p.empty for p in parameters) >= 2 else 1


def _plain(name: str, value: Any) -> Any:
    """A Python number or word, or an array."""
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"the measure {name!r} answered {type(value).__name__}; a number, a word or an array is expected"
        )
    return array.copy() if array.ndim else array.item()  # a view would hold the whole batch in memory


def usual(run: Simulation) -> dict[str, float]:
    """Of the first output: mean, maximum and minimum over time and nodes, and the nodes' mean sd over time."""
    name, values = next(iter(run.outputs.items()))
    return {
        f"mean_{name}": float(values.mean()),
        f"max_{name}": float(values.max()),
        f"min_{name}": float(values.min()),
        f"sd_{name}": float(values.std(axis=0).mean()),
    }


def as_measures(given: Any, targets: Mapping[str, Any] | None, outputs: bool) -> Measures:
    """A function, functions by name, or None for the usual ones. Raises DataError."""
    if given is None and not outputs:
        raise DataError("no output is recorded (outputs=[]); say what to measure, measure={'fc': lambda n: ...}")
    functions = {"": usual} if given is None else {"": given} if callable(given) else given
    if not isinstance(functions, Mapping) or not functions or not all(map(callable, functions.values())):
        raise DataError(
            f"measure is {given!r}; functions of a run by name, {{'max_rate': lambda n: ...}}, are expected"
        )
    if targets is not None and (not isinstance(targets, Mapping) or not targets):
        raise DataError(
            f"targets is of type {type(targets).__name__}; a mapping of subjects is expected, as {{'s1': fc}}"
        )
    compared = [name for name, function in functions.items() if arity(function) == 2]
    if compared and targets is None:
        raise DataError(f"the measure {compared[0]!r} wants two arguments: give targets= by subject, or use one")
    if targets is not None and not compared:
        raise DataError("targets are given, and no measure takes two arguments: lambda n, target: ...")
    return Measures(dict(functions), {str(k): v for k, v in (targets or {}).items()})
