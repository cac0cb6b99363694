"""Pictures of an exploration: a map with contours over two parameters, lines over one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from formula_neuro.display.plot import CYCLE, GREY, INK, drawn
from formula_neuro.errors import DataError, Unable
from formula_neuro.family import Array

from ..parameters import known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .answer import Exploration

LEVELS = 6  # contours
BRIGHT = 0.6  # the share of the scale from which white lines would not be seen
MOST_LINES = 8


def plot(exploration: Exploration, measure: str | None, x: str | None, y: str | None) -> Figure:
    """A map where two parameters vary on a grid, else lines."""
    table = exploration.table
    if not exploration.measures:
        raise Unable("nothing was measured that is one number")
    shown = exploration.measures[0] if measure is None else measure
    known(shown, exploration.measures, "the exploration has no measure")
    if not is_numeric_dtype(table[shown]):
        raise Unable(f"{shown} is no number; count its words with table.value_counts()")
    across, up = _axes(exploration, x, y)
    if up is not None and (whole := _grid(table, shown, across, up)) is not None:
        return drawn((5.8, 4.4), lambda figure: _map(figure, whole, shown, across, up))
    return drawn((5.8, 3.8), lambda figure: _lines(figure.add_subplot(), table, shown, across, up))


def _axes(exploration: Exploration, x: str | None, y: str | None) -> tuple[str, str | None]:
    """The parameters across and up: those asked for, else the first that vary."""
    table, names = exploration.table, exploration.parameters
    for name in (x, y):
        if name is not None:
            known(name, names, "the exploration varies no parameter")
    varied = [name for name in names if table[name].nunique() > 1] or list(names)
    across = x if x is not None else next(name for name in [*varied, *names] if name != y)
    rest = [name for name in varied if name != across]
    up = y if y is not None else (rest[0] if rest else None)
    if up == across:
        raise DataError(f"x and y are both {across}; two parameters are expected, or x alone")
    return across, up


def _grid(table: pd.DataFrame, measure: str, x: str, y: str) -> pd.DataFrame | None:
    """Means over all else, a row a value of y and a column a value of x; None where these are no grid of numbers."""
    if not (is_numeric_dtype(table[x]) and is_numeric_dtype(table[y])):
        return None
    grid = table.pivot_table(index=y, columns=x, values=measure, aggfunc="mean", dropna=False)
    pairs = len(table[[x, y]].drop_duplicates())
    return grid if min(grid.shape) >= 3 and pairs == grid.size else None


def _map(figure: Figure, grid: pd.DataFrame, measure: str, x: str, y: str) -> None:
    axes = figure.add_subplot()
    across, up = grid.columns.to_numpy(float), grid.index.to_numpy(float)
    values = np.ma.masked_invalid(grid.to_numpy(float))
    axes.set_facecolor("#DDDDDD")  # where all runs failed
    shade = axes.pcolormesh(_edges(across), _edges(up), values, cmap="viridis", rasterized=True)
    if values.count() and values.min() < values.max():
        lines = axes.contour(across, up, values, LEVELS, linewidths=0.8, colors="white")
        bright = values.min() + BRIGHT * np.ptp(values)
        colours = [INK if level > bright else "white" for level in lines.levels]
        lines.set_edgecolor(colours)
        axes.clabel(lines, fontsize=8, fmt="%g", colors=colours)
    axes.set(xlabel=x, ylabel=y)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.colorbar(shade, ax=axes, label=measure)


def _edges(centres: Array) -> Array:
    """The limits of the cells about these values."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _lines(axes: Axes, table: pd.DataFrame, measure: str, x: str, by: str | None) -> None:
    """The mean at each value of x, with the standard deviation over repetitions; thin lines are subjects."""
    groups = [("mean", table)] if by is None else [(_short(value), part) for value, part in table.groupby(by)]
    if len(groups) > MOST_LINES:
        groups = [groups[int(k)] for k in np.linspace(0, len(groups) - 1, MOST_LINES).round()]
    people = [] if by is not None or "subject" not in table else [part for _, part in table.groupby("subject")]
    for part in people:
        axes.plot(*_means(part, measure, x)[:2], color=GREY, lw=0.8, alpha=0.7, label="subjects")
    repeated = "replicate" in table and table["replicate"].nunique() > 1 and not people
    for k, (name, part) in enumerate(groups):
        at, mean, sd = _means(part, measure, x)
        colour = CYCLE[k % len(CYCLE)] if by is not None else INK
        axes.errorbar(at, mean, sd if repeated else None, fmt="o-", ms=3.5, lw=1.6, capsize=2, color=colour,
                      elinewidth=0.8, label=name)  # fmt: skip
    if not is_numeric_dtype(table[x]):
        axes.set_xticks(range(table[x].nunique()), [str(v) for v in table[x].unique()])
    axes.set(xlabel=x, ylabel=f"{measure} (mean, sd)" if repeated else measure)
    if by is not None or people:
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # each label once
        axes.legend(handles.values(), handles.keys(), title=by)
    axes.grid(axis="y", color=GREY, alpha=0.25, lw=0.6)


def _means(table: pd.DataFrame, measure: str, x: str) -> tuple[Array, Array, Array]:
    """Each value of x (words: their place), and the measure's mean and standard deviation there."""
    found = table.groupby(x, sort=is_numeric_dtype(table[x]))[measure].agg(["mean", "std"])
    at = found.index.to_numpy(float) if is_numeric_dtype(table[x]) else np.arange(float(len(found)))
    return at, found["mean"].to_numpy(), found["std"].fillna(0.0).to_numpy()


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
