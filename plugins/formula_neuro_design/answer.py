"""What optimize_design answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from formula_neuro.family import Array
from formula_neuro.result import Summary

from .fsl import write_fsl


@dataclass(frozen=True, eq=False)
class OptimalDesign:
    """A design matrix and contrast, with what they do to every design of the family.

    `design` (n, p) has the fixed columns first and is taken by nilearn's FirstLevelModel(...).fit(design_matrices=) as
    it is; `contrast` (p,) goes with it. `bias`, `variance_change` and `variance_bias` (m,) are shares, one a design:
    of the estimate from the true contrast (the estimate itself, in units of the noise, where the truth is 0), of its
    variance from that of the true design's own fit, and of the noise's variance that misfit adds.
    """

    formula: str
    name: str
    design: pd.DataFrame
    contrast: Array
    objective: float
    bias: Array
    variance_change: Array
    variance_bias: Array
    messages: tuple[str, ...]
    iterations: int
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """A row a design: block, shift, phi, contrast (the true one, in units of the noise) and the three measures."""
        return self.table.assign(bias=self.bias, variance_change=self.variance_change, variance_bias=self.variance_bias)

    def to_fsl(self, stem: str | Path) -> tuple[Path, Path]:
        """Write stem.mat and stem.con as FSL reads them, and answer their paths.

        Raises DataError where a column has a mean, which FEAT would take away.
        """
        return write_fsl(stem, self.design.to_numpy(), self.contrast, [str(c) for c in self.design.columns], self.name)

    def summary(self) -> Summary:
        """The objective, the contrast, and the measures' ranges by block."""
        n, p = self.design.shape
        shown = [f"{name}: {value:.4g}" for name, value in zip(self.design.columns, self.contrast, strict=True)]
        ranges = [self._ranges(block) for block in self.table["block"].unique()]
        lines = [
            f"Design of {n} scans and {p} columns for {len(self.bias)} designs of {self.formula}",
            f"objective {self.objective:.6f} (sum over designs), {self.iterations} steps",
            f"contrast  {', '.join(shown)}",
            "",
            pd.DataFrame(ranges).to_string(index=False),
            *(f"\nNote: {message}" for message in self.messages),
        ]
        return Summary("\n".join(lines))

    def _ranges(self, block: int) -> dict[str, object]:
        own = (self.table["block"] == block).to_numpy()
        spans = {
            name: f"{_short(values[own].min())} to {_short(values[own].max())}"
            for name, values in (
                ("bias", self.bias),
                ("variance change", self.variance_change),
                ("variance bias", self.variance_bias),
            )
        }
        return {"block": block, "designs": int(np.sum(own)), **spans}

    def __repr__(self) -> str:
        return str(self.summary())


def _short(value: float) -> str:
    """Three digits; rounding about 0 is 0."""
    return f"{round(float(value), 12) + 0.0:.3g}"
