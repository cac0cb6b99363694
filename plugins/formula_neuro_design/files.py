"""A design matrix and its contrasts as files: text for FSL, a .mat for SPM, tables for all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from formula_neuro.display.page import check_writable
from formula_neuro.errors import DataError
from formula_neuro.family import Array


@dataclass(frozen=True, eq=False)
class Written:
    """What is written: columns Z (n, p) with names, contrasts c (s, p) with labels."""

    Z: Array
    names: tuple[str, ...]
    c: Array
    labels: tuple[str, ...]

    def for_means_taken_away(self, program: str) -> Written:
        """The design for a program that takes means away, or fits a mean itself: without its constant column.

        Beside a constant of contrast 0, the means of other columns change no estimate. Raises DataError where there
        is none and a column has a mean.
        """
        size = np.abs(self.Z).max(axis=0)
        level = np.ptp(self.Z, axis=0) <= 1e-12 * size
        mean = self.Z.mean(axis=0)
        if level.any() and not self.c[:, level].any():
            kept = [name for name, out in zip(self.names, level, strict=True) if not out]
            return replace(self, Z=(self.Z - mean)[:, ~level], names=tuple(kept), c=self.c[:, ~level])
        odd = np.flatnonzero(np.abs(mean) > 1e-9 * size)
        if len(odd):
            raise DataError(
                f"column {self.names[odd[0]]!r} has the mean {mean[odd[0]]:.4g}; {program} takes means away, which "
                "changes the estimate: put every term of the formula in center(), or have a constant, as cosine() has"
            )
        return self


# ---- FSL -----------------------------------------------------------------------------------------
def write_fsl(stem: str | Path, design: Written) -> tuple[Path, Path]:
    """stem.mat and stem.con. Raises DataError for columns with a mean and no constant.

    The required effect that FEAT shows is written as 1: it has no part in the fit.
    """
    own = design.for_means_taken_away("FEAT")
    (n, p), s = own.Z.shape, len(own.c)
    mat, con = Path(f"{stem}.mat"), Path(f"{stem}.con")
    check_writable(mat)
    head = [f"/NumWaves\t{p}", f"/NumPoints\t{n}", f"/PPheights\t{_row(np.ptp(own.Z, axis=0))}", "", "/Matrix"]
    _write(mat, [*head, *map(_row, own.Z)])
    names = [f"/ContrastName{i}\t{label}" for i, label in enumerate(own.labels, 1)]
    effects = [f"/PPheights\t{_row(np.ptp(own.Z @ own.c.T, axis=0))}", f"/RequiredEffect\t{_row(np.ones(s))}"]
    _write(con, [*names, f"/NumWaves\t{p}", f"/NumContrasts\t{s}", *effects, "", "/Matrix", *map(_row, own.c)])
    return mat, con


def _row(values: Array) -> str:
    return "\t".join(f"{value:.12e}" for value in values)


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


# ---- SPM -----------------------------------------------------------------------------------------
def write_spm(path: str | Path, design: Written) -> Path:
    """A .mat for SPM's "multiple regressors": R, names, and contrasts (a row each) for the contrast manager.

    SPM adds the constant itself. A path without .mat is a stem, as write_fsl's: stem_spm.mat is written. Raises
    DataError for columns with a mean and no constant, and rather than replace a design of FSL.
    """
    from scipy.io import savemat

    own = design.for_means_taken_away("SPM")
    target = Path(path) if Path(path).suffix == ".mat" else Path(f"{path}_spm.mat")  # stem.mat is FSL's
    check_writable(target)
    if target.exists() and target.read_bytes()[:9] == b"/NumWaves":
        raise DataError(f"{target} is a design of FSL, which SPM's would replace; give another name")
    cells = {name: _cells(texts) for name, texts in (("names", own.names), ("contrast_names", own.labels))}
    savemat(target, {"R": own.Z, "contrasts": own.c, **cells})
    return target


def _cells(texts: Sequence[str]) -> Array:
    """A row of MATLAB's cells."""
    found = np.empty((1, len(texts)), dtype=object)
    found[0] = list(texts)
    return found


# ---- tables --------------------------------------------------------------------------------------
def write_csv(stem: str | Path, design: Written) -> tuple[Path, Path]:
    """stem.csv, a row a scan, and stem_contrasts.csv, a row a contrast; both with the columns' names."""
    base = str(stem).removesuffix(".csv")
    table, contrasts = Path(f"{base}.csv"), Path(f"{base}_contrasts.csv")
    check_writable(table)
    pd.DataFrame(design.Z, columns=list(design.names)).to_csv(table, index=False)
    weights = pd.DataFrame(design.c, columns=list(design.names))
    weights.insert(0, "contrast_name" if "contrast" in design.names else "contrast", list(design.labels))
    weights.to_csv(contrasts, index=False)
    return table, contrasts
