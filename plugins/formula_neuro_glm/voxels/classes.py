"""Whether maximum likelihood is finite in each voxel, exactly: classes and the signs of infinite coefficients.

The cheapest proof first: constant responses; a closed form where an intercept and one column span the design (line.py);
levels of factors without events (cells.py); the certificate of a fit (certificate.py), at the estimate and, where that
is not enough, at maximum likelihood's; the linear programme of kernels/cone.py for what is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array
from formula_neuro.kernels.separation import SIGMOID, Separation, classify

from .cells import Cells
from .design import Rows
from .estimates import ALL_ONE, ALL_ZERO, COMPLETE, OPEN, OVERLAP, QUASI
from .line import along, on_a_line

UNKNOWN = -1
KINDS = {
    "": OVERLAP, "overlap": OVERLAP, "quasi-complete": QUASI, "complete": COMPLETE, "all 0": ALL_ZERO, "all 1": ALL_ONE,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Classes:
    """Of C voxels: the class (C,), UNKNOWN where not found yet, and signs (C, r) of infinite coefficients, OPEN where
    the data leave the sign open. sides (C, n) in rows of pure levels, None where no voxel has any."""

    kind: NDArray[np.int8]
    signs: NDArray[np.int8]
    pure: NDArray[np.int8]
    masks: NDArray[np.bool_]

    @property
    def apart(self) -> NDArray[np.bool_]:
        """(C,) where a pure level says that some coefficient is infinite, and which others are is not known yet."""
        return np.asarray((self.kind == UNKNOWN) & self.pure.any(axis=1))

    @property
    def open(self) -> NDArray[np.intp]:
        """Voxels of which nothing is known yet."""
        return np.flatnonzero((self.kind == UNKNOWN) & ~self.pure.any(axis=1))

    def put(self, at: NDArray[np.intp], apart: Separation) -> None:
        """One answer for all voxels `at`."""
        self.kind[at] = KINDS[apart.kind]
        signs = np.zeros(self.signs.shape[1], dtype=np.int8)
        for name, sign in apart.signs.items():
            signs[int(name)] = int(sign) or OPEN
        self.signs[at] = signs

    def sides(self, c: int) -> NDArray[np.int8]:
        """(n,) -1 and 1 in rows of voxel c's pure levels, 0 in the others."""
        return np.asarray((self.masks * self.pure[c][:, None]).sum(axis=0).clip(-1, 1).astype(np.int8))


def cheap(rows: Rows, Y: NDArray[Any]) -> Classes:
    """What needs no fit, for responses Y (C, n)."""
    C = len(Y)
    cells = Cells.of(rows) if has_limits(rows) else Cells(np.zeros((0, len(rows.w)), dtype=bool))
    out = Classes(
        np.full(C, UNKNOWN, dtype=np.int8), np.zeros((C, rows.rank), dtype=np.int8), cells.pure(rows, Y), cells.masks
    )
    if rows.rank == 0 or not has_limits(rows):
        out.kind[:] = OVERLAP
        return out
    lowest, highest = Y.min(axis=1), Y.max(axis=1)
    for value in (0, 1) if rows.family.name == "binomial" else (0,):
        at = np.flatnonzero((lowest == value) & (highest == value))
        if len(at):
            out.put(at, programmed(rows, np.full(Y.shape[1], float(value))))
    line = along(rows)
    at = np.flatnonzero(out.kind == UNKNOWN)
    if line is not None and rows.family.link.name in SIGMOID and Y.dtype == np.uint8 and len(at):
        out.kind[at], out.signs[at] = on_a_line(rows, line, Y[at])
    return out


def has_limits(rows: Rows) -> bool:
    """Whether means have limits that a linear predictor reaches at infinity only."""
    shares = rows.family.name == "binomial" and rows.family.link.name in (*SIGMOID, "log")
    return shares or (rows.family.name == "poisson" and rows.family.link.name == "log")


def programmed(rows: Rows, y: Array) -> Separation:
    """The exact answer for one response y (n,) by linear programmes."""
    names = [str(j) for j in range(rows.rank)]
    unproved = np.full(len(y), np.nan)  # whoever asks has tried the proof by scores
    return classify(names, rows.X, y, rows.w, rows.family, unproved)
