"""The picture of a fitted effect: the population's curve with its band, a curve a group, and the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .bins import binned, wilson
from .errors import DataError
from .expression import label, names
from .family import Array
from .plot import BLUE, CYCLE, GREY, INK, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .result import Fit

MOST_GROUPS = 40  # more curves than this are a carpet
MOST_LEVELS = 12


@dataclass(frozen=True, eq=False)
class Curve:
    """The population's mean along one predictor with 95 % limits (m,), and each group's own mean (L, m)."""

    x: Array
    mean: Array
    low: Array
    high: Array
    groups: Array
    levels: tuple[str, ...] = ()


def effect(fit: Fit) -> Picture | None:
    """The effect of the first numeric predictor, else of the first factor; None where there is neither."""
    name = predictor(fit)
    if name is None:
        return None
    column = fit.request.design.data[name]
    numeric = is_number(column)
    levels = [] if numeric else levels_of(column)
    if len(levels) > MOST_LEVELS:
        return None
    try:
        curve = fitted_curve(fit, name, np.linspace(column.min(), column.max(), 120) if numeric else levels)
    except DataError:  # an offset that was given as an array cannot be made for other rows
        return None

    def draw(axes: Axes) -> None:
        _draw_numeric(axes, fit, column, curve) if numeric else _draw_factor(axes, fit, column, curve)
        axes.set_xlabel(name)
        axes.set_ylabel(response_words(fit))

    return Picture(f"Effect of {name}", _caption(fit, name, curve), draw)


def predictor(fit: Fit) -> str | None:
    """The first numeric column of the fixed part, else its first factor."""
    design = fit.request.design
    variables = design.formula.fixed.variables
    used = dict.fromkeys(n.text for term in design.formula.fixed.terms for i in term for n in names(variables[i]))
    columns = [name for name in used if name in design.data.columns]
    return next(iter([*(c for c in columns if is_number(design.data[c])), *columns]), None)


def is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def levels_of(column: pd.Series) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [level for level in column.cat.categories if (column == level).any()]
    return sorted(column.unique())


# ---- the curve -----------------------------------------------------------------------------------
def fitted_curve(fit: Fit, name: str, at: Array | list[Any]) -> Curve:
    """Means and Wald limits along `name`, the other numbers at their middle and factors at their commonest level.

    mean = inverse link of X beta, limits = inverse link of X beta -+ 1.96 sqrt(x' V x), random effects zero.
    """
    design, link = fit.request.design, fit.request.family.link
    made = design.apply(_grid(design.data, name, at))
    known = ~np.isnan(fit.beta)
    X, V = made.matrix[:, known], fit.covariance[np.ix_(known, known)]
    eta = X @ fit.beta[known] + made.offset
    half = 1.96 * np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", X, V, X), 0.0))
    limits = np.sort([link.inverse(eta - half), link.inverse(eta + half)], axis=0)
    groups = np.empty((0, len(eta)))
    one_group = len({term.group for term in design.random}) == 1
    if one_group and len(fit.random[0].levels) <= MOST_GROUPS:
        own = [effect.modes @ term.basis.T for effect, term in zip(fit.random, made.random, strict=True)]
        groups = link.inverse(eta + np.sum(own, axis=0))
    x = np.arange(len(at), dtype=float) if isinstance(at, list) else at
    words = tuple(map(str, at)) if isinstance(at, list) else ()
    return Curve(x, link.inverse(eta), limits[0], limits[1], groups, words)


def _grid(data: pd.DataFrame, name: str, at: Array | list[Any]) -> pd.DataFrame:
    """A table of len(at) rows in which only `name` varies."""
    held = {column: pd.Series([_middle(data[column])] * len(at)) for column in data.columns}
    held[name] = pd.Series(at)
    return pd.DataFrame(held)


def _middle(column: pd.Series) -> Any:
    """The mean of fractional numbers, the middle one of whole numbers (it may code a level), the commonest level."""
    if not is_number(column):
        return column.mode().iloc[0]
    whole = bool((column == column.round()).all())
    return column.sort_values().iloc[len(column) // 2] if whole else column.mean()


# ---- drawing -------------------------------------------------------------------------------------
def _draw_numeric(axes: Axes, fit: Fit, column: pd.Series, curve: Curve) -> None:
    x, y, weights = column.to_numpy(dtype=float), fit.request.y, fit.request.weights
    lines = _colours(fit, curve)
    for line, colour in zip(curve.groups, lines, strict=True):
        axes.plot(curve.x, line, color=colour, lw=1, alpha=0.75, zorder=2)
    if len(curve.groups):
        axes.plot([], [], color=lines[0], lw=1, label=f"each {fit.random[0].group}")
    if is_binary(fit):
        _draw_shares(axes, x, y, weights)
    else:
        x = x + _jitter(len(x), 0.015 * np.ptp(x) if len(np.unique(x)) <= 6 else 0.0)
        axes.scatter(x, y, s=9, c=_row_colours(fit, lines), alpha=_alpha(len(x)), lw=0, zorder=1)
    axes.fill_between(curve.x, curve.low, curve.high, color=INK, alpha=0.13, lw=0, zorder=3)
    axes.plot(curve.x, curve.mean, color=INK, lw=2.4, zorder=4, label="population (95 %)")
    axes.legend(loc="upper left" if is_binary(fit) else "best")


def _draw_shares(axes: Axes, x: Array, y: Array, weights: Array) -> None:
    """0/1 responses: every row as a tick at its side, and observed shares in tenths of the rows."""
    for value in (0.0, 1.0):
        there = x[y == value]
        axes.plot(there, np.full(len(there), 1.05 * value - 0.05 * (1 - value)), "|", ms=6, color=GREY, alpha=0.5)
    b = binned(x, y, weights, 10)
    low, high = wilson(b.mean, b.weight)
    bars = [b.mean - low, high - b.mean]
    look: Any = {"fmt": "o", "ms": 5, "color": INK, "mfc": "white", "lw": 1, "zorder": 5}
    axes.errorbar(b.x, b.mean, bars, label="observed, in tenths of the rows", **look)
    axes.set_ylim(-0.12, 1.42)  # room for the legend above the ticks
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])


def _draw_factor(axes: Axes, fit: Fit, column: pd.Series, curve: Curve) -> None:
    places = {level: i for i, level in enumerate(curve.levels)}
    x = column.astype(str).map(places).to_numpy(dtype=float)
    lines = _colours(fit, curve)
    axes.scatter(
        x + _jitter(len(x), 0.22), fit.request.y, s=9, c=_row_colours(fit, lines), alpha=_alpha(len(x)), lw=0, zorder=1
    )
    for line, colour in zip(curve.groups, lines, strict=True):
        axes.plot(curve.x, line, color=colour, lw=0.9, alpha=0.55, zorder=2)
    if len(curve.groups):
        axes.plot([], [], color=lines[0], lw=1, label=f"each {fit.random[0].group}")
    bars = [curve.mean - curve.low, curve.high - curve.mean]
    axes.errorbar(curve.x, curve.mean, bars, fmt="s", ms=6, color=INK, lw=2.2, zorder=4, label="population (95 %)")
    slanted: Any = (
        {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, curve.levels)) > 36 else {}
    )
    axes.set_xticks(curve.x, curve.levels, **slanted)
    axes.legend(loc="best")


def _jitter(n: int, width: float) -> Array:
    """Small shifts, the same each time, so that points do not hide one another."""
    return np.random.default_rng(0).uniform(-width, width, n)


def is_binary(fit: Fit) -> bool:
    return fit.request.family.name == "binomial" and set(np.unique(fit.request.y)) <= {0.0, 1.0}


def _colours(fit: Fit, curve: Curve) -> list[str]:
    """A colour a group; one for all where there are more groups than colours."""
    n = len(curve.groups)
    return list(CYCLE[:n]) if n <= len(CYCLE) else [CYCLE[5]] * n


def _row_colours(fit: Fit, lines: list[str]) -> list[str] | str:
    if not lines:
        return BLUE
    return [lines[code] for code in fit.request.design.random[0].codes]


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


def _caption(fit: Fit, name: str, curve: Curve) -> str:
    others = [c for c in fit.request.design.data.columns if c != name]
    fixed = {n.text for v in fit.request.design.formula.fixed.variables for n in names(v)}
    held = [c for c in others if c in fixed]
    typical = ", for a typical group (random effects of zero)" if fit.random else ""
    words = f"Fitted mean along {name}{typical}, with pointwise 95 % limits. "
    if len(curve.groups):
        words += f"Thin lines: each {fit.random[0].group} with its own random effects. "
    if held:
        words += f"Held at their middle or commonest value: {', '.join(held[:6])}. "
    if is_binary(fit) and not curve.levels:
        words += "Ticks are single rows; dots their observed shares with 95 % limits."
    return words.strip()
