"""Pictures of the design itself: its columns, the responses that it is made for, its estimator and its fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from formula_neuro.display.plot import BLUE, GREY, INK, VERMILION, Picture, cut
from formula_neuro.family import Array

from .drawn_measures import first_block
from .objective import estimator
from .usual import usual

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .answer import OptimalDesign

MOST_COLUMNS = 6
MOST_RESPONSES = 25


def design(d: OptimalDesign) -> Picture:
    """The columns, one above the other: those that were given, and those that were found."""
    names = [str(name) for name in d.design.columns]
    given = set(map(str, d.first.columns))
    shown = [name for name in names if name in given or name.startswith("free")][:MOST_COLUMNS]
    beside = len(names) - len(shown)
    early = f" The first {_window(d)} scans." if _window(d) < len(d.design) else ""

    def draw(axes: Axes) -> None:
        for i, name in enumerate(shown):
            x = d.design[name].to_numpy(dtype=float)[: _window(d)]
            kept = name in given
            axes.plot(_unit(x) - 1.25 * i, color=BLUE if kept else VERMILION, lw=1.6)
        axes.set_yticks([-1.25 * i for i in range(len(shown))], [cut(name, 16) for name in shown])
        axes.set_xlabel("scan")
        axes.margins(x=0.01)

    rest = f" {beside} more columns are nuisance." if beside else ""
    return Picture(
        "Columns of the design",
        "Blue columns were given and are kept, vermilion ones were found. Each has a height of its own." + rest + early,
        draw,
        kind="design",
    )


def responses(d: OptimalDesign) -> Picture:
    """The true responses that the design is made for."""
    if d.evoked is None:
        x, labels = np.arange(float(len(d.design))), ("scan", "sd of the noise")
        shapes = d.family.v[:, first_block(d)]
    else:
        own = d.evoked.kernels
        shapes, labels = own.h, ("seconds after the event", "response")
        x = own.start + own.step * np.arange(len(own.h))
    rows = np.unique(np.linspace(0, shapes.shape[1] - 1, MOST_RESPONSES).astype(int))

    def draw(axes: Axes) -> None:
        from matplotlib import colormaps

        for i, row in enumerate(rows):
            axes.plot(x, shapes[:, row], color=colormaps["viridis"](0.9 * i / max(1, len(rows) - 1)), lw=0.9)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.margins(x=0.01)

    return Picture(
        "What the design is made for",
        f"{len(rows)} of {shapes.shape[1]} true responses, from the first (dark) to the last (light), without noise.",
        draw,
        kind="responses",
    )


def matched_filter(d: OptimalDesign) -> Picture:
    """The weights of the scans in the estimate, beside those of the first of the usual analyses."""
    own = estimator(d.design.to_numpy(dtype=float), d.contrast)
    rival = usual(d)[0]
    other = estimator(rival.Z, rival.c)

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=GREY, lw=0.8)
        for a, colour, width, label in ((other, GREY, 1.2, rival.name), (own, BLUE, 1.6, "optimal")):
            axes.plot(a[: _window(d)] / np.sqrt(a @ a), color=colour, lw=width, label=label)
        axes.set_xlabel("scan")
        axes.set_ylabel("weight, scaled")
        axes.legend(loc="best")
        axes.margins(x=0.01)

    return Picture(
        "What the estimate listens to",
        "The estimate is a weighted sum of the scans. A weight of 0 means that a scan has no part in it. "
        "Both are scaled to a sum of squares of 1.",
        draw,
        kind="filter",
    )


def fits(d: OptimalDesign) -> Picture:
    """Noise-free responses and their fits by this design and by the first of the usual ones."""
    some = first_block(d)
    rows = some[[0, len(some) // 2, -1]] if len(some) > 2 else some
    rival, Z = usual(d)[0], d.design.to_numpy(dtype=float)

    def draw(axes: Axes) -> None:
        for i, row in enumerate(rows):
            v = d.family.v[:, row]
            size, level = 1.15 * max(float(np.ptp(v)), 1e-12), -i
            for values, colour, width, style, name in (
                (v, GREY, 3.2, "-", "the truth"),
                (_fitted(rival.Z, v), VERMILION, 1.2, "--", cut(rival.name)),
                (_fitted(Z, v), BLUE, 1.2, "-", "optimal"),
            ):
                axes.plot(
                    values[: _window(d)] / size + level, color=colour, lw=width, ls=style, label=None if i else name
                )
        axes.set_yticks([-i for i in range(len(rows))], [f"design {row + 1}" for row in rows])
        axes.set_xlabel("scan")
        axes.legend(loc="upper left", ncols=3, bbox_to_anchor=(0, 1.02), columnspacing=1, handlelength=1.4)
        axes.set_ylim(-len(rows) + 0.3, 1.15)
        axes.margins(x=0.01)
        axes.tick_params(axis="y", colors=INK)

    return Picture(
        "Fits of three responses",
        "The first, the middle and the last true response without noise, and what least squares makes of each.",
        draw,
        kind="fits",
    )


def _window(d: OptimalDesign) -> int:
    """How many scans are drawn: fast events would be a blur in a whole run."""
    return len(d.design) if d.evoked is None else min(len(d.design), 80)


def _fitted(Z: Array, v: Array) -> Array:
    Q = np.linalg.qr(Z)[0]
    return np.asarray(Q @ (Q.T @ v))


def _unit(x: Array) -> Array:
    """x at a height of 1, about its middle."""
    low, high = float(x.min()), float(x.max())
    return (x - (low + high) / 2) / (high - low) if high > low else x * 0
