"""An exploration on disk: a folder of parquet files, one a batch, so that a run that was cut short goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.running.kept import Kept
from formula_neuro.running.whole import whole

from .pieces import OnDisk, Piece

ABOUT = "_exploration.json"  # pandas.read_parquet(folder) passes over names that begin so


@dataclass(frozen=True)
class Folder:
    """Where rows are kept; None keeps nothing."""

    path: Path | None = None

    def __post_init__(self) -> None:
        if self.path is not None and find_spec("pyarrow") is None:
            raise DataError("out= writes parquet, which needs pyarrow: pip install 'formula_neuro[parquet]'")

    @property
    def _arrays(self) -> Kept:
        return Kept(None if self.path is None else self.path / "_arrays", "rows")

    def about(self) -> dict[str, Any] | None:
        """What the folder says of its exploration; None where there is none. Raises DataError."""
        if self.path is None or not (self.path / ABOUT).exists():
            if self.path is not None and self.path.exists() and (self.path.is_file() or any(self.path.iterdir())):
                raise DataError(f"{self.path} is there and holds no exploration; give a new or an empty folder")
            return None
        try:
            return dict(json.loads((self.path / ABOUT).read_text()))
        except ValueError as error:
            raise DataError(f"{self.path / ABOUT} cannot be read ({error}); remove the folder") from None

    def begin(self, about: Mapping[str, Any]) -> None:
        """Write what the folder holds, or check that it is this exploration that it holds. Raises DataError."""
        held = self.about()
        if self.path is None:
            return
        if held is None:
            self.path.mkdir(parents=True, exist_ok=True)
            _write(self.path / ABOUT, about)
            return
        other = [name for name, value in dict(about["fingerprints"]).items() if held["fingerprints"].get(name) != value]
        if other:
            raise DataError(
                f"{self.path} holds another exploration: it differs in {' and '.join(other)}. Give another folder, or "
                "remove this one"
            )

    def end(self, about: Mapping[str, Any]) -> None:
        """Write what the folder holds again, with what is known at the end."""
        if self.path is not None:
            _write(self.path / ABOUT, about)

    def keep(self, numbers: Sequence[int], piece: Piece) -> Piece:
        """Add the rows of some runs, which are there whole or not at all; the piece as it is held then."""
        if self.path is None:
            return piece
        if piece.arrays:
            self._arrays.save(_block(numbers), _by_row(piece.arrays))
        name = f"rows_{numbers[0]:09d}_{len(numbers):06d}.parquet"
        with whole(self.path / name) as file:
            piece.table.to_parquet(file, index=False)
        return self._held(piece.table, numbers)

    def pieces(self) -> list[Piece]:
        """All that is kept."""
        if self.path is None:
            return []
        tables = [_table(file) for file in sorted(self.path.glob("rows_*.parquet"))]
        return [self._held(table, table["run"].drop_duplicates().tolist()) for table in tables]

    def _held(self, table: pd.DataFrame, numbers: Sequence[int]) -> Piece:
        path = self._arrays.path(_block(numbers))
        if path is None or not path.exists():
            return Piece(table, {})
        with np.load(path, allow_pickle=False) as held:
            names = sorted({name.rpartition(".")[0] for name in held.files})
        return Piece(table, {name: OnDisk(path, name, len(table)) for name in names})


def _table(file: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(file)
    except ValueError as error:  # of which pyarrow's are
        raise DataError(f"{file} cannot be read ({error}); remove it, and its runs are made again") from None


def _block(numbers: Sequence[int]) -> tuple[int, int]:
    return int(numbers[0]), int(numbers[0]) + len(numbers)


def _by_row(arrays: Mapping[str, Sequence[Any]]) -> dict[str, Array]:
    """name.row -> the array of a row, where it has one."""
    return {f"{name}.{k}": np.asarray(one) for name, every in arrays.items() for k, one in enumerate(every)
            if one is not None}  # fmt: skip


def _write(path: Path, about: Mapping[str, Any]) -> None:
    with whole(path) as file:
        file.write(json.dumps(about, indent=1).encode())
