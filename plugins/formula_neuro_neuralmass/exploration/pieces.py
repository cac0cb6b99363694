"""Parts of an exploration as they come in, in memory or on disk, and all of them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows of some runs, and measures that are arrays by name: one a row, None where a row has none."""

    table: pd.DataFrame
    arrays: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class OnDisk(Sequence[Any]):
    """The arrays of a measure in a file, read when they are asked for: all of them may not fit memory."""

    path: Path
    name: str
    rows: int

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: Any) -> Any:
        with np.load(self.path, allow_pickle=False) as held:
            key = f"{self.name}.{row}"
            return held[key] if key in held.files else None


@dataclass(frozen=True, eq=False)
class Rows(Sequence[Any]):
    """A measure's arrays by row of the whole table, wherever they are."""

    places: tuple[tuple[Sequence[Any] | None, int], ...]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[k] for k in range(*row.indices(len(self)))]
        piece, at = self.places[row]
        return None if piece is None else piece[at]


def in_order(pieces: Sequence[Piece]) -> tuple[pd.DataFrame, dict[str, Rows]]:
    """The whole table by number of run, and each measure's arrays in its order."""
    whole = pd.concat([piece.table for piece in pieces], ignore_index=True)
    order = whole.reset_index().sort_values(["run", "index"]).index
    places = [(piece, k) for piece in pieces for k in range(len(piece.table))]
    arrays = {
        name: Rows(tuple((places[i][0].arrays.get(name), places[i][1]) for i in order))
        for name in dict.fromkeys(name for piece in pieces for name in piece.arrays)
    }
    return whole.loc[order].reset_index(drop=True), arrays
