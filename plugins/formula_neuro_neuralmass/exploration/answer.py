"""What explore answers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from formula_neuro.data.table import TOLD
from formula_neuro.display.shown import Summary
from formula_neuro.errors import DataError, Unable

from ..simulation import Simulation
from .folder import Folder
from .pieces import Piece, in_order
from .remarks import found_in
from .runs import HEAD, TAIL, Runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Exploration:
    """A table of runs, a row a parameter set and repetition (and subject): what fn.fit takes as its data.

    table: subject (where there are any), set, replicate, run, the parameters, the measures, clamped (the share of
    look-ups beyond a table's edge, of models with tables), status ("ok" or "failed"), failed_at (ms), seed, key.
    arrays: measures that are no single number, by row; with out= they stay on disk until they are asked for.
    runs: None where it was read from a folder.
    """

    table: pd.DataFrame
    parameters: tuple[str, ...]
    model: str
    words: str
    messages: tuple[str, ...]
    seconds: float
    arrays: Mapping[str, Sequence[Any]]
    runs: Runs | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of what was measured."""
        return tuple(str(name) for name in self.table if name not in (*HEAD, *self.parameters, *TAIL))

    def to_frame(self) -> pd.DataFrame:
        """A copy of the table; what a model of it must know is in its attrs, and among the messages of a fit."""
        table = self.table.copy()
        table.attrs[TOLD] = list(self.messages)
        return table

    def simulation(self, row: int) -> Simulation:
        """The run of a row again, whole: the same numbers. Raises Unable where the exploration came from a folder."""
        if self.runs is None:
            raise Unable("an exploration that was read from a folder has no model to run; explore again with out=")
        if not 0 <= row < len(self.table):
            raise DataError(f"row {row} is asked for; the table has {len(self.table)}, from 0")
        return self.runs.simulation(int(self.table["run"].iloc[row]))

    def plot(self, measure: str | None = None, x: str | None = None, y: str | None = None) -> Figure:
        """A measure over two parameters as a map with contours, or over one as lines, with the repetitions' spread.

        measure: the first by default. x, y: the first two parameters; the mean is taken over all others.
        """
        from .pictures import plot

        return plot(self, measure, x, y)

    def report(self, path: str | os.PathLike[str]) -> str:
        """Write one self-contained HTML page on the exploration; returns the path written.

        Raises an OSError before any work is done where the path cannot be written, and ImportError where jinja2 or
        matplotlib is missing.
        """
        from ..reporting import write_report
        from .page import exploration_page

        return write_report(path, lambda: exploration_page(self))

    def summary(self) -> Summary:
        """What was run, and the range of each parameter and measure."""
        shown = [*self.parameters, *self.measures]
        numbers = self.table[shown].select_dtypes("number")
        spread = numbers.agg(["mean", "std", "min", "max"]).T if len(numbers.columns) else numbers
        lines = [self.words, "", spread.to_string(float_format=lambda v: f"{v:.4g}")]
        return Summary("\n".join([*lines, *(f"\nNote: {message}" for message in self.messages)]))

    def __repr__(self) -> str:
        return str(self.summary())

    def __len__(self) -> int:
        return len(self.table)

    def save(self, folder: str | Path) -> Path:
        """Write the table and the arrays to a new folder; fn.load_exploration(folder) reads it."""
        path = Path(folder)
        if path.suffix in (".csv", ".tsv", ".parquet"):
            raise DataError(
                f"{path}: save() writes a folder; the table alone is e.to_frame(), as .to_csv({path.name!r})"
            )
        place = Folder(path)
        if place.about() is not None:
            raise DataError(f"{path} holds an exploration; give a new or an empty folder")
        place.begin({**about(self), "fingerprints": {}})
        place.keep(self.table["run"].drop_duplicates().tolist(), Piece(self.table, self.arrays))
        return path


def about(exploration: Exploration) -> dict[str, Any]:
    """What a folder says beside the table."""
    return {name: getattr(exploration, name) for name in ("parameters", "model", "words", "messages", "seconds")}


def load_exploration(folder: str | Path) -> Exploration:
    """The exploration that explore(..., out=folder) or .save(folder) wrote, also an unfinished one.

    Raises DataError, FileNotFoundError.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: there is no such folder")
    told, pieces = Folder(path).about(), Folder(path).pieces()
    if told is None or not pieces:
        raise DataError(f"{path} holds no runs of an exploration")
    table, arrays = in_order(pieces)
    return Exploration(
        table=table,
        parameters=tuple(told["parameters"]),
        model=told["model"],
        words=told["words"],
        messages=tuple(dict.fromkeys([*told["messages"], *found_in(table)])),
        seconds=told["seconds"],
        arrays=arrays,
    )
