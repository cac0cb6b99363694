"""The reference grid: the settings of the predictors at which a model's means are taken (Searle, Speed and Milliken
1980; Lenth 2016)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..design import Design
from ..errors import DataError
from ..family import Array
from ..syntax.expression import label, names
from ..values import Categorical, from_column

KEPT = 2  # a number with no more values than this is taken at each of them, as emmeans does


@dataclass(frozen=True)
class Axis:
    """One predictor and its settings; `numeric` where these are numbers, or levels that read as such."""

    name: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]
    numeric: bool


@dataclass(frozen=True, eq=False)
class Grid:
    """All combinations of the axes' settings, the first running fastest, as rows of a design."""

    axes: tuple[Axis, ...]
    matrix: Array  # (combinations, p)
    offset: float  # the mean of the offsets over the rows used, as in emmeans

    def averaged(self, kept: Sequence[str]) -> tuple[list[tuple[int, ...]], Array]:
        """The settings of the axes named, their first running fastest, and the mean row over all others, (q, p).

        A setting is its place on each of these axes.
        """
        names = [axis.name for axis in self.axes]
        order = [names.index(name) for name in kept]
        rest = [i for i in range(len(names)) if i not in order]
        sizes = [len(axis.values) for axis in self.axes]
        cube = self.matrix.reshape([*sizes[::-1], self.matrix.shape[1]])  # the last axis first
        place = {i: len(sizes) - 1 - i for i in range(len(sizes))}
        moved = cube.transpose([*(place[i] for i in (*rest, *reversed(order))), len(sizes)])
        rows = moved.mean(axis=tuple(range(len(rest)))).reshape(-1, self.matrix.shape[1])
        return [s[::-1] for s in itertools.product(*(range(sizes[i]) for i in reversed(order)))], rows


def reference_grid(design: Design, at: Mapping[str, Any] | None = None) -> Grid:
    """Factors at all levels, numbers at their mean over the rows used, or at the values that `at` gives.

    Raises DataError for an `at` that names no predictor of the fixed part, or where there is none.
    """
    wanted = _predictors(design)
    if not wanted:
        raise DataError("the fixed part has no predictor, so there is one mean only: the intercept")
    given = dict(at or {})
    unknown = [name for name in given if name not in wanted]
    if unknown:
        raise DataError(f"at: {unknown[0]} is no predictor of the fixed part; there are {', '.join(wanted)}")
    axes = tuple(_axis(design, name, given.get(name)) for name in wanted)
    rows = [r[::-1] for r in itertools.product(*(axis.values for axis in reversed(axes)))]
    table = pd.DataFrame({axis.name: _column(design, axis, [r[i] for r in rows]) for i, axis in enumerate(axes)})
    table.index = pd.RangeIndex(len(rows))
    without_offset = replace(design, recipe=replace(design.recipe, offset=None, free_offset=False))
    return Grid(axes, without_offset.apply(table, random=False).matrix, float(design.offset.mean()))


def _predictors(design: Design) -> tuple[str, ...]:
    formula = design.formula
    used = [names(node) for node in (*formula.fixed.variables, *formula.offsets)]
    return tuple(dict.fromkeys(name.text for group in used for name in group if name.text in design.data.columns))


def _axis(design: Design, name: str, given: Any) -> Axis:
    column = from_column(design.data[name], name)
    if isinstance(column, Categorical):
        used = column.without_unused()
        levels = used.levels if given is None else tuple(map(str, _listed(given)))
        strange = [level for level in levels if level not in used.levels]
        if strange:
            raise DataError(f"at: {name} has no level {strange[0]}; there are {', '.join(used.levels)}")
        return Axis(name, levels, levels, not used.logical and _are_numbers(levels))
    if not isinstance(column, np.ndarray):
        raise DataError(f"{name} is a matrix of columns, which a reference grid cannot hold")
    seen = np.unique(column)
    coded = f"factor({name})" in {label(node) for node in design.formula.fixed.variables}
    if given is not None:
        values = np.array(_listed(given), dtype=float)
    elif coded or len(seen) <= KEPT:
        values = seen
    else:
        values = np.array([column.mean()])
    return Axis(name, tuple(values.tolist()), tuple(f"{v:.15g}" for v in values), True)


def _listed(given: Any) -> list[Any]:
    return [given] if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__") else list(given)


def _are_numbers(levels: tuple[str, ...]) -> bool:
    try:
        return all(np.isfinite(float(level)) for level in levels)
    except ValueError:
        return False


def _column(design: Design, axis: Axis, values: list[Any]) -> Any:
    """The settings as the data holds such a column, so that they are read as it was."""
    known = from_column(design.data[axis.name], axis.name)
    if not isinstance(known, Categorical):
        return np.array(values, dtype=float)
    if known.logical:
        return [value == "TRUE" for value in values]
    if known.numbers is not None:
        return np.array([known.numbers[known.levels.index(value)] for value in values])
    return pd.Categorical(values, categories=list(known.levels), ordered=known.ordered)
