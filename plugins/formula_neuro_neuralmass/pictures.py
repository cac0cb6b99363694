"""Pictures of a simulation: the course of its outputs and BOLD, connectivity, activity on the brain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from formula_neuro import measures
from formula_neuro.display.plot import BLUE, CYCLE, INK, drawn
from formula_neuro.dynamics.pictures import connectome_picture, fc_matrix, weights_matrix
from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .simulation import TRANSIENT, Simulation, settled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("overview", "outputs", "bold", "fc", "connectome", "brain")
POINTS = 4000  # of a line: more cannot be told apart
LINES = 8  # nodes that have a line each; more are rows of a picture


def picture(n: Simulation, what: str, output: str | None) -> Figure:
    """The figure of that kind. Raises DataError."""
    if what not in KINDS:
        raise DataError(f"plot has no picture {what!r}; there are {', '.join(KINDS)}")
    name = next(iter(n.outputs), "") if output is None else output
    if what == "connectome":
        if n.connectome is None:
            raise DataError("the run is of one node, without a connectome")
        return connectome_picture(n.connectome)
    if what == "brain":
        return _brain(n, name)
    parts = _parts(n, name)
    if what != "overview":
        if what not in parts:
            raise DataError(f"the run has no {what} to draw; {_WHY[what]}")
        return drawn((8.6 if what != "fc" else 4.8, 3.6 if what != "fc" else 4.0), _single(parts[what]))
    return drawn((8.6, 2.9 * -(-len(parts) // 2) + 0.3 if len(parts) > 1 else 3.6), lambda f: _grid(f, n, parts))


_WHY = {
    "outputs": "no output was recorded",
    "bold": "simulate(..., bold=True) gives it",
    "fc": "it needs two nodes or more, and two samples",
}


def _single(draw: Callable[[Axes], None]) -> Callable[[Figure], None]:
    return lambda figure: draw(figure.add_subplot())


def _parts(n: Simulation, name: str) -> dict[str, Callable[[Axes], None]]:
    """What there is to see, in the order of an overview."""
    found: dict[str, Callable[[Axes], None]] = {}
    if n.outputs:
        values = n[name]
        found["outputs"] = lambda axes: _course(axes, n.t, values, name, n.nodes)
    if n.bold is not None:
        bold = n.bold
        found["bold"] = lambda axes: _course(axes, n.bold_t, bold, "BOLD", n.nodes, TRANSIENT)
    connectome = n.connectome
    if connectome is not None:
        found["weights"] = lambda axes: weights_matrix(axes, connectome)
    fc = _connectivity(n, name)
    if fc is not None:
        found["fc"] = lambda axes: _correlations(axes, fc, "BOLD" if n.bold is not None else name, n.nodes)
    return found


def _grid(figure: Figure, n: Simulation, parts: dict[str, Callable[[Axes], None]]) -> None:
    columns = min(2, len(parts))
    every = figure.subplots(-(-len(parts) // columns), columns, squeeze=False).ravel()
    for axes, draw in zip(every, parts.values(), strict=False):
        draw(axes)
    for axes in every[len(parts) :]:
        axes.set_visible(False)
    figure.suptitle(f"{n.model}, seed {n.seed}{'' if n.ok else f', {n.status}'}", x=0.01, ha="left")


def _course(axes: Axes, t: Array, values: Array, name: str, nodes: Sequence[str], settled: float = 0.0) -> None:
    """Lines of few nodes, rows of a picture of many, whose colours are for what follows after `settled` ms."""
    every = max(1, -(-len(t) // POINTS))
    seconds = t[::every] / 1000
    unit, scale = ("s", 1.0) if len(t) and t[-1] >= 5000 else ("ms", 1000.0)
    if values.shape[1] <= LINES:
        axes.set_prop_cycle(color=CYCLE if values.shape[1] > 1 else [BLUE])
        axes.plot(seconds * scale, values[::every], lw=0.9, label=list(nodes))
        axes.set(xlabel=f"time, {unit}", ylabel=name)
        if len(nodes) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        return
    first, last = (float(seconds[0]) * scale, float(seconds[-1]) * scale) if len(t) else (0.0, 1.0)
    box = (first, last, values.shape[1] + 0.5, 0.5)
    shown = values[::every].T
    late = shown[:, seconds * 1000 > settled]
    known = late if late.shape[1] > 1 and np.isfinite(late).any() else shown
    low, high = np.nanpercentile(known, [0.5, 99.5]) if np.isfinite(known).any() else (0.0, 1.0)  # spikes hide the rest
    image = axes.imshow(shown, aspect="auto", interpolation="nearest", extent=box, cmap="viridis", vmin=low, vmax=high)
    axes.set(xlabel=f"time, {unit}", ylabel="node")
    assert axes.figure is not None
    axes.figure.colorbar(image, ax=axes, label=name, extend="both")


def _connectivity(n: Simulation, name: str) -> Array | None:
    if len(n.nodes) < 2 or (n.bold is None and not n.outputs):
        return None
    values = settled(n.bold_t, n.bold) if n.bold is not None else n[name]
    varying = np.isfinite(values).all() and len(values) > 1 and (np.ptp(values, axis=0) > 0).all()
    return measures.fc(values) if varying else None


def _correlations(axes: Axes, fc: Array, name: str, nodes: Sequence[str]) -> None:
    fc_matrix(axes, fc, nodes)
    axes.set(xlabel=f"node ({name})", ylabel="node")


def _brain(n: Simulation, name: str) -> Figure:
    """The mean of each node in its place, on a glass brain."""
    connectome = n.connectome
    if connectome is None or connectome.coordinates is None:
        raise DataError("the nodes have no places; fn.Connectome(..., coordinates=) takes them, in MNI mm")
    try:
        from nilearn.plotting import plot_markers
    except ImportError:
        raise ImportError("a picture of the brain needs nilearn: pip install 'formula_neuro[plot]'") from None
    mean = np.nanmean(n[name], axis=0)

    def draw(figure: Figure) -> None:
        shown: dict[str, Any] = {"node_cmap": "viridis", "node_size": 45, "display_mode": "lzr", "figure": figure}
        plot_markers(mean, connectome.coordinates, axes=(0, 0, 0.95, 0.88), **shown)
        figure.text(0.01, 0.95, f"{n.model}: mean {name}", color=INK, fontsize=11, weight="bold")

    return drawn((9.0, 3.2), draw, arranged=False)
