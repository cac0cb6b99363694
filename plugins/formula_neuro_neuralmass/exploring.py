"""fn.explore: many runs of a model as one table, which fn.fit takes as its data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from formula_neuro.dynamics.connectome import Connectome
from formula_neuro.dynamics.durations import shown
from formula_neuro.dynamics.model import Model
from formula_neuro.errors import DataError
from formula_neuro.running.bar import bar
from formula_neuro.running.estimates import planned
from formula_neuro.running.fingerprint import fingerprint
from formula_neuro.running.pieces import threads_or_pool

from .asking import Asked, Timing, ask, seeded
from .batches import Engine, noisy
from .exploration.answer import Exploration, about
from .exploration.folder import Folder
from .exploration.measuring import Measure, as_measures
from .exploration.pieces import Piece, in_order
from .exploration.remarks import before, found_in
from .exploration.runs import HEAD, MOST, TAIL, Runs
from .exploration.sets import as_sets
from .models import find
from .problem import Balloon

if TYPE_CHECKING:
    from formula_neuro.stimuli import Stimulus


def explore(
    model: str | Model,
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | pd.DataFrame,
    connectome: Connectome | Mapping[str, Connectome] | None = None,
    params: Mapping[str, Any] | None = None,
    init: Mapping[str, Any] | None = None,
    stimulus: Mapping[str, Stimulus] | None = None,
    *,
    measure: Measure | Mapping[str, Measure] | None = None,
    targets: Mapping[str, Any] | None = None,
    kind: Literal["grid", "zip", "sequence", "list"] | None = None,
    replicates: int = 1,
    random: Literal["own", "common"] | None = None,
    duration: float | str | None = None,
    dt: float | str | None = None,
    every: float | str | None = None,
    sampling: Literal["mean", "sample"] = "mean",
    skip: float | str | None = None,
    outputs: Sequence[str] | None = None,
    bold: bool | Balloon | Mapping[str, Any] = False,
    seed: int | None = None,
    tables: Literal["compatible", "accurate"] = "compatible",
    device: str = "cpu",
    dtype: Literal["float64", "float32"] = "float64",
    engine: Engine = "auto",
    workers: Any = None,
    out: str | Path | None = None,
    progress: bool | None = None,
) -> Exploration:
    """A table of runs over parameter sets: a row a set and repetition, with what was measured in each.

    parameters: values of each, {"mue_ext_mean": [0, 1, 2], ...}, as a grid, or by kind= "zip" (the first of each, the
        second of each, ...) or "sequence" (one after the other, others at their standing value); or a list of sets, or
        a table with a row a set. params, init, stimulus and all from duration on are those of fn.simulate.
    connectome: one, or one a subject by name, {"s1": fn.Connectome(...), ...}: rows then have their subject.
    measure: functions of a run by name, {"max_rate": lambda n: n["rates_exc"].max()}, or one that answers a dict;
        arrays are kept beside the table. By default mean, maximum, minimum and sd of the first output.
    targets: by subject, what each run is compared with, as measured connectivity: a measure of two arguments gets the
        run and the subject's, {"fc_fit": lambda n, fc: fn.measures.matrix_correlation(n.fc("10 s"), fc)}.
    replicates: repetitions of each set. random: "own" random numbers for each run (where there is noise), or "common"
        ones for all sets of a repetition (otherwise: sets begin alike and differ by their parameters alone).
    skip: time that is not recorded, so that measures leave a transient out.
    workers: a number of threads; or a dask client or an executor, to whose processes batches go (measures then have to
        reach them: a lambda does with dask). The numbers are the same.
    out: a folder; finished batches are kept there and the same call goes on from them.

    A run that becomes infinite stays in the table as "failed", with its time. Raises DataError.

    >>> e = explore("fhn", {"x_ext": [0.0, 1.0], "tau": [10, 20]}, duration="50 ms", seed=1)
    >>> e.to_frame()[["set", "x_ext", "tau", "status"]]
       set  x_ext   tau status
    0    0    0.0  10.0     ok
    1    1    0.0  20.0     ok
    2    2    1.0  10.0     ok
    3    3    1.0  20.0     ok
    """
    folder = Folder(None if out is None else Path(out))
    held = folder.about()
    asked = _asked(
        find(model, params, tables),
        connectome,
        Timing(duration, dt, every, sampling, skip, None if outputs is None else tuple(outputs)),
        {"params": {} if params is None else params, "init": {} if init is None else init, "stimulus": stimulus,
         "bold": bold, "device": device, "dtype": dtype, "tables": tables,
         "seed": seeded(held["seed"] if held is not None and seed is None else seed)},
    )  # fmt: skip
    first = next(iter(asked.values()))
    sets = as_sets(parameters, kind, first.model, params or {}, connectome is not None)
    measures = as_measures(measure, targets, bool(first.keep))
    _check(replicates, random, asked, targets)
    threads, pool = threads_or_pool(workers)
    if taken := [name for name in sets.names if name in (*HEAD, *TAIL)]:
        raise DataError(f"the parameter {taken[0]!r} has the name of a column of every exploration; rename it")
    loud = noisy(first, sets.sets)
    own = loud if random is None else random == "own"
    runs = Runs(asked, sets, replicates, own, measures, engine, threads)
    return _explored(runs, folder, before(runs, loud), pool, progress)


def _asked(
    model: Model, connectome: Connectome | Mapping[str, Connectome] | None, timing: Timing, rest: Mapping[str, Any]
) -> dict[str, Asked]:
    """What is run by the owner of the connectome, "" where there is one for all."""
    if not isinstance(connectome, Mapping):
        return {"": ask(model, connectome, timing, **rest)}
    if not connectome or "" in connectome:
        raise DataError("connectome is a mapping without subjects, or with one without a name")
    return {str(subject): ask(model, one, timing, **rest) for subject, one in connectome.items()}


def _check(replicates: int, random: str | None, asked: Mapping[str, Asked], targets: Mapping[str, Any] | None) -> None:
    if isinstance(replicates, bool) or not isinstance(replicates, (int, np.integer)) or replicates < 1:
        raise DataError(f"replicates is {replicates!r}; a whole number from 1 is expected")
    if replicates > MOST or len(asked) > MOST // 2:
        raise DataError(
            f"{replicates} repetitions of {len(asked)} connectomes; up to {MOST} of up to {MOST // 2} have random "
            "numbers of their own, so take another seed for the rest"
        )
    if random not in (None, "own", "common"):
        raise DataError(f"random is {random!r}; 'own', 'common' or None is expected")
    if "" not in asked and targets is not None:
        missing = [subject for subject in asked if subject not in {str(name) for name in targets}]
        if missing:
            raise DataError(f"targets has nothing for the subject {missing[0]!r} of the connectomes")


def _explored(runs: Runs, folder: Folder, told: tuple[str, ...], pool: Any, progress: bool | None) -> Exploration:
    """Run what is not kept, and put all of it in order."""
    started = time.perf_counter()
    words = f"{_what(runs)}; seed {runs.first.seed}"
    empty = Exploration(pd.DataFrame(), runs.sets.names, runs.first.model.name, f"{words}, unfinished", told, 0.0, {})
    standing = {"seed": runs.first.seed, "fingerprints": _fingerprints(runs) if folder.path else {}}
    folder.begin({**about(empty), **standing})
    found, arrays = in_order(_gathered(runs, folder, pool, progress))
    seconds = time.perf_counter() - started
    answer = Exploration(
        table=found,
        parameters=runs.sets.names,
        model=runs.first.model.name,
        words=f"{words}, {seconds:.2g} s",
        messages=(*told, *found_in(found)),
        seconds=seconds,
        arrays=arrays,
        runs=runs,
    )
    folder.end({**about(replace(answer, messages=told)), **standing})
    return answer


def _gathered(runs: Runs, folder: Folder, pool: Any, progress: bool | None) -> list[Piece]:
    """What is kept, and what is run now."""
    pieces = folder.pieces()
    done = {run for piece in pieces for run in piece.table["run"]}
    left = [run for run in range(len(runs)) if run not in done]
    parts = runs.parts(left, shared=pool is not None)
    size = max((batch.bytes for _, _, batch in parts), default=0.0)
    with bar(planned(_what(runs), size, len(parts)), len(left), progress, pool, compiles=True) as advance:
        try:
            for numbers, rows in runs.done(parts, _Whole(advance), pool, advance.took):
                pieces.append(folder.keep(numbers, _piece(runs, rows)))
        except KeyboardInterrupt as stopped:
            stopped.add_note(_kept(folder, pieces, len(runs)))
            raise
    return pieces


def _kept(folder: Folder, pieces: list[Piece], total: int) -> str:
    """What is left of an exploration that was stopped."""
    if folder.path is None:
        return "nothing is kept of an exploration that is stopped; out='folder' keeps its finished batches"
    done = sum(len(set(piece.table["run"])) for piece in pieces)
    return f"{done:,} of {total:,} runs are kept in {folder.path}; the same call goes on from them"


def _piece(runs: Runs, rows: list[dict[str, Any]]) -> Piece:
    """Rows as a table, and their arrays, which have no place in it."""
    names = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, np.ndarray))
    plain = [{name: value for name, value in row.items() if name not in names} for row in rows]
    return Piece(runs.table(plain, names), {name: [row.get(name) for row in rows] for name in names})


def _what(runs: Runs) -> str:
    """All runs in a few words."""
    asked = runs.first
    nodes = f"{len(asked.nodes)} nodes" if len(asked.nodes) > 1 else "one node"
    times = f" x {runs.replicates} repetitions" if runs.replicates > 1 else ""
    people = f" x {len(runs.asked)} connectomes" if len(runs.asked) > 1 else ""
    return f"{len(runs.sets)} sets{times}{people} of {asked.model.name}, {nodes}, {shown(round(asked.duration, 9))}"


def _fingerprints(runs: Runs) -> dict[str, str]:
    settings = {owner: replace(asked, messages=()) for owner, asked in runs.asked.items()}
    return {
        "parameters": fingerprint((runs.sets.sets, runs.replicates, runs.own)),
        "model, connectome or settings": fingerprint(settings),
        "measures": fingerprint((runs.measures.functions, runs.measures.targets)),
    }


class _Whole:
    """Shares of runs, told as whole runs when there are some."""

    def __init__(self, advance: Any) -> None:
        self.advance, self.done, self.told = advance, 0.0, 0

    def __call__(self, runs: float) -> None:
        self.done += runs
        whole = int(self.done + 1e-9)
        if whole > self.told:
            self.advance(whole - self.told)
            self.told = whole
