"""Pictures of what is detected, and of simulated estimates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import integrate

from formula_neuro.display.plot import BLUE, GREY, INK, SKY, VERMILION, Picture, cut

from .drawn_measures import first_block, look, places
from .usual import power_of, usual

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .answer import OptimalDesign

ALPHA = 1e-3
RUNS = 400


def power(d: OptimalDesign) -> Picture:
    """Power for each design with an effect, beside the first two of the usual analyses and the truth's own."""
    some = first_block(d)
    told = d.power(ALPHA).iloc[some]
    rivals = usual(d)[:2]
    values = [power_of(one, d, ALPHA)[some] for one in rivals]
    x, name = places(d)
    x = x[some]
    order = np.argsort(x, kind="stable")

    def draw(axes: Axes) -> None:
        lines = [
            (told["best_power"].to_numpy(), GREY, "the truth known"),
            (values[0], VERMILION, cut(rivals[0].name)),
            (values[1], SKY, cut(rivals[1].name)),
            (told["power"].to_numpy(), BLUE, "optimal"),
        ]
        for own, colour, label in lines:
            axes.plot(x[order], own[order], color=colour, label=label, **look(x, name))
        axes.set_ylim(-0.02, 1.3)  # room for the legend
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.set_xlabel(name)
        axes.set_ylabel(f"power at alpha = {ALPHA:g}")
        axes.legend(loc="upper left", ncols=2, columnspacing=1)

    return Picture(
        "Power",
        "How often a one-sided t test finds the response, with the amplitudes of snr: by this design, by usual ones, "
        "and by a fit of the true design, were it known.",
        draw,
        kind="power",
    )


def roc(d: OptimalDesign) -> Picture:
    """Sensitivity against false positives."""
    curve = d.roc()
    wrong, right = curve["false_positives"].to_numpy()[::-1], curve["sensitivity"].to_numpy()[::-1]
    area = float(integrate.trapezoid(right, wrong))

    def draw(axes: Axes) -> None:
        axes.plot(np.logspace(-5, 0), np.logspace(-5, 0), color=GREY, ls=":", lw=1)
        axes.plot(wrong, right, color=BLUE, lw=1.8, label="mean of the designs")
        axes.plot(wrong, curve["lowest_sensitivity"].to_numpy()[::-1], color=VERMILION, lw=1.2, label="lowest of them")
        axes.set_xscale("log")
        axes.set_xlim(1e-5, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("false positives")
        axes.set_ylabel("sensitivity")
        axes.legend(loc="lower right")

    return Picture(
        "Right and wrong finds",
        f"Every threshold of t is a point. The area under the mean curve, on a linear scale, is {area:.4f}.",
        draw,
        kind="roc",
    )


def estimates(d: OptimalDesign) -> Picture:
    """Means of simulated estimates with their spread, beside the truth."""
    found = d.simulate(RUNS, seed=1)
    x, name = places(d)
    own = first_block(d)
    own = own[np.argsort(x[own], kind="stable")]
    own = own[np.unique(np.linspace(0, len(own) - 1, 40).astype(int))]

    def draw(axes: Axes) -> None:
        axes.plot(x[own], found.truth[own], color=INK, ls=":", lw=1.4, label="truth")
        axes.errorbar(
            x[own], found.estimate[own].mean(axis=1), yerr=found.estimate[own].std(axis=1), fmt="o", ms=3, color=BLUE,
            elinewidth=1, label="mean, sd",
        )  # fmt: skip
        axes.set_xlabel(name)
        axes.set_ylabel("estimate, sd of the noise")
        axes.margins(y=0.2)  # room for the legend
        axes.legend(loc="upper left", ncols=2)

    return Picture(
        "Simulated estimates",
        f"{RUNS} runs with Gaussian noise for each of {len(own)} designs: means and standard deviations.",
        draw,
        kind="estimates",
    )
