"""What there is to see of a meta-regression: slices of its maps, and its foci in a glass brain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...display.plot import drawn
from ...family import Array
from ...maps.display.pictures import Canvas, Colours, over, row_of_slices, scale, slices, spread
from ...maps.display.plot import Shown
from ..maps import BASELINE, effects

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..fit import FociFit

USUAL = 99.5  # percent of the values that decide the colours: a few sharp peaks would leave all else dark
CUTS = 7  # slices of a row
WIDTH, HEIGHT = 9.6, 1.55  # inches of a row
BEYOND = 1.96
SIGNED = ("effect", "log_intensity")


def plot(fit: FociFit, statistic: str = "intensity", name: str | None = None) -> Figure:
    """Slices of one map, or rows of slices of all cells; see FociFit.plot."""
    if statistic == "glass":
        return glass(fit, name).figure
    if name is None:
        return rows(fit, canvas(fit), statistic).figure
    return one_map(fit, canvas(fit), statistic, name).figure


def canvas(fit: FociFit) -> Canvas:
    """What maps are drawn on: the template's brain, or the mask where that lies elsewhere."""
    return over(fit.brain, np.ones(len(fit.brain.voxels)), "the mask")


def shown(fit: FociFit, on: Canvas) -> list[Shown]:
    """What a page on the fit shows: intensities, relative intensities, effects, and the foci themselves."""
    found = [rows(fit, on, "intensity")]
    if len(fit.cells) > 1:
        found.append(rows(fit, on, "relative"))
    numbers = [name for name in effects(fit) if name != BASELINE][:4]
    found += [one_map(fit, on, statistic, name) for name in numbers for statistic in ("effect", "z")]
    return [*found, glass(fit, None)]


def rows(fit: FociFit, on: Canvas, statistic: str) -> Shown:
    """A row of slices for every cell, of one scale of colours."""
    maps = [fit.maps.at_voxels((statistic, cell)) for cell in fit.cells]
    colours = _colours(statistic, np.concatenate(maps), min(float(np.mean(values)) for values in maps))
    low, high = np.percentile(fit.brain.world[:, 2], [8, 92])
    cuts = tuple(float(z) for z in np.unique(np.round(np.linspace(low, high, CUTS))))

    def draw(figure: Figure) -> None:
        n = len(maps)
        for number, (cell, values) in enumerate(zip(fit.cells, maps, strict=True)):
            row_of_slices(figure, (0.0, 1 - (number + 1) / n, 0.88, 0.8 / n), cuts, on, values, colours)
            figure.text(0.005, 1 - (number + 0.02) / n, cell, va="top", ha="left", weight="bold")
        scale(figure, colours)

    return Shown(
        TITLES[statistic], CAPTIONS[statistic], drawn((WIDTH, max(HEIGHT * len(maps), 2.2)), draw, arranged=False)
    )


def one_map(fit: FociFit, on: Canvas, statistic: str, name: str) -> Shown:
    """Slices of one map."""
    values = fit.maps.at_voxels((statistic, name))
    colours = _colours(statistic, values, float(np.mean(values)))
    return Shown(f"{name}: {TITLES[statistic].lower()}", CAPTIONS[statistic], slices(on, values, colours))


def _colours(statistic: str, values: Array, mean: float) -> Colours:
    """The scale of a map; intensities are coloured above their mean, so that the brain is seen elsewhere."""
    if statistic == "z":
        return Colours(max(spread(values), 2 * BEYOND), BEYOND, label="z")
    limit = spread(values, USUAL)
    above = mean if statistic in ("intensity", "relative") and mean < limit else 0.0
    return Colours(limit, above, signed=statistic in SIGNED, label=statistic.replace("_", " "))


def glass(fit: FociFit, name: str | None) -> Shown:
    """The foci of a cell, or of all, in a glass brain: each a dot at its place."""
    request = fit.request
    cell = request.group[request.located.analysis]
    chosen = range(len(fit.cells)) if name is None else [_number(fit, name)]

    def draw(figure: Figure) -> None:
        from nilearn import plotting

        display = plotting.plot_glass_brain(None, figure=figure, axes=(0.0, 0.0, 1.0, 0.9), display_mode="ortho")
        for k in chosen:
            colour = PALETTE[k % len(PALETTE)]
            points = request.located.points[cell == k]
            display.add_markers(points, marker_color=colour, marker_size=5, alpha=0.5)
            figure.text(0.01 + 0.24 * (k % 4), 0.97 - 0.05 * (k // 4), f"● {fit.cells[k]}", color=colour, va="top")

    count = int(np.isin(cell, list(chosen)).sum())
    caption = f"{count:,} foci inside the mask, each at its place, seen from three sides."
    return Shown("Foci", caption, drawn((WIDTH, 3.6), draw, arranged=False))


def _number(fit: FociFit, name: str) -> int:
    if name not in fit.cells:
        raise KeyError(f"{name!r} is no cell; there are {', '.join(fit.cells)}")
    return fit.cells.index(name)


PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # told apart by the colour-blind
TITLES = {
    "intensity": "Intensity",
    "log_intensity": "Log intensity",
    "se": "Standard error",
    "relative": "Relative intensity",
    "relative_se": "Standard error of the log relative intensity",
    "foci": "Foci",
    "effect": "Coefficient",
    "z": "z",
    "p": "p",
}
CAPTIONS = {
    "intensity": "Foci expected in a voxel of one analysis whose moderators are 0: where, and how many. Coloured "
    "above the mean over the mask (of the cell with the lowest).",
    "log_intensity": "The logarithm of the intensity.",
    "se": "Standard errors on the log scale, studies as clusters.",
    "relative": "Intensity over its mean in the mask, coloured above 1: where, whatever the number of foci.",
    "relative_se": "Standard errors on the log scale, studies as clusters.",
    "foci": "Foci observed in every voxel.",
    "effect": "The change of the log intensity for one more of the number: red more foci, blue fewer.",
    "z": f"Coloured where |z| > {BEYOND}, red above 0 and blue below; studies as clusters.",
    "p": "Two-sided p values.",
}
