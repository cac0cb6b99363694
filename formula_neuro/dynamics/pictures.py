"""Pictures of connectomes and of matrices between nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..display.plot import drawn
from ..family import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .connectome import Connectome

NAMED = 12  # nodes whose names have room beside a matrix
LOWEST = 1e-4  # of the largest weight: what a logarithmic picture still tells apart


def connectome_picture(connectome: Connectome) -> Figure:
    """Weights, and lengths or delays where they are known, side by side."""
    known = connectome.lengths_mm if connectome.lengths_mm is not None else connectome.delays_ms
    unit = "tract length, mm" if connectome.lengths_mm is not None else "delay, ms"

    def draw(figure: Figure) -> None:
        every = figure.subplots(1, 1 if known is None else 2, squeeze=False)[0]
        weights_matrix(every[0], connectome)
        if known is not None:
            matrix(every[1], known, unit, connectome.names, cmap="cividis")

    return drawn((4.6 if known is None else 9.0, 3.9), draw)


def weights_matrix(axes: Axes, connectome: Connectome) -> None:
    """Weights on a logarithmic scale; pairs without a connection are white."""
    from matplotlib.colors import LogNorm

    weights = connectome.weights
    if not (weights > 0).any():
        matrix(axes, weights, "weight", connectome.names, cmap="viridis")
        return
    shown = np.where(weights > 0, np.maximum(weights, LOWEST * weights.max()), np.nan)
    matrix(axes, shown, "weight", connectome.names, cmap="viridis", norm=LogNorm())


def fc_matrix(axes: Axes, fc: Array, names: Sequence[str] = ()) -> None:
    """Correlations from -1 (blue) to 1 (red)."""
    matrix(axes, fc, "correlation", names, cmap="RdBu_r", vmin=-1.0, vmax=1.0)


def matrix(axes: Axes, values: Array, what: str, names: Sequence[str] = (), **shown: Any) -> None:
    """A square matrix of nodes, numbered from 1 or named where they are few, with its scale."""
    n = len(values)
    image = axes.imshow(values, interpolation="nearest", extent=(0.5, n + 0.5, n + 0.5, 0.5), **shown)
    axes.set(xlabel="from node", ylabel="to node")
    if names and n <= NAMED:
        axes.set_xticks(range(1, n + 1), names, rotation=90)
        axes.set_yticks(range(1, n + 1), names)
    axes.spines[:].set_visible(False)
    assert axes.figure is not None
    axes.figure.colorbar(image, ax=axes, label=what, shrink=0.85)
