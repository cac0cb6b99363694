"""neurolib's Evolution over fn.evolve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from formula_neuro.errors import DataError

from ...evolution.answer import Evolution as Answer
from ...evolution.objective import Individual
from ...evolving import evolve
from ..models.model import Model
from ..utils.parameterSpace import ParameterSpace


class Evolution:
    """Parameters within the bounds of a ParameterSpace that make a fitness best: run(), loadResults(), info().

    evalFunction(traj) answers (fitness tuple, dict of results); getIndividualFromTraj(traj) has the parameters as
    attributes. weightList: negative numbers minimise. algorithm: "adaptive" or "nsga2". Operators of your own, a
    fitness at which to stop, and populations simulated as batches: fn.evolve. `answer` is what that gives.
    """

    def __init__(
        self,
        evalFunction: Callable[[Any], Any],
        parameterSpace: ParameterSpace,
        weightList: Sequence[float] | None = None,
        model: Model | None = None,
        *,
        POP_INIT_SIZE: int = 100,
        POP_SIZE: int = 20,
        NGEN: int = 10,
        algorithm: str = "adaptive",
        seed: int | None = None,
    ):
        self.evalFunction, self.parameterSpace, self.model = evalFunction, parameterSpace, model
        self.weightList = list(weightList or [1.0])
        self.POP_INIT_SIZE, self.POP_SIZE, self.NGEN = POP_INIT_SIZE, POP_SIZE, NGEN
        self.algorithm, self.seed = algorithm, seed
        self._answer: Answer | None = None

    def run(self, verbose: bool = False) -> None:
        """Evolve NGEN generations; a second call goes on for as many more."""
        if self._answer is not None:
            self._answer = self._answer.resume(self._answer.history.generations + self.NGEN)
        else:
            space = self.parameterSpace
            bounds = dict(zip(space.parameterNames, zip(space.lowerBound, space.upperBound, strict=True), strict=True))
            self._answer = evolve(
                self.evalFunction,
                bounds,
                method=self.algorithm,
                weights=self.weightList,
                population=self.POP_SIZE,
                initial=self.POP_INIT_SIZE,
                generations=self.NGEN,
                seed=self.seed,
            )
        if verbose:
            print(self._answer)

    @property
    def answer(self) -> Answer:
        """What fn.evolve answered. Raises DataError before run()."""
        if self._answer is None:
            raise DataError("the evolution has not been run: evolution.run()")
        return self._answer

    def loadResults(self) -> None:
        """Nothing is left to load: results are in memory after run(). Raises DataError before."""
        _ = self.answer

    def getIndividualFromTraj(self, traj: Individual) -> Individual:
        """The individual with its parameters as attributes."""
        return traj

    def individualToDict(self, individual: Individual) -> dict[str, float]:
        """An individual's parameters by name."""
        return dict(individual.params)

    def getModelFromTraj(self, traj: Individual) -> Model:
        """The model with an individual's parameters. Raises DataError."""
        if self.model is None:
            raise DataError("Evolution was made without a model")
        self.model.params.update(traj.params)
        return self.model

    def info(self, plot: bool = True) -> None:
        """Print the last population's summary; with plot, draw the distribution of its parameters."""
        print(self.answer)
        if plot:
            self.answer.plot("parameters")

    def plotProgress(self) -> Any:
        """The scores over generations as a picture."""
        return self.answer.plot("scores")

    def dfPop(self) -> pd.DataFrame:
        """A row an individual of the last population, best first."""
        return self.answer.population

    def dfEvolution(self) -> pd.DataFrame:
        """A row an individual of all generations."""
        return self.answer.to_frame()

    def getScores(self) -> Any:
        """The last population's scores (mean weighted fitness)."""
        return self.answer.population["score"].to_numpy()

    @property
    def tree(self) -> Any:
        """The genealogy as a picture."""
        return self.answer.plot("genealogy")

    def saveEvolution(self, fname: str | Path) -> Path:
        """Keep all individuals in a file; fn.load_evolution reads it."""
        return self.answer.save(fname)
