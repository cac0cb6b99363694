"""The tables of the paper from studies, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from formula_neuro.lesions.study import LesionStudy
from formula_neuro.lesions.tuning import Tuned


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown; numbers are written already."""
    head = "| " + " | ".join(map(str, table.columns)) + " |"
    rule = "|" + "---|" * len(table.columns)
    return "\n".join([head, rule, *("| " + " | ".join(map(str, row)) + " |" for row in table.to_numpy())])


def accuracy(study: LesionStudy) -> str:
    """Tables 1, 2 and 4: mean squared error, bias, underestimation and correlation by method and incidence."""
    finite = study.to_frame()
    every = study.to_frame(estimates="every")
    every = every[every["method"] != "ML"].assign(method=lambda t: t["method"] + ", all repetitions")
    table = pd.concat([finite, every], ignore_index=True)
    shown = pd.DataFrame(
        {
            "method": table["method"],
            "incidence": table["incidence"],
            "voxels": table["voxels"],
            "MSE": _digits(table["mse"]),
            "bias": _digits(table["bias"]),
            "PU, %": [f"{100 * value:.1f}" for value in table["underestimated"]],
            "correlation": [
                "" if not np.isfinite(value) or method.endswith("repetitions") else f"{value:.3f}"
                for value, method in zip(table["correlation"], table["method"], strict=True)
            ],
        }
    )
    return markdown(shown)


def _digits(values: Sequence[float] | pd.Series) -> list[str]:
    """Three digits, in units of 1e-4."""
    return [f"{1e4 * value:.3g}" if abs(1e4 * value) < 1000 else f"{1e4 * value:.0f}" for value in values]


def overlaps(studies: Mapping[int, LesionStudy]) -> str:
    """Table 3: Dice's coefficient by the number of the strongest voxels."""
    rows = []
    for n, study in studies.items():
        for method, found in study.overlaps().iterrows():
            rows.append({"N\\*": n, "method": method} | {f"M\\* = {m}": f"{value:.3f}" for m, value in found.items()})
    return markdown(pd.DataFrame(rows))


def false_positives(studies: Mapping[int, LesionStudy]) -> str:
    """Table 5: the share of voxels with |z| > 1.96 where there is no effect, in percent, by incidence."""
    rows = []
    for n, study in studies.items():
        table = study.to_frame()
        for method in study.accuracies:
            found = table[table["method"] == method]
            rates = {
                label: f"{100 * rate:.2f}" for label, rate in zip(found["incidence"], found["beyond"], strict=True)
            }
            rows.append({"N\\*": n, "method": method} | rates)
    return markdown(pd.DataFrame(rows))


def tuned_table(tuned: Tuned) -> str:
    return markdown(tuned.curve.map(lambda value: f"{value:.3g}"))


def separated(studies: Mapping[int, LesionStudy]) -> str:
    """How often the maximum-likelihood estimate is infinite where there is a lesion, by incidence."""
    rows = []
    for n, study in studies.items():
        shares = [f"{100 * study.separated[inside].mean():.2f}" for inside in study.target.bins]
        rows.append({"N\\*": n} | dict(zip(study.target.labels, shares, strict=True)))
    return markdown(pd.DataFrame(rows))


def held(rows: Sequence[tuple[str, str, bool]]) -> str:
    """The findings, each with whether it holds."""
    words = [(finding, shown, "holds" if holds else "does not hold") for finding, shown, holds in rows]
    return markdown(pd.DataFrame(words, columns=["finding", "this run", ""]))
