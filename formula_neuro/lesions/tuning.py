"""The length scale whose simulated lesions are as large and as many, by age, as those of reference masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..data.lengths import written
from ..errors import DataError
from ..images.stack import Images
from ..running.bar import bar
from .reference import LesionReference
from .simulate import simulate_lesions
from .summaries import MEASURES, decile_edges, lesion_summaries, medians_by_age

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GRID = tuple(f"{number} voxels" for number in (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0))


@dataclass(frozen=True, eq=False)
class Tuned:
    """Length scales tried, with how far the medians of their lesions lie from the target's.

    `curve` has a row a scale: ell, loss (the sum of squared log ratios of medians of volume, count and size over groups
    of age), and the share of each measure. `medians[ell]` and `target` are the medians by group of age.
    """

    curve: pd.DataFrame
    target: pd.DataFrame
    medians: dict[str, pd.DataFrame]

    @property
    def ell(self) -> str:
        """The scale of least loss, for simulate_lesions()."""
        return str(self.curve["ell"].iloc[int(self.curve["loss"].to_numpy().argmin())])

    def plot(self) -> Figure:
        """Volume, count and size by age for every scale, beside the target, and the loss."""
        from .pictures import tuning_figure

        return tuning_figure(self)

    def __repr__(self) -> str:
        return f"best length scale: {self.ell}\n{self.curve.to_string(index=False)}"


def tune_ell(
    target: Images,
    reference: LesionReference,
    *,
    age: str = "age",
    scales: Sequence[float | str] = GRID,
    n: int = 300,
    seed: int = 1,
    progress: bool | None = None,
) -> Tuned:
    """Try length scales on the same random numbers and compare with the target's lesions in ten groups of age.

    scales: as "1.5 voxels" or "8 mm".
    target: masks whose table has the column `age`. Groups are the target's deciles. Medians of 0, of groups in which
    most have no lesion, are compared as half a voxel.
    """
    if age not in target.table.columns:
        raise DataError(
            f"the target's table has no column {age!r}; there are {', '.join(map(str, target.table.columns))}"
        )
    edges = decile_edges(target.table[age])
    wanted = medians_by_age(lesion_summaries(target), target.table[age], edges.tolist())
    rows: list[dict[str, Any]] = []
    medians: dict[str, pd.DataFrame] = {}
    with bar("length scales", len(scales), progress) as advance:
        for ell in map(written, scales):
            made = simulate_lesions(n, reference=reference, ell=ell, seed=seed, progress=False)
            found = medians_by_age(lesion_summaries(made.images), made.table[age], edges.tolist())
            medians[ell] = found
            losses = {name: _loss(found[name], wanted[name]) for name in MEASURES}
            rows.append({"ell": ell, "loss": sum(losses.values()), **losses})
            advance(1)
    return Tuned(pd.DataFrame(rows), wanted, medians)


def _loss(found: pd.Series, wanted: pd.Series) -> float:
    """The sum of squared log ratios over the groups that both have."""
    ratio = np.log(np.maximum(found, 0.5) / np.maximum(wanted, 0.5))
    return float(np.nansum(ratio**2))
