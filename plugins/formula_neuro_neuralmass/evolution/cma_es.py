"""CMA-ES (Hansen) by the package cma: its ask and tell, as a method beside the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .history import Brood, History, Ids

SIGMA = 0.3  # the first step, as a share of each parameter's range; cma's own advice for a range of 1


class _Normal:
    """Standard normal numbers from a generator that is exchanged each generation, in the form that cma asks for."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __call__(self, *shape: int) -> Array:
        return self.rng.standard_normal(shape)


class CMA:
    """The covariance matrix adaptation of one score, the mean of weighted fitness; genes are scaled to 0 to 1.

    size None: cma's own population, 4 + 3 log(n). It starts in the middle of the bounds. Its state belongs to one
    search: another one that goes on from a history makes its own and replays what it was asked and told.
    """

    def __init__(self, bounds: Array, size: int | None) -> None:
        self.bounds, self.normal = bounds, _Normal()
        options: dict[str, Any] = {"bounds": [0, 1], "verbose": -9, "seed": np.nan, "randn": self.normal}
        if size is not None:
            options["popsize"] = size
        self.strategy = _package().CMAEvolutionStrategy(np.full(len(bounds), 0.5), SIGMA, options)
        self.size = int(self.strategy.popsize)
        self.asked: list[Array] = []

    def brood(self, history: History, weights: Array, rng: np.random.Generator) -> Brood:
        """The next individuals; none has parents: they come from the whole generation before."""
        self.normal.rng = rng
        self.asked = self.strategy.ask()
        low, high = self.bounds.T
        genes = np.clip(low + (high - low) * np.array(self.asked), low, high)
        return Brood(genes, np.full(genes.shape, np.nan), np.full((len(genes), 2), -1))

    def left(self, history: History, weights: Array) -> Ids:
        """The new generation, best first; failed individuals are told to be the worst, and are not left."""
        new = np.flatnonzero(history.generation == history.generations)
        sound = history.sound[new]
        score = (history.fitness[new] * weights).mean(axis=1)
        worst = score[sound].min() - np.ptp(score[sound]) - 1 if sound.any() else 0.0
        self.strategy.tell(self.asked, list(-np.where(sound, score, worst)))
        order = np.argsort(-np.where(sound, score, -np.inf), kind="stable")
        return np.asarray(new[order][sound[order]])

    def finished(self) -> str:
        """Why the strategy has come to its end, in its words; empty where it goes on."""
        return ", ".join(f"{name} = {value}" for name, value in self.strategy.stop().items())


def _package() -> Any:
    try:
        import cma
    except ImportError:
        raise DataError('method="cma" needs the package cma: pip install "formula_neuro[simulate]"') from None
    return cma
