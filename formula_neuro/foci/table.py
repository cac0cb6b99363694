"""Foci: the table of foci and the table of analyses that they belong to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..data.table import as_table, plain
from ..display.page import check_writable
from ..errors import DataError
from ..family import Array
from ..running.fingerprint import fingerprint
from .ids import KEY, pairs, some, with_ids

if TYPE_CHECKING:
    from .truth import Truth


@dataclass(frozen=True, eq=False)
class Foci:
    """What read_foci and simulate_foci return: data for fit().

    `foci` has a row a focus: study, analysis, x, y, z (mm, MNI) and what else the source had of it. `studies` has a
    row an analysis: study, analysis and its covariates; analyses without foci are among them. `messages` say what was
    found on the way. `truth` is what simulated foci follow.

    >>> import formula_neuro as fn
    >>> foci = fn.read_foci({"study": ["a", "a", "b"], "x": [1, 2, 3], "y": [4, 5, 6], "z": [7, 8, 9]})
    >>> foci
    Foci(3 foci of 2 analyses in 2 studies)
    >>> foci.counts.tolist()
    [2, 1]
    """

    foci: pd.DataFrame
    studies: pd.DataFrame
    messages: tuple[str, ...] = ()
    truth: Truth | None = None

    @property
    def points(self) -> Array:
        """(J, 3) mm, MNI."""
        return self.foci[["x", "y", "z"]].to_numpy(dtype=np.float64)

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """(J,) the row of `studies` that each focus belongs to."""
        return np.asarray(pairs(self.studies).get_indexer(pairs(self.foci)), dtype=np.intp)

    @property
    def counts(self) -> NDArray[np.intp]:
        """(M,) foci of each analysis, inside a mask or not."""
        return np.bincount(self.rows, minlength=len(self.studies))

    @cached_property
    def key(self) -> str:
        """A hash of the foci and the analyses; equal for equal content, whatever file it came from."""
        return fingerprint((self.points, self.rows, self.studies))

    def select(self, rows: Any) -> Foci:
        """The analyses of these rows of `studies` (0-based), with their foci.

        >>> import formula_neuro as fn
        >>> fn.simulate_foci(20, seed=1).select([0, 1])
        Foci(20 foci of 2 analyses in 2 studies)
        """
        rows = np.asarray(rows)
        if rows.dtype == bool and len(rows) == len(self):
            rows = np.flatnonzero(rows)
        if rows.dtype.kind not in "iu" or rows.ndim != 1 or len(np.unique(rows)) != len(rows):
            raise DataError(f"select takes row numbers counted from 0, each once, or a truth a row; got {rows!r}")
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise DataError(f"select: row {int(rows.max())} is asked for, the rows are 0..{len(self) - 1}")
        kept = np.isin(self.rows, rows)
        studies = self.studies.iloc[rows].reset_index(drop=True)
        return replace(self, foci=self.foci[kept].reset_index(drop=True), studies=studies)

    def with_studies(self, columns: Mapping[str, Any] | pd.DataFrame | str | os.PathLike[str]) -> Foci:
        """The same foci with columns added to `studies`, or changed in it.

        columns: a dict of columns with a value for each row of `studies`; or a table (or its path) that has the
            column study, and analysis where it has a row an analysis, on which it is joined.

        Raises DataError for columns of another length and for a table with two rows of one study.

        >>> import formula_neuro as fn
        >>> foci = fn.simulate_foci(4, seed=1).with_studies({"drug": ["yes", "no", "yes", "no"]})
        >>> foci.studies["drug"].tolist()
        ['yes', 'no', 'yes', 'no']
        """
        from .joining import joined

        table = columns if isinstance(columns, Mapping) else plain(as_table(columns))
        if "space" in table and "stated_space" not in self.foci.columns:
            raise DataError(
                "the space of foci is decided when they are read: read_foci(foci, studies=table) takes the column "
                "space; rename it if it is a covariate"
            )
        if isinstance(table, Mapping) and "study" not in table:
            return replace(self, studies=self._assigned(table))
        table = plain(as_table(table))
        if "study" not in table.columns:
            if len(table) != len(self):
                raise DataError(
                    f"a table without the column study has a row for each of the {len(self)} analyses; got {len(table)}"
                )
            return replace(self, studies=self._assigned({str(name): table[name].array for name in table.columns}))
        studies, messages = joined(self.studies, with_ids(table, "the table"), "the table")
        return replace(self, studies=studies, messages=(*self.messages, *messages))

    def _assigned(self, columns: Mapping[str, Any]) -> pd.DataFrame:
        """The studies with these columns."""
        keys = [name for name in columns if name in KEY]
        if keys:
            raise DataError(
                f"{some(keys)} names the analyses and cannot be changed; read the foci again with other ids"
            )
        for name, values in columns.items():
            if np.ndim(values) > 1:
                raise DataError(f"{name} has shape {np.shape(values)}; a column is one value for each analysis")
            if np.ndim(values) and len(values) != len(self):
                raise DataError(f"{name} has {len(values)} values; there are {len(self)} analyses (rows of .studies)")
        new = {name: _unindexed(values) for name, values in columns.items()}
        old = self.studies.drop(columns=[name for name in new if name in self.studies.columns])
        return pd.concat([old, pd.DataFrame(new, index=old.index)], axis=1)  # assign() is slow beside 1,000 columns

    def to_csv(self, foci: str | os.PathLike[str], studies: str | os.PathLike[str] | None = None) -> tuple[Path, Path]:
        """Write the two tables, and answer their paths, for read_foci(foci, studies).

        studies: beside the foci unless given, "foci.csv" and "foci_studies.csv". Raises FileNotFoundError.
        """
        first = Path(foci)
        second = first.with_name(f"{first.stem}_studies{first.suffix}") if studies is None else Path(studies)
        for path, table in ((first, self.foci), (second, self.studies)):
            check_writable(path)
            table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
        return first, second

    def to_studyset(self, path: str | os.PathLike[str], name: str = "formula_neuro") -> None:
        """Write a NIMADS studyset (JSON), with the covariates as annotations, which NiMARE reads."""
        from .writing import write_studyset

        check_writable(Path(path))
        write_studyset(self, path, name)

    def to_sleuth(self, path: str | os.PathLike[str]) -> None:
        """Write Sleuth text (GingerALE); it holds names, sample sizes and coordinates alone."""
        from .writing import write_sleuth

        check_writable(Path(path))
        write_sleuth(self, path)

    def __len__(self) -> int:
        return len(self.studies)

    def __repr__(self) -> str:
        n = self.studies["study"].nunique()
        analyses = "1 analysis" if len(self) == 1 else f"{len(self):,} analyses"
        return f"Foci({len(self.foci):,} foci of {analyses} in {n:,} {'study' if n == 1 else 'studies'})"


def _unindexed(values: Any) -> Any:
    """Values by position: a Series of another index would be aligned by labels."""
    return values.array if isinstance(values, pd.Series) else values
