"""What evolve answers."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from formula_neuro.display.shown import Summary
from formula_neuro.errors import DataError, Unable
from formula_neuro.family import Array
from formula_neuro.running.bar import bar

from .history import History, Ids
from .nsga2 import fronts
from .search import Evaluate, Plan, Searched, search

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Evolution:
    """All individuals of an evolution, and who is left of them.

    results: what the objective gave beside the fitness, by the individual's id. evaluate: the objective as the search
    asks it, None where the evolution was read from a file.
    """

    plan: Plan
    history: History
    results: Mapping[int, Mapping[str, Any]]
    messages: tuple[str, ...]
    seconds: float
    evaluate: Evaluate | None = None

    @property
    def weights(self) -> Array:
        """(F,) of the fitness's numbers: negative ones are minimised."""
        return self.plan.weighted(self.history.fitness.shape[1])

    @property
    def seed(self) -> int:
        """The seed, drawn where none was given: it gives the same evolution again."""
        return self.plan.seed

    @property
    def score(self) -> Array:
        """(m,) the mean of an individual's weighted fitness, larger is better; NaN where it has failed."""
        score = (self.history.fitness * self.weights).mean(axis=1)
        return np.asarray(np.where(self.history.sound, score, np.nan))

    def to_frame(self) -> pd.DataFrame:
        """A row an individual: id, generation, parent1, parent2, the parameters, f0, f1, ... (fitness), score, status.

        status is "ok" or "failed"; results that are single numbers or words follow as columns.
        """
        h = self.history
        parents = {f"parent{k + 1}": pd.array(h.parents[:, k], dtype="Int64") for k in (0, 1)}
        table = pd.DataFrame({"id": np.arange(len(h)), "generation": h.generation, **parents})
        table.loc[h.parents[:, 0] < 0, ["parent1", "parent2"]] = pd.NA
        table[list(self.plan.names)] = h.genes
        table[[f"f{k}" for k in range(h.fitness.shape[1])]] = h.fitness
        table["score"] = self.score
        table["status"] = np.where(h.sound, "ok", "failed")
        return self._with_results(table)

    def _with_results(self, table: pd.DataFrame) -> pd.DataFrame:
        single = (int, float, str, bool, np.number, np.bool_)
        names = dict.fromkeys(name for r in self.results.values() for name, v in r.items() if isinstance(v, single))
        for name in names:
            column = [self.results.get(int(i), {}).get(name) for i in table["id"]]
            table[name if name not in table else f"result_{name}"] = column
        return table

    @property
    def population(self) -> pd.DataFrame:
        """The individuals that are left, best first."""
        return self.to_frame().iloc[self.history.population].reset_index(drop=True)

    @property
    def best(self) -> pd.Series[Any]:
        """The individual with the best score. Raises Unable where several numbers are optimised beside each other."""
        if self.plan.method == "nsga2" and len(self.weights) > 1:
            raise Unable("several numbers have no single best individual; pareto() has those that none other beats")
        if not self.history.sound.any():
            raise Unable(f"all {len(self.history)} individuals have failed; there is no best")
        return self.to_frame().iloc[int(np.nanargmax(self.score))]

    @property
    def scores(self) -> pd.DataFrame:
        """A row a generation: how many were evaluated and failed, and the population's best, mean and worst score."""
        h, score = self.history, self.score
        rows = [self._scores(g, ids, score) for g, ids in enumerate(h.populations)]
        return pd.DataFrame(rows, columns=["generation", "evaluated", "failed", "best", "mean", "worst"])

    def _scores(self, generation: int, ids: Ids, score: Array) -> dict[str, float]:
        born = self.history.generation == generation
        left = score[ids] if len(ids) else np.array([np.nan])
        return {
            "generation": generation,
            "evaluated": int(born.sum()),
            "failed": int((born & ~self.history.sound).sum()),
            "best": float(left.max()),
            "mean": float(left.mean()),
            "worst": float(left.min()),
        }

    def pareto(self) -> pd.DataFrame:
        """The individuals, of all, that no other beats in one number without losing in another; by the first number."""
        sound = np.flatnonzero(self.history.sound)
        front = sound[fronts(self.history.fitness[sound] * self.weights) == 0] if len(sound) else sound
        return self.to_frame().iloc[front].sort_values("f0").reset_index(drop=True)

    def report(self, path: str | os.PathLike[str]) -> str:
        """Write one self-contained HTML page on the evolution; returns the path written.

        Raises an OSError before any work is done where the path cannot be written, and ImportError where jinja2 or
        matplotlib is missing.
        """
        from ..reporting import write_report
        from .page import evolution_page

        return write_report(path, lambda: evolution_page(self))

    def summary(self) -> Summary:
        """The population's parameters and scores in words, and what the search has to say."""
        from .words import words

        return Summary(words(self))

    def __repr__(self) -> str:
        return str(self.summary())

    def plot(self, which: str | None = None) -> Figure:
        """Pictures: "parameters" (and pairs of them), "scores" (by generation), "genealogy", "pareto"; or an overview.

        A notebook shows the figure; `figure.savefig("evolution.png")` writes it.
        """
        from .pictures import plot

        return plot(self, which)

    def resume(self, generations: int, *, progress: bool | None = None) -> Evolution:
        """The same evolution up to so many generations in all, as if it had not stopped.

        Raises Unable after `load`, which has no objective: `fn.evolve(objective, start=w, generations=...)` goes on.
        """
        if self.evaluate is None:
            raise Unable(
                "an evolution from a file has no objective: fn.evolve(objective, start=w, generations=...), with "
                "simulate= where it was one of runs"
            )
        return run(self.plan, self.evaluate, generations, self, progress)

    def save(self, path: str | Path) -> Path:
        """Write all but functions to a file that ends in .npz; fn.load_evolution(path) reads it."""
        from .files import write

        return write(self, Path(path))


def run(
    plan: Plan, evaluate: Evaluate, generations: int, known: Evolution | None = None, progress: bool | None = None
) -> Evolution:
    """The evolution up to so many generations in all; known: where one had stopped. Raises DataError.

    Interrupted (Ctrl-C), it answers with the generations that are done, if there is one.
    """
    done = 0 if known is None else known.history.generations
    if isinstance(generations, bool) or not isinstance(generations, (int, np.integer)) or generations <= done:
        least = f"more than the {done} that are done" if done else "a whole number from 1"
        raise DataError(f"generations is {generations!r}; {least} is expected (the first one counts)")
    started = time.perf_counter()
    held = None if known is None else Searched(known.history, known.results)
    found = held
    with bar("generations", generations - done, progress, compiles=True) as advance:
        try:
            for step in search(plan, evaluate, generations, held):
                found = step
                advance(1)
        except KeyboardInterrupt:
            if found is None:
                raise
            found = replace(found, message=_interrupted(found, generations))
    assert found is not None  # generations are more than are done
    seconds = time.perf_counter() - started + (0.0 if known is None else known.seconds)
    return Evolution(plan, found.history, found.results, _messages(found), seconds, evaluate)


def _interrupted(found: Searched, generations: int) -> str:
    return (
        f"interrupted after {found.history.generations} of {generations} generations; w.resume({generations}) goes on"
    )


def _messages(found: Searched) -> tuple[str, ...]:
    sound = found.history.sound
    failed = int((~sound).sum())
    told = [found.message] if found.message else []
    if failed:
        told.append(f"{failed} of {len(sound)} individuals failed: their fitness was no finite number")
    return tuple(told)
