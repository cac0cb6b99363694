"""Pictures of what one chooses between: bias and variance, numbers of columns, weights of bias; and of the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from formula_neuro.display.plot import BLUE, GREY, VERMILION, Picture

from .drawn_measures import PERCENT
from .measures import phi_by_bias, phi_by_squared_bias

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .answer import OptimalDesign

MOST_VARIANCE = 100.0  # over that of the true fit; nobody wants more


def pareto(d: OptimalDesign) -> Picture:
    """Bias against variance along the path of phi."""
    path = d.pareto()
    some, w = d.family.l != 0, d.family.w
    own = {"max_bias": np.abs(d.bias[some]).max(), "rms_bias": np.sqrt(np.average(d.bias[some] ** 2, weights=w[some]))}
    off = ", off the lines because max_bias= limits the largest bias instead of weighing it" if limited(d) else ""
    variance = 1 + np.average(d.variance_change, weights=w)
    path = path[path["variance_change"] < MOST_VARIANCE - 1]

    def draw(axes: Axes) -> None:
        axes.plot(PERCENT * path["max_bias"], 1 + path["variance_change"], color=VERMILION, lw=1.4, label="largest")
        axes.plot(PERCENT * path["rms_bias"], 1 + path["variance_change"], color=BLUE, lw=1.6, label="rms")
        for name, colour in (("max_bias", VERMILION), ("rms_bias", BLUE)):
            axes.plot(PERCENT * own[name], variance, "o", color=colour, ms=6)
        for axis, scale in ((axes.xaxis, axes.set_xscale), (axes.yaxis, axes.set_yscale)):
            scale("log", subs=[2, 5])
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("{x:g}")
        axes.set_xlabel("bias, %")
        axes.set_ylabel("variance over that of the true fit")
        axes.legend(loc="best", title="bias")

    return Picture(
        "What less bias costs",
        "The best designs of these columns from little bias (left) to little variance (right), by the weighted sum of "
        f"both; the dots are this one{off}.",
        draw,
        kind="pareto",
    )


def limited(d: OptimalDesign) -> bool:
    """Whether a limit on the largest bias took the place of phi."""
    return "max_bias" in d.call


def phi(d: OptimalDesign) -> Picture:
    """phi of the paper's choices A and B against k."""
    some = d.family.l != 0
    l, g = d.family.l[some], d.g[some]
    ks = np.logspace(0, 6, 61)

    def draw(axes: Axes) -> None:
        for choice, name, colour in (
            (phi_by_squared_bias, "A: squared bias", BLUE),
            (phi_by_bias, "B: bias", VERMILION),
        ):
            values = np.array([choice(l, g, float(k)) for k in ks])
            axes.fill_between(ks, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.25, lw=0)
            axes.plot(ks, np.median(values, axis=1), color=colour, lw=1.6, label=name)
        used = d.family.phi[some]
        if not limited(d):
            axes.axhline(float(np.median(used)), color=GREY, ls=":", label="here (median)")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("k, the weight of bias over that of variance")
        axes.set_ylabel("phi")
        axes.legend(loc="lower left")

    return Picture(
        "k against phi",
        "The phi that the two choices of the paper give for each k: medians and ranges over designs with an effect.",
        draw,
        kind="phi",
    )


def columns(d: OptimalDesign) -> Picture:
    """R(p), and the gain of a column over its price in degrees of freedom."""
    table = d.columns()
    p, fixed = table["columns"].to_numpy(), d.constraints.A.shape[1]

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        axes.axvline(d.design.shape[1], color=GREY, lw=0.8)
        axes.plot(p, table["R"], color=BLUE, marker="o", ms=4, lw=1.4)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("columns")
        axes.set_ylabel("R", color=BLUE)
        beside = axes.twinx()
        beside.plot(p, table["gain"] / table["price"], color=VERMILION, marker="o", ms=4, lw=1.4)
        beside.axhline(1, color=VERMILION, ls=":", lw=1)
        beside.set_ylabel("gain over price", color=VERMILION)
        beside.spines["right"].set_visible(True)

    return Picture(
        "How many columns",
        "R is the share of the objective's whole fall that so many columns reach. The gain is the share of the "
        "objective that the last column took, its price that of the degrees of freedom: above the dotted line it is "
        f"worth it. The grey line is this design; {fixed} of the columns are fixed.",
        draw,
        kind="columns",
    )


def search(d: OptimalDesign) -> Picture:
    """The objective above its last value after each step, and the lengths of steps where there are any."""
    trace, steps = d.trace, d.steps

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        if len(trace) < 2:
            axes.text(0.5, 0.5, "solved without a search", ha="center", va="center", transform=axes.transAxes)
            axes.set_axis_off()
            return
        above = trace[:-1] - trace[-1]
        shown = np.flatnonzero(above > 0)
        axes.plot(shown, above[shown], color=BLUE, marker="o" if len(shown) < 40 else None, ms=3.5, label="objective")
        if len(steps):
            axes.plot(np.arange(1, len(steps) + 1), steps, color=VERMILION, lw=1, label="length of the step")
            axes.legend(loc="best")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("step")
        axes.set_ylabel("above the last value")

    return Picture(
        "The search", f"The objective above its last value, {d.objective:.6g}, before each step.", draw, kind="search"
    )
