"""Pictures of maps: axial slices over a brain, and the distribution of z beside the normal one.

Drawn by nilearn, over its own MNI152 template where the voxels lie in that brain, else over the incidence or the mask;
nothing is downloaded.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from ...display.plot import BLUE, GREY, INK, VERMILION, drawn
from ...family import Array
from .tables import BEYOND

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...images.brain import Brain
    from ..fit import MapFit

INSIDE = 0.9  # share of voxels in the template's brain from which it may stand behind them
ACROSS, DOWN = 4, 2  # slices in a row, rows
WIDTH, HEIGHT = 9.6, 5.4  # inches
DARKEST = 0.2  # of the scale from 0 up: below it, small values would be black on a grey brain
CLASS_COLOURS = ("#D9DDE2", "#E69F00", "#D55E00", "#56B4E9", "#0072B2", "#4D4D4D")  # in the order of CLASSES


@dataclass(frozen=True, eq=False)
class Canvas:
    """What maps are drawn on: the voxels, the image behind them, and the heights (mm) of the slices."""

    brain: Brain
    behind: Any
    words: str  # what `behind` is
    cuts: tuple[float, ...]


@dataclass(frozen=True)
class Colours:
    """How numbers become colours: the limit of the scale, from which value they are shown, and whether signs differ."""

    limit: float
    above: float = 0.0
    signed: bool = True
    label: str = ""
    names: tuple[str, ...] = ()  # of the values 0, 1, ... where they are kinds


def canvas(fit: MapFit) -> Canvas:
    """The canvas of a fit: the template where the voxels lie in its brain, else a map of the images themselves."""
    images = fit.request.images
    if "sigma" in fit.values:
        own, words = np.nan_to_num(fit.values["sigma"]), "the residual standard deviation"
    elif images.binary:
        own, words = np.asarray(images.counts / len(images)), "the incidence"
    else:
        own, words = np.ones(len(images.voxels)), "the mask"
    return over(fit.brain, own, words)


def over(brain: Brain, own: Array, words: str) -> Canvas:
    """The template where the voxels lie in its brain, else a map of `own` (V,), which `words` name."""
    _require_nilearn()
    from nilearn import datasets

    template = datasets.load_mni152_template(resolution=2)
    if (at_voxels(brain, template) > 0).mean() < INSIDE:
        return Canvas(brain, _image(brain, own), words, heights(brain))
    said = "the MNI152 template, because the voxels lie in its brain (no registration was checked)"
    return Canvas(brain, template, said, heights(brain))


def heights(brain: Brain) -> tuple[float, ...]:
    """Of which slices (mm) most of the analysed voxels are seen: evenly from the 4th to the 96th percentile."""
    low, high = np.percentile(brain.world[:, 2], [4, 96])
    return tuple(float(z) for z in np.unique(np.round(np.linspace(low, high, ACROSS * DOWN), 1)))


def at_voxels(brain: Brain, other: Any) -> Array:
    """The values of another image at the analysed voxels, of its nearest voxel, (V,); 0 outside it."""
    inverse, data = np.linalg.inv(other.affine), np.asarray(other.dataobj)
    there = np.round(brain.world @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    inside = ((there >= 0) & (there < data.shape)).all(axis=1)
    found = np.zeros(len(there))
    found[inside] = data[tuple(there[inside].T)]
    return found


# ---- slices --------------------------------------------------------------------------------------
def slices(on: Canvas, values: Array, colours: Colours, title: str = "") -> Figure:
    """Axial slices of a map (V,); infinite values take the end of the scale, missing ones no colour."""
    rows = [on.cuts[i : i + ACROSS] for i in range(0, len(on.cuts), ACROSS)]

    def draw(figure: Figure) -> None:
        for number, cuts in enumerate(rows):
            row_of_slices(figure, (0.0, 1 - (number + 1) / len(rows), 0.88, 1 / len(rows)), cuts, on, values, colours)
        scale(figure, colours)
        if title:
            figure.text(0.005, 0.995, title, va="top", ha="left", weight="bold")

    return drawn((WIDTH, HEIGHT * len(rows) / DOWN), draw, arranged=False)


def row_of_slices(
    figure: Figure,
    place: tuple[float, float, float, float],
    cuts: tuple[float, ...],
    on: Canvas,
    values: Array,
    colours: Colours,
) -> None:
    """Axial slices at the heights `cuts`, side by side at a place of the figure."""
    from nilearn import plotting

    limit = colours.limit
    shown = np.clip(np.nan_to_num(values, nan=0.0, posinf=limit, neginf=-limit), -limit, limit)
    colour_map, lowest = _colour_map(colours)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "empty mask")  # of a map that nowhere reaches its least value shown
        plotting.plot_stat_map(
            _image(on.brain, shown),
            bg_img=on.behind,
            figure=figure,
            axes=place,
            display_mode="z",
            cut_coords=list(cuts),
            threshold=max(colours.above, 1e-9 * limit),
            vmin=lowest,
            vmax=limit,
            cmap=colour_map,
            symmetric_cbar=colours.signed,
            colorbar=False,
            black_bg=False,
            resampling_interpolation="nearest",
        )


def _colour_map(colours: Colours) -> tuple[Any, float]:
    """The colours, and the value of the first."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    if colours.names:
        return ListedColormap(list(CLASS_COLOURS[: len(colours.names)])), 0.0
    if colours.signed:
        return colormaps["RdBu_r"], -colours.limit
    return ListedColormap(colormaps["inferno"](np.linspace(DARKEST, 1.0, 256))), 0.0


def scale(figure: Figure, colours: Colours) -> None:
    """The bar of colours, grey where values are not shown; or the names of kinds."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Patch

    if colours.names:
        shown = [Patch(color=CLASS_COLOURS[k], label=name) for k, name in enumerate(colours.names) if k and name]
        figure.legend(handles=shown, loc="upper right", frameon=True)
        return
    colour_map, lowest = _colour_map(colours)
    axes = figure.add_axes((0.9, 0.15, 0.018, 0.7))
    figure.colorbar(ScalarMappable(Normalize(lowest, colours.limit), colour_map), cax=axes)
    if colours.above:
        axes.axhspan(-colours.above if colours.signed else 0.0, colours.above, color=GREY)
    axes.set_title(colours.label, fontsize=9.5)


def spread(values: Array, percent: float = 100.0) -> float:
    """The size below which so many percent of the finite values lie; 1 where there are none."""
    sizes = np.abs(values[np.isfinite(values)])
    return (float(np.percentile(sizes, percent)) if len(sizes) else 0.0) or 1.0


# ---- distributions -------------------------------------------------------------------------------
def histograms(columns: Sequence[tuple[str, Array]]) -> Figure:
    """The z values of every coefficient beside the normal density that they would have without any effect."""
    across = min(3, len(columns))
    down = -(-len(columns) // across)

    def draw(figure: Figure) -> None:
        for number, (name, z) in enumerate(columns, start=1):
            _histogram(figure.add_subplot(down, across, number), name, z[np.isfinite(z)])

    return drawn((max(4.8, 3.4 * across), 2.7 * down), draw)


def _histogram(axes: Axes, name: str, z: Array) -> None:
    end = max(4.0, spread(z) * 1.02)
    grid = np.linspace(-end, end, 400)
    axes.set_title(name)
    if len(z):
        axes.hist(z, bins=np.linspace(-end, end, 61).tolist(), density=True, color=BLUE, alpha=0.75)
    axes.plot(grid, stats.norm.pdf(grid), color=VERMILION, label="N(0, 1)")
    for side in (-BEYOND, BEYOND):
        axes.axvline(side, color=INK, linewidth=0.8, linestyle=":")
    axes.set_xlabel("z")
    axes.set_yticks([])
    axes.legend(loc="upper left")


def _image(brain: Brain, values: Array) -> Any:
    import nibabel as nib

    return nib.Nifti1Image(brain.unmask(values, fill=0.0), brain.grid.affine)


def _require_nilearn() -> None:
    try:
        import nilearn.plotting  # noqa: F401
    except ImportError as error:
        raise ImportError('pictures of maps need nilearn and matplotlib: pip install "formula_neuro[plot]"') from error
