"""What users give a parameter -> one number, or one for each node; never a course over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from formula_neuro.dynamics.model import Model
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.nearest import nearest

Value: TypeAlias = "float | Array"  # of all nodes, or (N,)
NEAR = 3  # names that may have been meant
SHORT = 12  # names that a message can list


def checked(model: Model, given: Mapping[str, Any], nodes: Sequence[str]) -> dict[str, Value]:
    """The parameters that are given, as numbers or (N,) arrays. Raises DataError."""
    if not isinstance(given, Mapping):
        raise DataError(f"params is of type {type(given).__name__}; a mapping of names to values is expected")
    for name in given:
        known_parameter(str(name), model)
    return {str(name): _value(model, str(name), value, nodes) for name, value in given.items()}


def known(name: str, names: Iterable[str], what: str, listed: str = "") -> None:
    """Raise DataError with the nearest names unless the name is one of them; `listed` says where many are listed."""
    names = list(names)
    if name not in names:
        near = [one for one in (nearest(name, names),) if one is not None]
        near = list(dict.fromkeys([*near, *get_close_matches(name, names, n=NEAR, cutoff=0.5)]))[:NEAR]
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        there = (
            f"there are {', '.join(names)}" if len(names) <= SHORT or not listed else f"{listed} lists all {len(names)}"
        )
        raise DataError(f"{what} {name!r}{hint} ({there})")


def known_parameter(name: str, model: Model) -> None:
    """Raise DataError unless the model has that parameter."""
    known(name, model.parameters, f"the model {model.name} has no parameter", f"fn.models({model.name!r})")


def one_of(value: Any, words: Sequence[str], what: str) -> None:
    """Raise DataError unless the value is one of the words."""
    if value not in words:
        raise DataError(f"{what}={value!r}; {' or '.join(repr(word) for word in words)} is expected")


def _value(model: Model, name: str, value: Any, nodes: Sequence[str]) -> Value:
    choices = model.parameters[name].choices
    if isinstance(value, str):
        if value not in choices:
            expected = f"one of {', '.join(choices)}" if choices else "a number"
            raise DataError(f"the parameter {name} is {value!r}; {expected} is expected")
        return float(choices[value])
    course = f"what varies in time goes into stimulus={{{name!r}: fn.stimuli.Array(...)}}, "
    hint = f"; {course if name in model.external else ''}sets of values go into fn.explore"
    found = by_node(name, value, nodes, hint)
    if found.ndim == 0 and choices and float(found) not in choices.values():
        raise DataError(f"the parameter {name} is {float(found):g}; one of {', '.join(choices)} is expected")
    return float(found) if found.ndim == 0 else found


def by_node(name: str, value: Any, nodes: Sequence[str], hint: str = "") -> Array:
    """A number () or (N,) values, a Series brought to the order of the nodes. Raises DataError, which ends in hint."""
    if isinstance(value, pd.Series):
        value = _ordered(name, value, nodes)
    try:
        found = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{name} is {_seen(value)}; a number, or one for each node, is expected") from None
    if found.ndim > 1 or (found.ndim == 1 and len(found) != len(nodes)):
        many = f"each of the {len(nodes)} nodes" if len(nodes) > 1 else "the one node (a network needs a connectome)"
        raise DataError(f"{name} has the shape {found.shape}; a number, or one for {many}, is expected{hint}")
    if not np.isfinite(found).all():
        raise DataError(f"{name} is {_seen(value)}; finite numbers are expected")
    return found


def _ordered(name: str, values: pd.Series, nodes: Sequence[str]) -> pd.Series:
    """A Series of values by the names of the nodes in their order."""
    index = [str(label) for label in values.index]
    missing = [node for node in nodes if node not in index]
    extra = [label for label in index if label not in nodes]
    if missing or extra or len(index) != len(nodes):
        told = (
            f"{len(missing)} nodes have no value ({missing[0]})" if missing else f"{extra[:1] or 'a label'} is no node"
        )
        raise DataError(f"{name} is a Series by node; {told}. Its index must be the connectome's names")
    return values.set_axis(index).loc[list(nodes)]


def _seen(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."


def batched(values: Sequence[Value]) -> Array:
    """One parameter's values in B sets as (1, 1), (N, 1), (1, B) or (N, B), the smallest that holds them."""
    first = values[0]
    if all(v is first or np.array_equal(v, first) for v in values):
        return np.atleast_1d(np.asarray(first, dtype=np.float64))[:, None]
    return np.stack(np.broadcast_arrays(*[np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in values]), axis=1)
