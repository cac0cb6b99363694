"""The picture of coefficients with their intervals, of one fit or of several side by side; infinite ones are arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..family import Array
from .fit_tables import plural, ratio_name
from .plot import BLUE, CYCLE, GREY, Picture, cut, draw_one

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..foci.fit import FociFit
    from ..inference.compare import Comparison
    from ..result import Fit

MOST_COEFFICIENTS = 30
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True, eq=False)
class Series:
    """The coefficients of one fit: a table indexed by term with estimate, conf_low, conf_high and separated."""

    name: str
    table: pd.DataFrame
    colour: str = BLUE
    mark: str = "o"


@dataclass(frozen=True)
class Scale:
    """What the horizontal axis shows: its words, and whether it is a ratio on a log axis."""

    words: str
    ratio: bool

    @property
    def null(self) -> float:
        return 1.0 if self.ratio else 0.0


# ---- one fit -------------------------------------------------------------------------------------
def coefficients(fit: Fit) -> Picture:
    """Estimates with 95 % intervals; odds, rate or mean ratios on a log axis where the link gives them."""
    table, ratio = _slopes(fit), ratio_name(fit)
    alone = list(table.index) == ["(Intercept)"]
    ratio = "" if alone else ratio
    series = Series("", table if not ratio else _exponentials(table))
    scale = Scale(f"{ratio.lower()} (log axis)" if ratio else f"coefficient ({unit(fit)})", bool(ratio))
    terms = list(table.index)[:MOST_COEFFICIENTS]
    return Picture(
        plural(ratio) if ratio else "Coefficients",
        _caption(fit, plural(ratio) if ratio else "Coefficients", scale, terms, len(table) - len(terms)),
        lambda axes: draw_forest(axes, terms, [series], scale),
        max(2.4, 1.3 + 0.36 * min(len(terms), 12) + 0.24 * max(0, len(terms) - 12)),
        "coefficients",
    )


def _slopes(fit: Fit) -> pd.DataFrame:
    """The coefficients but the intercept (the intercept where it is alone), without aliased ones."""
    table = fit.tidy().set_index("term")
    table["separated"] = pd.Series(fit.infinite, dtype=float).reindex(table.index)
    table = table[~np.isnan(fit.beta)]
    slopes = table.drop(index="(Intercept)", errors="ignore")
    return slopes if len(slopes) else table


def _exponentials(table: pd.DataFrame) -> pd.DataFrame:
    columns = ["estimate", "conf_low", "conf_high"]
    with np.errstate(over="ignore"):
        return table.assign(**{name: np.exp(table[name]) for name in columns})


def _caption(fit: Fit, what: str, scale: Scale, terms: Sequence[str], hidden: int) -> str:
    null = "1 (no change)" if scale.ratio else "0"
    words = [
        f"{what} for one unit of each predictor, with 95 % Wald intervals; one that crosses {null} is compatible with "
        "no effect."
    ]
    words += ["Units differ between rows."] if len(terms) > 1 else []
    words += [f"{hidden} more are in the table."] if hidden else []
    if any(term in fit.infinite for term in terms):
        words += ["Arrows: the estimate is infinite, because of separation."]
    return " ".join(words)


def unit(fit: Fit | FociFit) -> str:
    link = fit.request.family.link.name
    return "on the response's scale" if link == "identity" else f"on the {link} scale"


# ---- several fits --------------------------------------------------------------------------------
def compared(comparison: Comparison) -> Figure:
    """One figure of the coefficients of all fits, a colour and a mark for each."""
    frame = comparison.frame[comparison.frame["part"] == "coefficients"]
    terms = [term for term in dict.fromkeys(frame["term"]) if term != "(Intercept)"] or ["(Intercept)"]
    hidden, terms = max(0, len(terms) - MOST_COEFFICIENTS), terms[:MOST_COEFFICIENTS]
    series = [
        Series(name, frame[frame["fit"] == name].set_index("term"), CYCLE[i % len(CYCLE)], MARKS[i % len(MARKS)])
        for i, name in enumerate(comparison.names)
    ]
    links = {fit.request.family.link.name for fit in comparison.fits}
    words = f"coefficient ({unit(comparison.fits[0]) if len(links) == 1 else 'each on the scale of its link'})"
    names = {ratio_name(fit) or "exp(coefficient)" for fit in comparison.fits}
    if comparison.exponentiate:
        words = f"{names.pop().lower() if len(names) == 1 else 'exp(coefficient)'} (log axis)"
    scale = Scale(f"{words}; {hidden} more are in the table" if hidden else words, comparison.exponentiate)
    height = 1.4 + (0.16 + 0.14 * len(series)) * max(len(terms), 2)
    draw = Picture("", "", lambda axes: draw_forest(axes, terms, series, scale), height)
    return draw_one(draw, width=6.4)


# ---- drawing -------------------------------------------------------------------------------------
def draw_forest(axes: Axes, terms: Sequence[str], series: Sequence[Series], scale: Scale) -> None:
    """A row a term, the first at the top; fits of one term lie close below one another."""
    from matplotlib.transforms import blended_transform_factory

    rows = np.arange(len(terms), dtype=float)[::-1]
    low, high = _limits([one.table for one in series], terms, scale)
    axes.axvline(scale.null, color=GREY, lw=1)
    step = min(0.16, 0.66 / len(series))
    for i, one in enumerate(series):
        places = rows - step * (i - (len(series) - 1) / 2)
        table = one.table.reindex(list(terms))
        _draw_finite(axes, table, places, one, (low, high), name_values=len(series) == 1)
        _draw_infinite(axes, table, places, one, scale, blended_transform_factory(axes.transAxes, axes.transData))
    _set_range(axes, low, high, scale)
    axes.set_yticks(rows, [cut(term) for term in terms])
    axes.set_ylim(-0.7, len(terms) - 0.3)
    axes.set_xlabel(scale.words)
    if len(series) > 1:
        axes.figure.legend(loc="outside upper center", ncols=min(4, len(series)))


def _draw_finite(
    axes: Axes, table: pd.DataFrame, places: Array, one: Series, limits: tuple[float, float], name_values: bool
) -> None:
    """Dots with bars; a bar that leaves the picture ends at its edge, and a dot beyond it is an open one there."""
    estimate, low, high = (table[name].to_numpy(dtype=float) for name in ("estimate", "conf_low", "conf_high"))
    kept = table["separated"].isna().to_numpy() & np.isfinite(estimate)
    shown = np.clip(estimate[kept], *limits)
    ends = [shown - np.clip(low[kept], *limits), np.clip(high[kept], *limits) - shown]
    look: Any = {"color": one.colour, "ms": 5.5 if name_values else 4.5, "lw": 1.8 if name_values else 1.4}
    bars = np.nan_to_num(np.maximum(ends, 0.0))
    axes.errorbar(shown, places[kept], xerr=bars, fmt=one.mark, label=one.name or None, **look)
    if not name_values:
        return
    for place, at, value in zip(places[kept], shown, estimate[kept], strict=True):
        axes.annotate(number(value), (at, place), (0, 6), textcoords="offset points", ha="center", fontsize=8.5)


def _draw_infinite(axes: Axes, table: pd.DataFrame, places: Array, one: Series, scale: Scale, across: Any) -> None:
    """An arrow from the null to the edge of the picture; a word where nothing determines the coefficient."""
    for place, sign in zip(places, table["separated"].to_numpy(dtype=float), strict=True):
        if np.isnan(sign):
            continue
        if sign == 0:
            word = axes.annotate("undetermined", (scale.null, place), fontsize=8, color=one.colour, ha="center")
            word.set_bbox({"fc": "white", "ec": "none", "pad": 0.5})
            continue
        edge, ha = (1.0, "right") if sign > 0 else (0.0, "left")
        arrow = {"arrowstyle": "-|>", "color": one.colour, "lw": 1.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (edge, place), (scale.null, place), xycoords=across, textcoords="data", arrowprops=arrow)
        value = "0" if scale.ratio and sign < 0 else f"{'+' if sign > 0 else '−'}∞"
        note: Any = {"xycoords": across, "textcoords": "offset points", "ha": ha, "fontsize": 8.5, "color": one.colour}
        axes.annotate(value, (edge, place), (-8 if sign > 0 else 8, 4), **note)


def _limits(tables: Sequence[pd.DataFrame], terms: Sequence[str], scale: Scale) -> tuple[float, float]:
    """The range to show: all intervals, but none so wide that the others vanish."""
    every = pd.concat([table.reindex(list(terms)) for table in tables])
    every = every[every["separated"].isna() & every["estimate"].notna()]
    middle = every["estimate"].to_numpy(dtype=float)
    ends = np.concatenate([middle, every["conf_low"].to_numpy(float), every["conf_high"].to_numpy(float)])
    if scale.ratio:
        with np.errstate(divide="ignore", invalid="ignore"):
            ends, middle = np.log(ends), np.log(middle)
    ends, middle = ends[np.isfinite(ends)], middle[np.isfinite(middle)]
    wide = np.concatenate([ends, [0.0]])
    reach = 12 * (np.median(np.abs(ends)) if len(ends) else 1.0) + 2 * (np.abs(middle).max(initial=0.0))
    reach = min(reach, 20.0) if scale.ratio else reach
    low, high = max(wide.min(), -reach), min(wide.max(), reach)
    if high - low == 0:
        low, high = low - 1, high + 1
    empty = (high - low) * 0.25  # room for arrows on a side where nothing else is
    signs = pd.concat([table.reindex(list(terms)) for table in tables])["separated"]
    low, high = low - empty * bool((signs < 0).any()), high + empty * bool((signs > 0).any())
    return (float(np.exp(low)), float(np.exp(high))) if scale.ratio else (float(low), float(high))


def _set_range(axes: Axes, low: float, high: float, scale: Scale) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if not scale.ratio:
        margin = 0.06 * (high - low)
        axes.set_xlim(low - margin, high + margin)
        return
    axes.set_xscale("log")
    low, high = low / (high / low) ** 0.06, high * (high / low) ** 0.06
    axes.set_xlim(low, high)
    if high / low > 1000:
        return
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.{2 if value < 0.1 else 4}g}"))


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round ratios between low and high, evenly spread on a log axis.

    >>> log_ticks(0.3, 4)
    [0.5, 1.0, 2.0, 4.0]
    >>> log_ticks(0.98, 1.13)
    [0.98, 1.0, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12]
    """
    doubles = [float(f"{2.0**k:.4g}") for k in range(-12, 13)]
    inside = [v for v in doubles if low <= v <= high]
    if len(inside) > 2:
        return inside[:: -(-len(inside) // most)]
    step = (high - low) / (most + 1)
    power = 10.0 ** np.floor(np.log10(step))
    unit = float(next(m for m in (1, 2, 2.5, 5, 10) if m * power >= step) * power)
    first = int(np.ceil(low / unit - 1e-9))
    return [float(f"{i * unit:.6g}") for i in range(first, int(np.floor(high / unit + 1e-9)) + 1)]


def number(value: float) -> str:
    return f"{value:#.3g}".rstrip(".").replace("-", "−")  # the minus sign of the axes
