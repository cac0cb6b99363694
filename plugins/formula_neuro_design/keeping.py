"""What a design keeps: its fixed columns, the contrast, and the order and names of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .candidates import Candidates
from .constraints import Constraints


@dataclass(frozen=True, eq=False)
class Kept:
    """`fixed` columns first, then free ones, then nuisance columns that nothing names; W (s, k): the contrasts.

    Raises DataError.
    """

    designs: Candidates
    fixed: tuple[str, ...]
    W: Array
    free_contrast: bool = False

    def __post_init__(self) -> None:
        if len(set(self.fixed)) < len(self.fixed):
            raise DataError(f"fix names a variable twice: {', '.join(self.fixed)}")
        for name in self.fixed:
            if name not in self.designs.nuisance.columns:
                self.designs.place(name, "fix")
        for row in self.W:
            held = [name in self.fixed for name, weight in zip(self.designs.names, row, strict=True) if weight]
            if any(held) and not all(held):
                raise DataError("the contrast has variables that are fixed and others that are not; fix all or none")

    @property
    def apart(self) -> pd.DataFrame:
        """The nuisance columns (n, .) that stand last."""
        return self.designs.nuisance.drop(columns=[name for name in self.fixed if name in self.designs.nuisance])

    @property
    def B(self) -> Array:
        """The fixed columns (n, q) and those that stand last."""
        first, nuisance = self.designs.first, self.designs.nuisance
        own = [
            nuisance[name].to_numpy(dtype=float) if name in nuisance else first[:, self.designs.names.index(name)]
            for name in self.fixed
        ]
        return np.column_stack([np.zeros((len(first), 0)), *own, self.apart.to_numpy(dtype=float)])

    @property
    def fewest(self) -> int:
        """Columns that hold what is fixed and a free one for each contrast that is not."""
        return max(len(self.fixed) + sum(not one for one in self._held), 1) + self.apart.shape[1]

    def places(self, p: int) -> list[int]:
        """Where the columns of B stand among p."""
        q = len(self.fixed)
        return [*range(q), *range(max(p - self.apart.shape[1], q), p)]

    def contrast(self, p: int) -> Array | None:
        """c, (p,) or (s, p); None where it is free. Raises DataError where no column is left for it."""
        if self.free_contrast:
            return None
        c, free = np.zeros((len(self.W), max(p, self.fewest))), len(self.fixed)
        for row, weights, held in zip(c, self.W, self._held, strict=True):
            if held:
                for name, weight in zip(self.designs.names, weights, strict=True):
                    if weight:
                        row[self.fixed.index(name)] = weight
            else:
                row[free] = 1.0
                free += 1
        if p < self.fewest and len(self.fixed) + self.apart.shape[1] <= p:
            need = self.fewest - self.apart.shape[1]
            names = [name for name, own in zip(self.designs.names, self._named, strict=True) if own]
            raise DataError(
                f"no column is left for the contrast: fix {', '.join(map(repr, names))} too, or ask for columns={need}"
            )
        return c[0] if len(c) == 1 else c

    def constraints(self, p: int) -> Constraints:
        """ZA = B and Cc = d for a design of p columns. Raises DataError."""
        B, wanted = self.B, self.contrast(p)
        if B.shape[1] > p:
            last = self.apart.shape[1]
            more = f" besides {last} of nuisance" if last else ""
            raise DataError(
                f"{len(self.fixed)} columns are fixed, but the design has {p - last}{more}; ask for at least "
                f"{len(self.fixed)}"
            )
        C, d = (np.eye(p), wanted) if wanted is not None else self._half_free(p)
        return Constraints(np.eye(p)[:, self.places(p)], B, C, d)

    def _half_free(self, p: int) -> tuple[Array, Array]:
        """C and d of a contrast that is free at the fixed columns: nuisance columns that stand last have no part in it.

        At free columns it is 1 for one of them, which restricts nothing: they may be turned and stretched.
        """
        last, q, s = self.apart.shape[1], len(self.fixed), len(self.W)
        if not last:
            return np.zeros((0, p)), np.zeros(0)
        C = np.eye(p)[q:]
        d = np.zeros((s, p - q))
        for i, row in enumerate(d[:, : p - q - last]):
            row[i : i + 1] = 1.0
        return C, d[0] if s == 1 else d

    def scaled(self, p: int) -> list[int]:
        """The free columns that have no part in the contrast, or any part where nothing says which."""
        q, last = len(self.fixed), self.apart.shape[1]
        return list(range(q + (len(self.W) if self.free_contrast and last else 0), p - last))

    def names(self, p: int) -> list[str]:
        """The columns' names."""
        last = [str(name) for name in self.apart.columns]
        taken = {*self.fixed, *last}
        free = [f"free{i}" for i in range(1, p + len(taken) + 1) if f"free{i}" not in taken]
        return [*self.fixed, *free[: p - len(self.fixed) - len(last)], *last]

    def check_apart(self, truth: Array, labels: Sequence[str]) -> None:
        """Raise DataError for contrasts of which one follows from others in all designs; truth (s, M): the true ones.

        At fixed columns they are told apart nevertheless, unless they are free there.
        """
        rows = [i for i, held in enumerate(self._held) if self.free_contrast or not held]
        own = truth[rows]
        if len(rows) < 2 or np.linalg.matrix_rank(own / np.abs(own).max(axis=1, keepdims=True)) == len(rows):
            return
        names = self.designs.names
        example = [{name: float(name == one) for name in names} for one in names] if len(names) < 4 else "[...]"
        raise DataError(
            f"the true contrasts {', '.join(repr(labels[i]) for i in rows)} follow from one another in the same way in "
            "all designs, so nothing tells their estimates apart; give snr as a list with other proportions in each, "
            f"as {example}" + ("" if self.free_contrast else f", or fix {', '.join(map(repr, names))}")
        )

    @property
    def _named(self) -> list[bool]:
        """Whether each variable has a part in a contrast."""
        return [bool(own.any()) for own in self.W.T]

    @property
    def _held(self) -> list[bool]:
        """Whether each contrast stands at fixed columns."""
        return [
            any(name in self.fixed for name, weight in zip(self.designs.names, row, strict=True) if weight)
            for row in self.W
        ]


def readable(Z: Array, c: Array, free: Sequence[int], given: Array | None) -> tuple[Array, Array]:
    """Free columns scaled to a largest entry of 1, where the contrast allows it: neither estimate nor test changes.

    given: the contrast that is kept, or None where it is free.
    """
    Z, c = Z.copy(), (c if given is None else given).copy()
    for j in free:
        if given is None or not given[..., j].any():
            peak = Z[np.abs(Z[:, j]).argmax(), j]
            Z[:, j] /= peak
            if given is None:
                c[..., j] /= peak
    return Z, c
