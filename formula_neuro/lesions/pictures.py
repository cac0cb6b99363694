"""Figures of simulated lesions and of a study of accuracy, as those of the paper (Kindalova and others 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from ..data.lengths import length, written
from ..display.plot import CYCLE, GREY, INK, drawn
from ..family import Array
from ..images.store import Indices
from .reference import LesionReference
from .simulate import simulate_lesions
from .summaries import MEASURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .study import LesionStudy
    from .tuning import Tuned

WORDS = {"volume": "volume, voxels", "count": "lesions", "size": "voxels a lesion"}
DASHES = ("-", "--", ":", "-.") * 2
SCATTERED = 2500  # points of a cloud, at most


def tuning_figure(tuned: Tuned) -> Figure:
    """Medians of volume, count and size by age for each length scale, beside the target's; and the loss."""

    def draw(figure: Figure) -> None:
        every = figure.subplots(1, 4)
        for axes, measure in zip(every, MEASURES, strict=False):
            for colour, (ell, medians) in zip(CYCLE * 2, tuned.medians.items(), strict=False):
                axes.plot(np.arange(1, 11), medians[measure], color=colour, lw=1.2, label=ell)
            axes.plot(np.arange(1, 11), tuned.target[measure], "o-", color=INK, lw=2, ms=4, label="target")
            axes.set(xlabel="group of age", title=WORDS[measure], ylim=(0, None))
        every[0].legend(title="length scale")
        at = [length(ell, "ell")[0] for ell in tuned.curve["ell"]]
        every[3].plot(at, tuned.curve["loss"], "o-", color=INK)
        every[3].axvline(length(tuned.ell, "ell")[0], color=GREY, ls=":")
        every[3].set(
            xlabel=f"length scale ({length(tuned.ell, 'ell')[1]})", title="sum of squared log ratios", ylim=(0, None)
        )

    return drawn((12.5, 3.4), draw)


def masks_figure(
    reference: LesionReference,
    *,
    ages: tuple[float, ...] = (50.0, 70.0),
    scales: tuple[float | str, ...] = ("1.5 voxels", "3 voxels"),
    height: float = 20.0,
    seed: int = 1,
) -> Figure:
    """One subject of each age (rows) at each length scale (columns), on the slice `height` mm up; noise is shared."""
    slices = {
        ell: _slices(reference, pd.DataFrame({"age": ages}), ell, height, seed) for ell in scales
    }  # one mask an age

    def draw(figure: Figure) -> None:
        every = np.atleast_2d(figure.subplots(len(ages), len(scales), squeeze=False))
        for column, ell in enumerate(scales):
            for row, age in enumerate(ages):
                shown = slices[ell][row]
                _show(every[row, column], shown, "Greys_r", 0.0, 1.0)
                every[row, column].set_title(f"{age:g} years, scale {written(ell)}")

    return drawn((2.4 * len(scales), 3.3 * len(ages)), draw)


def _slices(reference: LesionReference, table: pd.DataFrame, ell: float | str, height: float, seed: int) -> list[Array]:
    """A slice of each subject: 1 a lesion, 0.3 where lesions may be, 0 elsewhere; the same noise for all."""
    found = []
    inside = level(reference, reference.voxels, np.ones(len(reference.voxels)), height) == 1
    for row in range(len(table)):
        one = table.iloc[[row]].reset_index(drop=True)
        images = simulate_lesions(
            table=one, reference=reference, ell=ell, seed=seed, min_count=0, progress=False
        ).images
        values = level(reference, images.voxels, images.block(0, len(images.voxels))[:, 0], height)
        found.append(np.where(values == 1, 1.0, np.where(inside, 0.3, 0.0)))
    return found


def level(reference: LesionReference, voxels: Indices, values: Array, height: float) -> Array:
    """The axial slice `height` mm up of values (V,) at voxels, (x, y) around the reference's voxels; NaN elsewhere."""
    grid = reference.grid
    full = np.full(grid.size, np.nan)
    full[voxels] = values
    k = round((height - grid.affine[2, 3]) / grid.affine[2, 2])
    i, j, _ = (np.unique(part) for part in np.unravel_index(reference.voxels, grid.shape))
    return np.asarray(full.reshape(grid.shape)[i[0] - 1 : i[-1] + 2, j[0] - 1 : j[-1] + 2, k])


def _show(axes: Axes, values: Array, colours: str, low: float, high: float, power: float = 1.0) -> Any:
    """Draw a slice, front upwards; voxels without a value are grey."""
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    axes.set_axis_off()
    shade = PowerNorm(power, low, high)
    colour = colormaps[colours].with_extremes(bad="#C9CCD1")
    return axes.imshow(values.T, origin="lower", cmap=colour, norm=shade, interpolation="nearest")


def coefficients_figure(study: LesionStudy, coefficient: str | None = None) -> Figure:
    """Estimated beside true coefficients of the first repetition, a panel a method; colour is the incidence.

    Axes reach to where nearly all bias-reduced estimates lie; how many points lie beyond is written.
    """
    j = study.accuracies[next(iter(study.accuracies))].names.index(study.coefficient(coefficient))
    use = (study.target.bin >= 0) & study.first["finite"]
    truth, incidence = study.target.truth[use, j], study.target.incidence[use]
    order = np.random.default_rng(0).permutation(len(truth))[:SCATTERED]
    estimates = {name: study.first[f"{k}.coef"][use, j] for k, name in enumerate(study.accuracies)}
    spread = np.nanquantile(np.abs(np.array(list(estimates.values())) - truth), 0.99)
    low, high = float(truth.min() - spread), float(truth.max() + spread)

    def draw(figure: Figure) -> None:
        every = figure.subplots(1, len(estimates), sharey=True, squeeze=False)[0]
        for axes, (name, values) in zip(every, estimates.items(), strict=True):
            cloud = axes.scatter(
                truth[order], values[order], s=3, c=np.log10(incidence[order]), cmap="viridis", rasterized=True
            )
            axes.axline((0, 0), slope=1, color=INK, lw=1)
            beyond = int(((values < low) | (values > high)).sum())
            axes.set(
                title=f"{name} ({beyond} of {len(values):,} beyond)", xlabel="true", ylim=(low, high),
                xlim=(float(truth.min()) * 0.9, float(truth.max()) * 1.05),
            )  # fmt: skip
        every[0].set_ylabel("estimated")
        figure.colorbar(cloud, ax=every[-1], label="log10 incidence")

    return drawn((4.2 * len(estimates) + 0.6, 3.8), draw)


def maps_figure(study: LesionStudy, *, coefficient: str | None = None, height: float = 20.0) -> Figure:
    """Incidence and z of the reference beside those of the first repetition, on one slice.

    The reference's z is that of as many subjects.
    """
    reference, n = study.setting.reference, study.setting.n
    j = reference.names.index(study.coefficient(coefficient))
    hit = study.first["lesions"] > 0
    incidence = {"reference": study.target.incidence, "simulated": np.where(hit, study.first["lesions"] / n, np.nan)}
    z = {"reference": reference.z(n)[:, j]}
    z |= {name: np.where(hit, study.first[f"{k}.z"][:, j], np.nan) for k, name in enumerate(study.accuracies)}
    top = float(np.nanquantile(np.abs(z["reference"]), 0.999))

    def draw(figure: Figure) -> None:
        rows: Any = figure.subfigures(2, 1)
        _row(rows[0], study, incidence, "incidence", ("magma", 0.0, float(study.target.incidence.max()), 0.5), height)
        _row(rows[1], study, z, "z", ("RdBu_r", -top, top, 1.0), height)

    return drawn((2.2 * len(z) + 0.8, 5.6), draw)


def _row(
    figure: Any,
    study: LesionStudy,
    shown: Mapping[str, Array],
    word: str,
    colours: tuple[str, float, float, float],
    height: float,
) -> None:
    reference = study.setting.reference
    every = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (name, values) in zip(every, shown.items(), strict=True):
        shade = _show(axes, level(reference, reference.voxels, values, height), *colours)
        axes.set_title(f"{word}: {name}")
    figure.colorbar(shade, ax=list(every), shrink=0.8)


def null_figure(study: LesionStudy, coefficient: str | None = None) -> Figure:
    """Quantiles of z where there is no effect beside the normal's, a panel a bin of incidence and a line a method."""
    name = study.coefficient(coefficient)
    at = np.linspace(0.001, 0.999, 999)
    normal = special.ndtri(at)

    def draw(figure: Figure) -> None:
        labels = study.target.labels[:-1]
        every = figure.subplots(1, len(labels), sharey=True, squeeze=False)[0]
        for k, (axes, label) in enumerate(zip(every, labels, strict=True)):
            for colour, dash, (method, accuracy) in zip(CYCLE, DASHES, study.accuracies.items(), strict=False):
                axes.plot(normal, accuracy.quantiles(name, k, at), color=colour, ls=dash, lw=1.8, label=method)
            axes.axline((0, 0), slope=1, color=GREY, lw=1, ls=":")
            axes.set(title=label, xlabel="normal quantile", xlim=(-3.2, 3.2), ylim=(-3.6, 3.6))
        every[0].set_ylabel("quantile of z")
        every[0].legend()

    return drawn((2.2 * (len(study.target.edges) - 1) + 0.6, 2.9), draw)
