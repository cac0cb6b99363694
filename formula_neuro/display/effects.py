"""The picture of a fitted effect: the population's curve with its band, a curve a group, and the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import NewLevels
from ..family import Array
from ..syntax.expression import label, names
from .bins import binned, wilson
from .curves import Curve, fitted_curve, is_number, levels_of, partner, predictors
from .diagnostics import drawn, thinned
from .plot import BLUE, CYCLE, GREY, INK, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..result import Fit

MOST_LEVELS = 12


@dataclass(frozen=True, eq=False)
class Line:
    """One population curve with its colour and words, and the rows (n,) of the data that belong to it."""

    curve: Curve
    colour: str
    label: str
    rows: NDArray[np.bool_]


def effects(fit: Fit) -> list[Picture]:
    """The effect of every predictor that can be drawn, numbers before factors."""
    data = fit.request.design.data
    return [
        _effect(fit, name)
        for name in predictors(fit)
        if is_number(data[name]) or len(levels_of(data[name])) <= MOST_LEVELS
    ]


def _effect(fit: Fit, name: str) -> Picture:
    """The effect of one predictor; a factor that interacts with it gives one curve a level."""
    column = fit.request.design.data[name]
    by = partner(fit, name)
    try:
        lines = _lines(fit, name, by)
    except NewLevels:  # factor(dose) knows the doses that there were, and none in between
        lines = _lines(fit, name, by, between=False)

    def draw(axes: Axes) -> None:
        _draw_numeric(axes, fit, column, lines) if is_number(column) else _draw_factor(axes, fit, column, lines)
        axes.set_xlabel(name)
        axes.set_ylabel(response_words(fit))

    title = f"Effect of {name}" + (f" by {by}" if by else "")
    return Picture(title, _caption(fit, name, by, lines[0].curve), draw, kind="effects")


def _lines(fit: Fit, name: str, by: str | None, between: bool = True) -> list[Line]:
    data = fit.request.design.data
    at: Any = levels_of(data[name])
    if is_number(data[name]):
        seen = np.unique(data[name].to_numpy(dtype=float))
        grid = np.linspace(seen[0], seen[-1], 120)
        # The values that there are, where they are few: a step of I(x > 4) then lies where the data has it.
        at = np.union1d(grid, seen) if between and len(seen) <= 120 else grid if between else seen
    if by is None:
        words = "population" if fit.infinite else "population (95 %)"
        return [Line(fitted_curve(fit, name, at), INK, words, np.ones(len(data), bool))]
    levels = levels_of(data[by])
    return [
        Line(fitted_curve(fit, name, at, {by: level}), CYCLE[i], f"{by} = {level}", (data[by] == level).to_numpy())
        for i, level in enumerate(levels)
    ]


def partial(fit: Fit, column: pd.Series, lines: list[Line]) -> Array:
    """The responses (n,) as they would be with the other predictors held where the curves hold them.

    Each row moves on the link's scale by s = eta of its curve at its x less its own fixed part, so that a model with
    this predictor alone shows the responses themselves: y + s for the identity, y exp(s) for the log, and
    y + (g^-1(eta + s) - mu) otherwise.
    """
    request, link = fit.request, fit.request.family.link
    if fit.infinite:  # by how much to move is unknown
        return np.asarray(request.y)
    own = request.design.matrix @ np.nan_to_num(fit.beta) + request.design.offset
    shift = np.zeros(len(own))
    for line in lines:
        curve = line.curve
        levels = dict(zip(curve.levels, curve.eta, strict=True)) if curve.levels else {}
        here = column[line.rows]
        at = here.astype(str).map(levels) if levels else np.interp(here.to_numpy(dtype=float), curve.x, curve.eta)
        shift[line.rows] = np.asarray(at, dtype=float) - own[line.rows]
    if link.name in ("identity", "log"):
        return np.asarray(request.y + shift if link.name == "identity" else request.y * np.exp(shift))
    return np.asarray(request.y + link.inverse(fit.eta + shift) - link.inverse(fit.eta))


# ---- drawing -------------------------------------------------------------------------------------
def _draw_numeric(axes: Axes, fit: Fit, column: pd.Series, lines: list[Line]) -> None:
    x, weights = column.to_numpy(dtype=float), fit.request.weights
    y = partial(fit, column, lines)
    _draw_groups(axes, fit, lines)
    if is_binary(fit):
        for line in lines:
            rows = line.rows
            _draw_shares(axes, x[rows], y[rows], fit.request.y[rows], weights[rows], line.colour)
        axes.plot([], [], "o", color=INK, mfc="white", label="observed, in tenths of the rows")
        axes.set_ylim(-0.12, 1.34 + 0.08 * len(lines))  # room for the legend above the ticks
        axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    else:
        x = x + _jitter(len(x), 0.015 * np.ptp(x) if len(np.unique(x)) <= 6 else 0.0)
        _draw_dots(axes, fit, lines, x, y)
    for line in lines:
        if not fit.infinite:  # their standard errors are only where the iterations stopped
            axes.fill_between(
                line.curve.x, line.curve.low, line.curve.high, color=line.colour, alpha=0.13, lw=0, zorder=3
            )
        axes.plot(line.curve.x, line.curve.mean, color=line.colour, lw=2.4, zorder=4, label=line.label)
    axes.legend(loc="upper left" if is_binary(fit) else "best")


def _draw_shares(axes: Axes, x: Array, y: Array, raw: Array, weights: Array, colour: str) -> None:
    """0/1 responses: every row as a tick at its side, and (partial) shares y in tenths of the rows."""
    for value in (0.0, 1.0):
        there = x[raw == value]
        axes.plot(there, np.full(len(there), 1.1 * value - 0.05), "|", ms=6, color=GREY, alpha=0.5)
    if weights.sum() == 0:
        return
    b = binned(x, y, weights, 10)
    share = np.clip(b.mean, 0.0, 1.0)
    low, high = wilson(share, b.weight)
    bars = np.maximum([share - low, high - share], 0.0)
    axes.errorbar(b.x, share, bars, fmt="o", ms=5, color=colour, mfc="white", lw=1, zorder=5)


def _draw_dots(axes: Axes, fit: Fit, lines: list[Line], x: Array, y: Array) -> None:
    colours, dots = _row_colours(fit, lines), thinned(np.abs(y - y.mean()))
    shown = colours if isinstance(colours, str) else [colours[i] for i in dots]
    axes.scatter(x[dots], y[dots], s=9, c=shown, alpha=_alpha(len(dots)), lw=0, zorder=1)


def _draw_factor(axes: Axes, fit: Fit, column: pd.Series, lines: list[Line]) -> None:
    levels = lines[0].curve.levels
    x = column.astype(str).map({level: i for i, level in enumerate(levels)}).to_numpy(dtype=float)
    _draw_dots(axes, fit, lines, x + _jitter(len(x), 0.22), partial(fit, column, lines))
    _draw_groups(axes, fit, lines)
    for i, line in enumerate(lines):
        curve, aside = line.curve, 0.12 * (i - (len(lines) - 1) / 2)
        bars = None if fit.infinite else [curve.mean - curve.low, curve.high - curve.mean]
        look: Any = {"fmt": "s", "ms": 6, "color": line.colour, "lw": 2.2, "zorder": 4}
        axes.errorbar(curve.x + aside, curve.mean, bars, label=line.label, **look)
    slanted: Any = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, levels)) > 36 else {}
    axes.set_xticks(lines[0].curve.x, levels, **slanted)
    axes.legend(loc="best")


def _draw_groups(axes: Axes, fit: Fit, lines: list[Line]) -> None:
    """A thin curve a group, where there is one population to compare them with."""
    if len(lines) > 1 or not len(lines[0].curve.groups):
        return
    colours = _group_colours(len(lines[0].curve.groups))
    for own, colour in zip(lines[0].curve.groups, colours, strict=True):
        axes.plot(lines[0].curve.x, own, color=colour, lw=1, alpha=0.7, zorder=2)
    axes.plot([], [], color=colours[0], lw=1, label=f"each {fit.random[0].group}")


def _group_colours(n: int) -> list[str]:
    """A colour a group; one for all where there are more groups than colours."""
    return list(CYCLE[:n]) if n <= len(CYCLE) else [CYCLE[5]] * n


def _row_colours(fit: Fit, lines: list[Line]) -> list[str] | str:
    """The colour of each row's dot: its line's, else its group's."""
    if len(lines) > 1:
        return [lines[i].colour for i in np.argmax([line.rows for line in lines], axis=0)]
    n = len(lines[0].curve.groups)
    return [_group_colours(n)[code] for code in fit.request.design.random[0].codes] if n else BLUE


def _jitter(n: int, width: float) -> Array:
    """Small shifts, the same each time, so that points do not hide one another."""
    return np.random.default_rng(0).uniform(-width, width, n)


def is_binary(fit: Fit) -> bool:
    return fit.request.family.name == "binomial" and set(np.unique(fit.request.y)) <= {0.0, 1.0}


def _alpha(n: int) -> float:
    return float(np.clip(12 / np.sqrt(max(n, 1)), 0.15, 0.8))


# ---- words ---------------------------------------------------------------------------------------
def response_words(fit: Fit) -> str:
    """What the vertical axis shows: "lick (probability)", "Reaction"."""
    design = fit.request.design
    name = label(design.formula.response) if design.formula.response is not None else "response"
    name = name if len(name) <= 32 else f"{name[:31]}…"
    if design.y is not None and design.y.ndim == 2:
        return "probability of a success"
    if fit.request.family.name == "binomial":
        success = f" = {design.y_levels[1]}" if design.y_levels and design.y_levels[1] != "TRUE" else ""
        return f"{name}{success} (probability)"
    return name


def _caption(fit: Fit, name: str, by: str | None, curve: Curve) -> str:
    fixed = {n.text for v in fit.request.design.formula.fixed.variables for n in names(v)}
    held = [c for c in fit.request.design.data.columns if c in fixed and c not in (name, by)]
    held += ["offset"] if fit.request.design.extra_offset is not None else []
    typical = ", for a typical group (random effects of zero)" if fit.random else ""
    each = f", for each {by}" if by else ""
    limits = "without limits, as separation leaves it none" if fit.infinite else "with pointwise 95 % limits"
    words = f"Fitted mean along {name}{each}{typical}, {limits}. "
    if len(curve.groups) and not by:
        words += f"Thin lines: each {fit.random[0].group} with its own random effects. "
    if held:
        more = f" and {len(held) - 6} more" if len(held) > 6 else ""
        moved = "" if fit.infinite else "; dots are moved accordingly"
        words += f"Held at their middle or commonest value: {', '.join(held[:6])}{more}{moved}. "
    if is_binary(fit) and not curve.levels:
        words += "Ticks are single rows; circles their observed shares with 95 % limits."
    if not is_binary(fit):
        words += drawn(thinned(fit.request.y), len(fit.request.y)).lstrip()
    return words.strip()
