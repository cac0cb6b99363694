"""What there is to see of a fit in every voxel: slices of its maps, and the distributions of z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import Unable
from ...family import Array
from .pictures import Canvas, Colours, canvas, histograms, over, slices, spread
from .tables import BEYOND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..fit import MapFit
    from ..inference.contrast import MapContrast

MOST = 8  # coefficients with slices of their own on a page
USUAL = 98.0  # percent of the estimates that decide the colours: the most extreme ones would leave the others pale


@dataclass(frozen=True, eq=False)
class Shown:
    """A figure with its title and what it says in words; `wide` figures take a page's whole width."""

    title: str
    caption: str
    figure: Figure
    wide: bool = True


def plot(fit: MapFit, statistic: str = "z", coefficient: str | None = None) -> Figure:
    """Slices of one map; see MapFit.plot."""
    if statistic == "histogram":
        return z_histograms(fit).figure
    if statistic in fit.words:
        return word_map(fit, canvas(fit), statistic).figure
    names = informative(fit)
    chosen = coefficient if coefficient is not None else names[-1] if names else ""
    if (statistic, chosen) not in fit.maps:
        fit.maps.at_voxels((statistic, chosen))  # raises the error that says which maps there are
    return coefficient_map(fit, canvas(fit), statistic, chosen).figure


def informative(fit: MapFit) -> list[str]:
    """The coefficients that have an estimate somewhere; the intercept only where it is alone."""
    known = [name for j, name in enumerate(fit.names) if not np.isnan(fit.values["coef"][:, j]).all()]
    return [name for name in known if name != "(Intercept)"] or known


def shown(fit: MapFit, on: Canvas) -> list[Shown]:
    """What a page on the fit shows: z and estimates of every coefficient, incidence, classes, histograms."""
    if not fit.fitted.any():
        raise Unable("no voxel has an estimate, so that there is nothing to draw")
    found = []
    for name in informative(fit)[:MOST]:
        found += [coefficient_map(fit, on, "z", name), coefficient_map(fit, on, "coef", name)]
    if "incidence" in fit.words:
        found.append(word_map(fit, on, "incidence"))
    if "fitted_incidence" in fit.words:
        found.append(word_map(fit, on, "fitted_incidence"))
    if "class" in fit.words and (np.asarray(fit.words["class"]) > 0).any():
        found.append(word_map(fit, on, "class"))
    return [*found, z_histograms(fit)]


def coefficient_map(fit: MapFit, on: Canvas, statistic: str, name: str) -> Shown:
    """Slices of a statistic of one coefficient."""
    values = fit.maps.at_voxels((statistic, name))
    title, caption, colours = _of_coefficient(statistic, name, values)
    return Shown(title, caption, slices(on, values, colours))


def contrast_map(contrast: MapContrast, statistic: str) -> Shown:
    """Slices of a map of a contrast; see MapContrast.plot."""
    if statistic not in contrast.values:
        raise KeyError(f"there is no map {statistic!r} of {contrast.label}; there are {', '.join(contrast.values)}")
    values = contrast.values[statistic]
    title, caption, colours = _of_coefficient({"estimate": "coef"}.get(statistic, statistic), contrast.label, values)
    on = over(contrast.fit.brain, np.ones(len(contrast.fit.brain.voxels)), "the mask")
    return Shown(title, caption, slices(on, values, colours, title))


def _of_coefficient(statistic: str, name: str, values: Array) -> tuple[str, str, Colours]:
    beyond = int((np.abs(values[np.isfinite(values)]) > BEYOND).sum())
    infinite = int(np.isinf(values).sum())
    ends = f"{infinite:,} infinite ones have the colour of their end." if infinite else ""
    if statistic in ("z", "t"):
        caption = f"Coloured where |{statistic}| > {BEYOND}: {beyond:,} voxels, red above 0 and blue below."
        return f"{name}: {statistic}", caption, Colours(max(spread(values), 2 * BEYOND), BEYOND, label=statistic)
    if statistic == "coef":
        limit = spread(values, USUAL)
        caption = (
            f"Estimates on the link's scale; the colours end at ±{limit:.3g}, within which {USUAL:g} % lie. {ends}"
        )
        return f"{name}: estimates", caption.strip(), Colours(limit, label="estimate")
    if statistic == "separated":
        return f"{name}: infinite by maximum likelihood", "Red to +∞, blue to −∞.", Colours(1.0, label="sign")
    limit = spread(values, USUAL)
    return (
        f"{name}: {statistic}",
        f"The colours end at {limit:.3g}. {ends}".strip(),
        Colours(limit, signed=False, label=statistic),
    )


def word_map(fit: MapFit, on: Canvas, name: str) -> Shown:
    """Slices of a map of one word."""
    from ..fit import CLASSES

    values = np.asarray(fit.words[name], dtype=float)
    if name == "class":
        kinds = tuple(kind if (values == k).any() else "" for k, kind in enumerate(CLASSES))
        colours = Colours(len(CLASSES) - 1, signed=False, names=kinds)
        caption = (
            "Voxels whose maximum-likelihood estimate is infinite, by kind. Voxels without a colour have finite ones."
        )
        return Shown("Separation", caption, slices(on, values, colours))
    if name == "incidence":
        caption = f"The share of the {fit.nobs:,} images with an event: at most {values.max():.3f}."
        return Shown("Incidence", caption, slices(on, values, Colours(spread(values), signed=False)))
    if name == "fitted_incidence":
        caption = f"The share of the {fit.nobs:,} images that the model gives an event: at most {values.max():.3f}."
        return Shown("Incidence by the model", caption, slices(on, values, Colours(spread(values), signed=False)))
    limit = spread(values, USUAL)
    signed = bool((values[np.isfinite(values)] < 0).any())
    return Shown(name, "", slices(on, values, Colours(limit, signed=signed, label=name)))


def z_histograms(fit: MapFit) -> Shown:
    """The distribution of z of every coefficient beside the normal one."""
    columns = [(name, fit.maps.at_voxels(("z", name))) for name in fit.names]
    drawn = [(name, z) for name, z in columns if np.isfinite(z).any()][: MOST + 1]
    expected = (
        "for scale (voxels borrow from their neighbours, so that they need not follow it where there is no effect)"
        if fit.posterior
        else "which they would follow without any effect if voxels had events enough"
    )
    caption = (
        f"z over the voxels beside the normal density, {expected}; dotted: ±{BEYOND}. Neighbouring voxels are alike, "
        "so that a shift of the whole is no proof."
    )
    return Shown("Distribution of z", caption, histograms(drawn), wide=False)
