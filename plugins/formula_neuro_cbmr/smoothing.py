"""One smoothing parameter for all maps by REML: the generalised Fellner-Schall equation (Wood & Fasiolo 2017).

With A_c = H_c + lambda S at the optima of the maps c, Laplace's restricted likelihood is stationary where

    lambda sum_c b_c'S b_c = sum_c [rank(S) - lambda tr(A_c^-1 S)].

Their update multiplies lambda by right over left; `imbalance` is its logarithm, whose root is found by secants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import FitError
from formula_neuro.family import Array

from .penalty import Penalty

CLOSE = 1e-3  # of log lambda: far below what its own uncertainty is
ROUNDS = 50
JUMP = 3.0  # of log lambda in one round
STEEP = 0.05  # of the imbalance's fall along log lambda, below which a secant leads too far
FLAT = 0.1  # effective coefficients of all maps beside straight lines; below, lambda might as well be infinite


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Maps at one lambda: b'Sb and tr(A^-1 S) summed over the maps, and what a search made of them."""

    smoothing: float
    roughness: float
    trace: float
    rank: int

    @property
    def log(self) -> float:
        """log lambda."""
        return float(np.log(self.smoothing))

    @property
    def spent(self) -> float:
        """rank - lambda tr(A^-1 S): the effective coefficients of all maps beside the unpenalised ones."""
        return self.rank - self.smoothing * self.trace

    @property
    def imbalance(self) -> float:
        """How much the next update moves log lambda."""
        return float(np.log(max(self.spent, 1e-300)) - np.log(max(self.smoothing * self.roughness, 1e-300)))


def trace(inverse: Array, penalty: Penalty) -> float:
    """tr(A^-1 S), from A^-1 (P, P)."""
    S = penalty.S.tocoo()
    return float((inverse[S.row, S.col] * S.data).sum())


def search(at: Callable[[float], Smoothed], begin: float) -> tuple[Smoothed, int, bool]:
    """The maps at the lambda that REML chooses, the rounds it took, and whether lambda could be chosen.

    It cannot (False) where maps are as flat as can be: lambda is then as good as infinite.
    Raises FitError after 50 rounds.
    """
    here, before = at(begin), None
    low, high = -np.inf, np.inf  # log lambda is to rise above the one and to fall below the other
    for rounds in range(1, ROUNDS + 1):
        if here.spent < FLAT:
            return here, rounds, False
        low, high = (here.log, high) if here.imbalance > 0 else (low, here.log)
        if abs(here.imbalance) < CLOSE or high - low < CLOSE:
            return here, rounds, True
        there = here.log + _move(here, before)
        if not low < there < high:
            there = (low + high) / 2
        before, here = here, at(float(np.exp(there)))
    raise FitError(
        f"the smoothing parameter was not found in {ROUNDS} rounds, the last at {here.smoothing:.3g}; give one, as "
        "smooth=1.0"
    )


def _move(here: Smoothed, before: Smoothed | None) -> float:
    """Of log lambda: by the secant through two rounds, or twice the last move where the imbalance hardly falls."""
    move = here.imbalance
    if before is not None:
        run = here.log - before.log
        slope = (here.imbalance - before.imbalance) / run
        if slope < -STEEP:
            move = -here.imbalance / slope
        elif run * move > 0:
            move = 2 * run
    return float(np.clip(move, -JUMP, JUMP))


def first_guess(weights: Sequence[Array], penalty: Penalty) -> float:
    """A lambda at which the penalty weighs as much as a map's information (P,), its diagonal."""
    diagonal = penalty.S.diagonal()
    middle = float(np.median([np.median(w) for w in weights]))
    return max(middle, 1e-8) / max(float(np.median(diagonal)), 1e-8)
