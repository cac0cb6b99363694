"""FSL's text files of a design matrix (.mat) and of its contrast (.con)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array


def write_fsl(stem: str | Path, Z: Array, c: Array, columns: list[str], name: str) -> tuple[Path, Path]:
    """stem.mat and stem.con. Raises DataError for columns with a mean: FEAT takes the mean of data and design away.

    The required effect that FEAT shows is written as 1: it has no part in the fit.
    """
    mean, size = Z.mean(axis=0), np.abs(Z).max(axis=0)
    odd = np.flatnonzero(np.abs(mean) > 1e-9 * size)
    if len(odd):
        raise DataError(
            f"column {columns[odd[0]]!r} has the mean {mean[odd[0]]:.4g}; FEAT takes means away, which changes the "
            "estimate: put every term of the formula in center()"
        )
    n, p = Z.shape
    heights = _row(np.ptp(Z, axis=0))
    mat, con = Path(f"{stem}.mat"), Path(f"{stem}.con")
    head = [f"/NumWaves\t{p}", f"/NumPoints\t{n}", f"/PPheights\t{heights}", "", "/Matrix"]
    _write(mat, [*head, *(_row(row) for row in Z)])
    effect = _row(np.array([np.ptp(Z @ c) if c.any() else 0.0]))
    head = [f"/ContrastName1\t{name}", f"/NumWaves\t{p}", "/NumContrasts\t1"]
    _write(con, [*head, f"/PPheights\t{effect}", f"/RequiredEffect\t{_row(np.ones(1))}", "", "/Matrix", _row(c)])
    return mat, con


def _row(values: Array) -> str:
    return "\t".join(f"{value:.12e}" for value in values)


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
