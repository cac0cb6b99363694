"""Joint draws of all coefficients: from the normal approximation of their posterior, or those kept by chains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .draws import Noise
from .graph import MaskGraph
from .likelihood import Likelihood
from .system import System

SOLVED = 1e-6
FIRST = 1_000_000  # number of the first draw: those before it made the covariances


@dataclass(frozen=True, eq=False)
class Normal:
    """N(mean, H^-1) with mean (V, P) and H the system's precision: neighbours vary together as in the posterior.

    Q is held at its estimate. `likelihood` is what a check of the approximation starts from.
    """

    graph: MaskGraph
    system: System
    mean: Array
    most: int | None = None
    likelihood: Likelihood | None = None

    def draws(self, numbers: range, seed: int) -> Array:
        """The draws of these numbers, (V, P, K), a stream each."""
        own = range(FIRST + numbers.start, FIRST + numbers.stop)
        noise = Noise.of(self.graph, self.mean.shape[1], own, seed)
        return self.mean[:, :, None] + self.system.solve(noise.perturbation(self.system), tolerance=SOLVED)


@dataclass(frozen=True, eq=False)
class Sampled:
    """The draws that chains have kept, maps (K, P, V)."""

    maps: NDArray[np.float32]

    @property
    def most(self) -> int:
        """Draws that there are."""
        return len(self.maps)

    def draws(self, numbers: range, seed: int) -> Array:
        """The draws of these numbers, (V, P, K), in the order of the chains; the seed is that of the chains."""
        return np.asarray(self.maps[numbers.start : numbers.stop].transpose(2, 1, 0), dtype=np.float64)
