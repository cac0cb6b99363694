"""The reference grid: the settings of the predictors at which a model's means are taken (Searle, Speed and Milliken
1980; Lenth 2016)."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...data.values import Categorical, from_column
from ...design import Design
from ...errors import DataError
from ...family import Array
from ...syntax.expression import label, names

WEIGHTS = ("equal", "proportional", "outer", "cells", "flat")
KEPT = 2  # a number with no more values than this is taken at each of them, as emmeans does


@dataclass(frozen=True)
class Axis:
    """One predictor and its settings; `numeric` where these are numbers, or levels that read as such.

    `numbers` where the column itself holds numbers.
    """

    name: str
    values: tuple[Any, ...]
    labels: tuple[str, ...]
    numeric: bool
    numbers: bool = False


@dataclass(frozen=True, eq=False)
class Grid:
    """All combinations of the axes' settings, the first running fastest, as rows of a design."""

    axes: tuple[Axis, ...]
    matrix: Array  # (combinations, p)
    offset: float  # the mean of the offsets over the rows used, as in emmeans
    counts: Array  # (combinations,) rows used that are there, whatever their numbers with one value or given ones

    def averaged(self, kept: Sequence[str], weights: str = "equal") -> tuple[list[tuple[int, ...]], Array]:
        """The settings of the axes named, their first running fastest, and the mean row over all others, (q, p).

        A setting is its place on each of these axes. weights: one of WEIGHTS, see emmeans(); NaN without any row.
        """
        names = [axis.name for axis in self.axes]
        order = [names.index(name) for name in kept]
        rest = [i for i in range(len(names)) if i not in order]
        sizes = [len(axis.values) for axis in self.axes]
        place = {i: len(sizes) - 1 - i for i in range(len(sizes))}  # in arrays the last axis comes first
        to = [place[i] for i in (*rest, *reversed(order))]
        cube = self.matrix.reshape([*sizes[::-1], -1]).transpose([*to, len(sizes)])
        cube = cube.reshape(-1, *cube.shape[len(rest) :])
        counts = self.counts.reshape(sizes[::-1]).transpose(to)
        w = _weights(counts, len(rest), weights).reshape(cube.shape[:-1])
        with np.errstate(invalid="ignore", divide="ignore"):
            rows = np.einsum("a...,a...p->...p", w / w.sum(axis=0), cube).reshape(-1, self.matrix.shape[1])
        return [s[::-1] for s in itertools.product(*(range(sizes[i]) for i in reversed(order)))], rows


def _weights(counts: Array, rest: int, word: str) -> Array:
    """Weights of all cells, of which the first `rest` axes are averaged over."""
    own = tuple(range(rest, counts.ndim))
    if rest == 0:  # each mean is one cell
        return np.ones(counts.shape)
    if word == "cells":
        return counts
    if word == "flat":  # empty cells left out
        return (counts > 0).astype(float)
    if word == "proportional":
        return np.broadcast_to(counts.sum(axis=own, keepdims=True), counts.shape)
    out = np.ones(counts.shape)
    if word == "outer":
        for i in range(rest):
            out = out * counts.sum(axis=tuple(j for j in range(counts.ndim) if j != i), keepdims=True)
    return out


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
    matrix = without_offset.apply(table, random=False).matrix
    return Grid(axes, matrix, float(design.offset.mean()), _counts(design, axes, set(given)))


def _counts(design: Design, axes: Sequence[Axis], given: Collection[str]) -> Array:
    """Rows used in each combination; numbers with one value or with values given do not tell rows apart."""
    blind = [axis.numbers and (axis.name in given or len(axis.values) == 1) for axis in axes]
    cell, inside = np.zeros(len(design.data), dtype=np.intp), np.ones(len(design.data), dtype=bool)
    for axis, one in zip(reversed(axes), reversed(blind), strict=True):
        if not one:
            place = _places(design, axis)
            inside &= place >= 0
            cell = cell * len(axis.values) + np.maximum(place, 0)
    seen = [1 if one else len(axis.values) for axis, one in zip(axes, blind, strict=True)]
    counts = np.bincount(cell[inside], minlength=int(np.prod(seen))).reshape(seen[::-1])
    return np.broadcast_to(counts, [len(axis.values) for axis in reversed(axes)]).ravel().astype(float)


def _places(design: Design, axis: Axis) -> NDArray[np.intp]:
    """Each row's place (n,) on an axis, -1 beside it."""
    column = from_column(design.data[axis.name], axis.name)
    if isinstance(column, Categorical):
        known = np.array([axis.labels.index(level) if level in axis.labels else -1 for level in column.levels])
        return np.where(column.codes < 0, -1, known[column.codes])
    assert isinstance(column, np.ndarray)
    return np.searchsorted(np.array(axis.values, dtype=float), column)


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
    whole = bool((values == np.round(values)).all())  # 1, 2, 3 are printed so
    settings = tuple(values.astype(int).tolist() if whole else values.tolist())
    return Axis(name, settings, tuple(f"{v:.15g}" for v in values), True, True)


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
