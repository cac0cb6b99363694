"""A figure of several methods side by side by incidence: mean squared error, bias, false positives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from formula_neuro.lesions.study import LesionStudy

COLOURS = ("#d95f02", "#1b6ca8", "#1b9e77")
PANELS = {"mse": "mean squared error", "bias": "size of the bias", "beyond": "false positives, %"}


def figure(accuracy: Mapping[int, LesionStudy], null: Mapping[int, LesionStudy]) -> Figure:
    """A row a number of subjects; the bins of incidence along each panel, a line a method."""
    made = Figure(figsize=(11, 3.1 * len(accuracy)), layout="constrained")
    rows = made.subplots(len(accuracy), len(PANELS), squeeze=False)
    for panels, n in zip(rows, accuracy, strict=True):
        for axes, (what, title) in zip(panels, PANELS.items(), strict=True):
            study = null[n] if what == "beyond" else accuracy[n]
            table = study.to_frame()
            for colour, method in zip(COLOURS, study.accuracies, strict=True):
                found = table[table["method"] == method].iloc[:-1]
                values = np.abs(found[what].to_numpy()) * (100 if what == "beyond" else 1)
                axes.plot(range(len(values)), values, "o-", color=colour, lw=1.6, ms=4, label=method)
            axes.set(title=f"{title}, N* = {n}", xlabel="incidence")
            axes.set_xticks(range(len(values)), found["incidence"], rotation=30, fontsize=8)
            if what == "beyond":
                axes.axhline(5, color="grey", lw=1, ls=":")
            else:
                axes.set_yscale("log")
    rows[0, 0].legend()
    return made
