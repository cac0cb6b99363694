"""All runs of an exploration: which set, which repetition, whose connectome, which random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError
from formula_neuro.running.pieces import finished

from ..asking import Asked
from ..batches import Batch, Engine, batches, simulated
from ..building import Set
from ..simulation import Simulation
from .measuring import Measures
from .sets import Sets

Part: TypeAlias = tuple[str, list[int], Batch]  # owner, numbers of runs, and the batch's places among these
Measured: TypeAlias = tuple[list[int], list[dict[str, Any]]]  # numbers of runs, and their rows
HEAD = ("subject", "set", "replicate", "run")
TAIL = ("clamped", "status", "failed_at", "seed", "key")
MOST = 2**16  # repetitions, whose numbers have 16 bits of a key


@dataclass(frozen=True)
class Case:
    """One run: the owner of its connectome ("" where there is one for all), its set and its repetition."""

    owner: str
    set: int
    replicate: int
    key: int


@dataclass(frozen=True, eq=False)
class Runs:
    """What is run and measured. asked: by the connectome's owner. own: whether each run has its own random numbers,
    or each repetition the same ones for all sets (common random numbers)."""

    asked: Mapping[str, Asked]
    sets: Sets
    replicates: int
    own: bool
    measures: Measures
    engine: Engine = "auto"
    threads: int = 1

    def __len__(self) -> int:
        return len(self.asked) * len(self.sets) * self.replicates

    @property
    def first(self) -> Asked:
        """What all runs share, with the first connectome."""
        return next(iter(self.asked.values()))

    def case(self, run: int) -> Case:
        """The run of that number: repetitions vary fastest, connectomes slowest.

        Keys hold the three numbers side by side, so that more repetitions or connectomes leave the others' as they are.
        """
        rest, replicate = divmod(run, self.replicates)
        owner, place = divmod(rest, len(self.sets))
        key = (owner << 48 | replicate << 32 | place) if self.own else replicate << 32
        return Case(list(self.asked)[owner], place, replicate, key)

    def parts(self, left: Sequence[int], shared: bool = False) -> list[Part]:
        """The runs that are left in batches; shared: among other processes."""
        found = []
        for owner, asked in self.asked.items():
            mine = [run for run in left if self.case(run).owner == owner]
            found += [(owner, mine, batch) for batch in batches(asked, self._sets(mine), shared)]
        return found

    def _sets(self, numbers: Sequence[int]) -> list[Set]:
        return [self.sets.sets[self.case(run).set] for run in numbers]

    def done(
        self,
        parts: Sequence[Part],
        told: Callable[[float], None],
        pool: Any = None,
        took: Callable[[float], None] | None = None,
    ) -> Iterator[Measured]:
        """The numbers of the runs of each batch, and their rows; pool: a dask client or an executor that runs them.

        told: of how many runs are done; took: of the seconds of each batch, where a pool runs it.
        """
        if pool is None:
            yield from (self.measured(part, told) for part in parts)
            return
        own = [(owner, [mine[place] for place in batch.places], batch) for owner, mine, batch in parts]
        pieces = [(owner, mine, replace(batch, places=tuple(range(len(mine))))) for owner, mine, batch in own]
        for _, (numbers, rows) in finished(self.measured, pieces, pool, took):
            told(len(numbers))
            yield numbers, rows

    def measured(self, part: Part, told: Callable[[float], None] | None = None) -> Measured:
        """The numbers of the runs of one batch, and their rows."""
        owner, mine, batch = part
        keys = [self.case(run).key for run in mine]
        places, runs = next(
            simulated(
                self.asked[owner], self._sets(mine), keys, parts=[batch], engine=self.engine, workers=self.threads,
                told=told,
            )
        )  # fmt: skip
        numbers = [mine[place] for place in places]
        return numbers, [row for n, one in zip(numbers, runs, strict=True) for row in self._rows(n, one)]

    def simulation(self, number: int) -> Simulation:
        """One run again, whole."""
        case = self.case(number)
        found = simulated(
            self.asked[case.owner], [self.sets.sets[case.set]], [case.key], engine=self.engine, workers=self.threads
        )
        return next(found)[1][0]

    def _rows(self, number: int, run: Simulation) -> list[dict[str, Any]]:
        """A row, or one for each subject with whom the run is compared."""
        case = self.case(number)
        targets = self.measures.targets
        subjects: list[str | None] = [case.owner or None]
        if targets and not case.owner:
            subjects = list(targets)
        return [
            {
                **({} if subject is None else {"subject": subject}),
                "set": case.set,
                "replicate": case.replicate,
                "run": number,
                **(self.measures.of(run, subject if targets else None) if run.ok else {}),
                **({"clamped": run.clamped} if self.first.model.tables else {}),
                "status": "ok" if run.ok else "failed",
                "failed_at": run.failed,
                "seed": run.seed,
                "key": case.key,
            }
            for subject in subjects
        ]

    def table(self, rows: Sequence[Mapping[str, Any]], apart: Iterable[str] = ()) -> pd.DataFrame:
        """Rows as a table: subject, set, replicate, run, parameters, measures, status, failed_at, seed, key.

        apart: measures that are arrays and stay out of it. Raises DataError where a measure has another column's name.
        """
        found = pd.DataFrame(rows)
        named = [name for name in self.measures.functions if name and name not in apart]
        measured = [name for name in dict.fromkeys([*found.columns, *named]) if name not in (*HEAD, *TAIL)]
        taken = [name for name in measured if name in self.sets.names] + [n for n in named if n in (*HEAD, *TAIL)]
        if taken:
            raise DataError(f"a measure is named {taken[0]!r}, which is another column's name; rename it")
        defaults = {name: parameter.default for name, parameter in self.first.model.parameters.items()}
        standing = {**defaults, **self.first.params}
        for name in self.sets.names:
            column = self.sets.column(name, standing[name])
            found[name] = [column[place] for place in found["set"]]
        order = [*HEAD, *self.sets.names, *measured, *TAIL]
        found = found.reindex(columns=[name for name in order if name in found or name in named])
        return found.astype({"failed_at": np.float64})
