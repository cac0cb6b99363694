"""What optimize_design answers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from formula_neuro.display.shown import Summary
from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.inference.sides import as_side
from formula_neuro.scalars import is_whole

from .comparison import Comparison
from .constraints import Constraints
from .family import Family
from .files import Written, write_csv, write_fsl, write_spm
from .more_columns import columns_table
from .noise import Noise
from .objective import objective
from .pareto import FACTORS, pareto_path
from .pictures import figure
from .power import Standing, chosen, power_table, roc_table, standing, threshold_of
from .regressors import Evoked
from .reporting import write_report
from .simulation import Simulation, simulated
from .summarizing import summary
from .usual import compared_with_usual

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class OptimalDesign:
    """A design matrix and contrast, with what they do to every design of the family.

    `design` (n, p) has fixed columns, free ones, and the nuisance last; nilearn's
    FirstLevelModel(...).fit(design_matrices=) takes it as it is. `contrast` (p,) goes with it. `bias`,
    `variance_change` and `variance_bias` (m,) are shares, one a design: of the estimate from the true contrast (the
    estimate itself, in units of the noise, where the truth is 0), of its variance from that of the true design's own
    fit, and of the noise's variance that misfit adds. `family` are the true designs that it was made for, amplitudes of
    either sign at 0, and `solved` those of the criterion; `g` (m,) their Gauss-Markov variances; all in units of the
    noise. `constraints` are what was kept, `first` (n, k) the undelayed columns, `noise` the covariance where the noise
    is not white; family and constraints are those of the scans, not whitened. `trace` is the objective at the start of
    the search and after each step, `steps` the lengths of Algorithm 1's. `call` has the arguments of the call as texts,
    `weights` (s, k) the contrasts over the variables in question, `labels` (s,) their names, `evoked` the events of a
    run. Of several contrasts `contrast` is (s, p), bias and variance_change are (s, m), and `of(label)` is the answer
    for one.
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
    family: Family
    solved: Family
    g: Array
    constraints: Constraints
    first: pd.DataFrame
    trace: Array
    steps: Array
    call: Mapping[str, str]
    weights: Array
    noise: Noise | None
    evoked: Evoked | None
    labels: tuple[str, ...]
    firsts: tuple[pd.DataFrame, ...]  # `first` for each contrast
    data: pd.DataFrame | None  # what the formula was of; None of several tables

    def of(self, label: str) -> OptimalDesign:
        """The answer for one of several contrasts, which has all that an answer for one contrast has.

        Raises DataError.
        """
        if label not in self.labels:
            raise DataError(f"{label!r} is no contrast of this design; there are {', '.join(map(repr, self.labels))}")
        if len(self.labels) == 1:
            return self
        i = self.labels.index(label)
        own, solved = (
            replace(one, l=one.truth[i], phi=one.phi[i] if one.phi.ndim == 2 else one.phi)
            for one in (self.family, self.solved)
        )
        others = [start + name for start in ("contrast ", "leak into ") for name in self.labels]
        named = {f"contrast {label}": "contrast", f"leak into {label}": "leak"}
        left = [name for name in others if name not in named]
        table = self.table.assign(phi=own.phi).drop(columns=left, errors="ignore").rename(columns=named)
        fixed = self.constraints
        return replace(
            self,
            name=label,
            contrast=self.contrast[i],
            objective=objective(self.white_design, self.contrast[i], self._white(solved)),
            bias=self.bias[i],
            variance_change=self.variance_change[i],
            table=table,
            family=own,
            solved=solved,
            g=self.g[i],
            constraints=replace(fixed, d=fixed.d[i]) if len(fixed.C) else fixed,
            weights=self.weights[[i]],
            first=self.firsts[i],
            firsts=(self.firsts[i],),
            labels=(label,),
        )

    def to_frame(self) -> pd.DataFrame:
        """A row a design: block, shift, phi, contrast (the true one, in units of the noise) and the three measures.

        Of several contrasts, a row a design and contrast, and contrast_of says which.
        """
        if len(self.labels) > 1:
            parts = [self.of(label).to_frame().assign(contrast_of=label) for label in self.labels]
            return pd.concat(parts, ignore_index=True)
        return self.table.assign(bias=self.bias, variance_change=self.variance_change, variance_bias=self.variance_bias)

    def power(
        self,
        alpha: float | None = None,
        threshold: float | None = None,
        *,
        scale: float = 1.0,
        alternative: str | None = None,
    ) -> pd.DataFrame:
        """A row a design: how often T passes the threshold.

        alpha: of one voxel, .001 unless given, where T is Student's without an effect; or the t value `threshold`.
        alternative: "two.sided", "greater" or "less" (below minus the threshold); unless given, one-sided on the side
        of each true contrast (greater, for none). scale: amplitudes as multiples of those in snr. expected_t is the
        mean of T; best_power is the power if the true design were known, with the same degrees of freedom. Exact: T is
        a doubly non-central t. Raises DataError and ValueError.
        """
        side = None if alternative is None else as_side(alternative)
        found = standing(self.white_design, self.contrast, self.white_family, scale)
        at = threshold_of(alpha, threshold, found.nu, side)
        told = power_table(found, scale * self.family.l / np.sqrt(self.g), at, side)
        return self.table.assign(threshold=at, **told)

    def roc(
        self, active: Sequence[int] | None = None, null: Sequence[int] | None = None, *, scale: float = 1.0
    ) -> pd.DataFrame:
        """A row a threshold of T: false_positives, sensitivity and lowest_sensitivity, over designs.

        active, null: row numbers of to_frame(), by default all designs with and without a true contrast; where the
        family has none without, noise alone takes their place. scale: as in power(). Raises DataError.
        """
        with_effect = chosen(self.family, active, "active", null=False)
        without = chosen(self.family, null, "null", null=True)
        found = standing(self.white_design, self.contrast, self.white_family, scale)
        w = self.family.w
        noise, one = Standing(np.zeros(1), np.zeros(1), found.nu, np.ones(1)), np.ones(1)
        errors, share = (found.of(without), w[without]) if len(without) else (noise, one)
        return roc_table(found.of(with_effect), errors, (w[with_effect], share))

    def simulate(self, n: int = 1000, seed: int | np.random.Generator = 1, *, scale: float = 1.0) -> Simulation:
        """Estimates and t values of n simulated runs of every design: Gaussian noise, fits by least squares.

        scale: as in power(). Raises DataError.
        """
        if not isinstance(seed, np.random.Generator) and not is_whole(seed):
            raise DataError(f"seed is {seed!r}; a whole number from 0 or a numpy Generator is expected")
        rng = np.random.default_rng(seed)
        return simulated(self.white_design, self.contrast, self.white_family, n, rng, self.table, scale)

    def compare(self, truth: OptimalDesign | None = None, alpha: float | None = None) -> Comparison:
        """This design beside the usual analyses of the same data: bias, spread, error and power over true designs.

        truth: another answer, made with another prior for the same scans, whose designs are then the truth; by default
        this one's own. alpha: of one-sided tests, .001 unless given. Rivals are rescaled to be unbiased on average.
        Raises DataError.
        """
        other = self if truth is None else truth
        if not isinstance(other, OptimalDesign):
            raise DataError(f"truth is {truth!r}; an answer of optimize_design is expected")
        for one in (self, other):
            one._check_one()
        return compared_with_usual(self, other, alpha)

    def pareto(self, factors: Sequence[float] = FACTORS) -> pd.DataFrame:
        """A row a factor: what bias and variance the best design has when the odds of phi are so many times this one's.

        The same fixed columns and contrast. factor, phi (the mean over designs), objective, rms_bias and max_bias,
        variance_change (the mean) and variance_bias (the largest). Raises DataError.
        """
        self._check_one()
        return pareto_path(self._white(self.solved), self.white_constraints, self.g, factors)

    def columns(self, columns: Sequence[int] | None = None) -> pd.DataFrame:
        """A row a number of columns, nuisance counted: the least objective, R of the paper, gain and price of a column.

        Fixed columns and contrast stay. R is the share of the whole fall of the objective, gain the share of it that
        the last column took, price the share of the degrees of freedom that it takes. Raises DataError.
        """
        return columns_table(self._white(self.solved), self.white_constraints, columns)

    @property
    def white_design(self) -> Array:
        """Z (n, p) where the noise is white: the design itself unless `noise` says otherwise."""
        Z = self.design.to_numpy(dtype=float)
        return Z if self.noise is None else self.noise.whiten(Z)

    @property
    def white_family(self) -> Family:
        """The true designs where the noise is white. Raises DataError where there are several contrasts."""
        self._check_one()
        return self._white(self.family)

    @property
    def white_constraints(self) -> Constraints:
        return self.constraints if self.noise is None else self.noise.constraints(self.constraints)

    def plot(self, which: str | None = None) -> Figure:
        """One figure: the columns, bias, variance and power; or one kind of picture, or "all".

        which: "design", "responses", "filter", "fits", "bias", "variance", "misfit", "pareto", "columns", "phi",
        "search", "power", "roc" or "estimates". A notebook shows the figure; `figure.savefig("design.png")` writes it.
        Raises ValueError.
        """
        self._check_one()
        return figure(self, which)

    def report(self, path: str | os.PathLike[str]) -> str:
        """Write one self-contained HTML page on the design; returns the path written.

        Raises an OSError before any work is done where the path cannot be written, and ImportError where jinja2 or
        matplotlib is missing.
        """
        self._check_one()
        return write_report(self, path)

    def _white(self, family: Family) -> Family:
        return family if self.noise is None else self.noise.family(family)

    def _check_one(self) -> None:
        if len(self.labels) > 1:
            names = " or ".join(f".of({label!r})" for label in self.labels)
            raise DataError(f"the design has {len(self.labels)} contrasts; ask for one of them first: {names}")

    def to_dict(self) -> dict[str, Any]:
        """All of the answer as numbers, texts and lists, which json.dumps takes."""
        return {
            "formula": self.formula,
            "contrast_of": self.name,
            "columns": [str(name) for name in self.design.columns],
            "design": self.design.to_numpy(dtype=float).tolist(),
            "contrast": np.asarray(self.contrast, dtype=float).tolist(),
            "objective": float(self.objective),
            "iterations": int(self.iterations),
            "messages": list(self.messages),
            "designs": json.loads(self.to_frame().to_json(orient="records", double_precision=15)),
        }

    def to_fsl(self, stem: str | Path) -> tuple[Path, Path]:
        """Write stem.mat and stem.con as FSL reads them, and answer their paths.

        FEAT takes means away: a constant column is left out. Raises DataError where there is none and a column has a
        mean.
        """
        return write_fsl(stem, self._written)

    def to_spm(self, path: str | Path) -> Path:
        """Write a .mat for SPM's "multiple regressors" (R, names; the rows of `contrasts` fit them), answer its path.

        path: of a .mat, or a stem as of to_fsl, and the file is stem_spm.mat. SPM adds the constant itself, which is
        left out; the design has its own drifts, so set the high-pass filter to Inf. Raises DataError where there is no
        constant and a column has a mean, and FileNotFoundError.
        """
        return write_spm(path, self._written)

    def to_csv(self, stem: str | Path) -> tuple[Path, Path]:
        """Write stem.csv (a row a scan) and stem_contrasts.csv (a row a contrast), and answer their paths."""
        return write_csv(stem, self._written)

    @property
    def _written(self) -> Written:
        names = tuple(str(name) for name in self.design.columns)
        return Written(self.design.to_numpy(dtype=float), names, np.atleast_2d(self.contrast), self.labels)

    def summary(self) -> Summary:
        """The objective, the contrast, the bias, and the measures' ranges by block."""
        return summary(self)

    def __repr__(self) -> str:
        return str(self.summary())
