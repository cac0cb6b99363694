"""What a user gives as parameters to explore -> a list of parameter sets."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_integer_dtype

from formula_neuro.dynamics.model import Model
from formula_neuro.errors import DataError

from ..parameters import known_parameter

KINDS = ("grid", "zip", "sequence", "list")
EXPECTED = 'values of each parameter, such as {"mue_ext_mean": [0, 1, 2]}, or a list of sets, are expected'


@dataclass(frozen=True, eq=False)
class Sets:
    """Parameter sets, values by name; axes: the values along each parameter, for grids and sequences."""

    kind: str
    names: tuple[str, ...]
    sets: tuple[Mapping[str, Any], ...]
    axes: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(self.sets)

    def column(self, name: str, standing: Any) -> list[Any]:
        """A parameter in each set, as a table holds it; `standing` where a set has none.

        Values by node have no place in a table: their number among those given stands for them.
        """
        values = [one.get(name, standing) for one in self.sets]
        if not any(np.ndim(v) for v in values):
            return [v if isinstance(v, str) else float(v) for v in values]
        seen: list[Any] = []
        return [_numbered(v, seen) for v in values]


def _numbered(value: Any, seen: list[Any]) -> str:
    """ "values 1", "values 2", ... in the order in which they were met."""
    for place, other in enumerate(seen):
        if np.shape(value) == np.shape(other) and np.array_equal(np.asarray(value), np.asarray(other)):
            return f"values {place + 1}"
    seen.append(value)
    return f"values {len(seen)}"


def as_sets(given: Any, kind: str | None, model: Model, fixed: Mapping[str, Any], network: bool) -> Sets:
    """The sets that are meant. Raises DataError."""
    if isinstance(given, pd.DataFrame):
        given = given.to_dict("records")
    listed = not isinstance(given, Mapping)
    how = ("list" if listed else "grid") if kind is None else kind
    if how not in KINDS or (how == "list") != listed:
        seen = "a list of sets" if listed else "values by parameter"
        raise DataError(f"kind is {kind!r} and parameters are {seen}; {', '.join(KINDS[:3])}, or a list is expected")
    made = _listed(given) if listed else _spanned(_axes(given), how)
    for name in made.names:
        known_parameter(name, model)
        if name in fixed:
            raise DataError(f"{name} is explored and also given in params; give it once")
        if name in model.network and not network:
            raise DataError(f"{name} acts between nodes only; give a connectome, or leave it out")
    return made


def _axes(given: Mapping[Any, Any]) -> dict[str, list[Any]]:
    if not given:
        raise DataError(f"no parameter is explored; {EXPECTED}")
    axes = {}
    for name, values in given.items():
        if isinstance(values, (str, int, float, np.number)):
            values = [values]
        if isinstance(values, pd.Series) and not is_integer_dtype(values.index):
            raise DataError(
                f"{name} is a Series by node ({values.index[0]!r}, ...): one set's values. [{name}] explores it as one "
                f"set, {name}.to_numpy() as a number a set"
            )
        if not isinstance(values, Iterable) or isinstance(values, Mapping):
            raise DataError(f"the values of {name} are {values!r}; {EXPECTED}")
        axis = list(values)
        if not axis:
            raise DataError(f"{name} has no values; {EXPECTED}")
        _check_values(str(name), axis)
        axes[str(name)] = axis
    return axes


def _check_values(name: str, axis: list[Any]) -> None:
    for value in axis:
        if isinstance(value, str) or np.ndim(value):
            continue  # words and values by node are checked with the model
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise DataError(f"{name} has the value {value!r}; numbers are expected") from None
        if not np.isfinite(number):
            raise DataError(f"{name} has the value {number}; finite numbers are expected")


def _spanned(axes: Mapping[str, list[Any]], kind: str) -> Sets:
    for name, axis in axes.items():
        repeated = _repeated(axis) if kind != "zip" else None
        if repeated is not None:
            raise DataError(f"{name} has the value {repeated!r} twice; values differ, replicates= repeats runs")
    if kind == "grid":
        sets = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    elif kind == "sequence":
        sets = [{name: value} for name, axis in axes.items() for value in axis]
    else:
        lengths = {name: len(axis) for name, axis in axes.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name}: {n}" for name, n in lengths.items())
            raise DataError(f'kind="zip" takes as many values of each parameter; got {told}')
        sets = [dict(zip(axes, values, strict=True)) for values in zip(*axes.values(), strict=True)]
    return Sets(kind, tuple(axes), tuple(sets), {} if kind == "zip" else dict(axes))


def _repeated(axis: list[Any]) -> Any:
    single = [value for value in axis if not np.ndim(value)]
    return next((v for k, v in enumerate(single) if v in single[:k]), None)


def _listed(given: Any) -> Sets:
    if not isinstance(given, Sequence) or isinstance(given, str) or not all(isinstance(one, Mapping) for one in given):
        raise DataError(f"parameters are of type {type(given).__name__}; {EXPECTED}")
    if not given:
        raise DataError(f"the list of sets is empty; {EXPECTED}")
    sets = [{str(name): value for name, value in one.items()} for one in given]
    for one in sets:
        for name, value in one.items():
            _check_values(name, [value])
    names = tuple(dict.fromkeys(name for one in sets for name in one))
    if not names:
        raise DataError(f"the sets have no parameter; {EXPECTED}")
    return Sets("list", names, tuple(sets), {})
