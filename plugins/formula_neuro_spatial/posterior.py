"""Joint draws of all coefficients from Laplace's approximation of their posterior."""

from __future__ import annotations

from dataclasses import dataclass

from formula_neuro.family import Array

from .draws import Noise
from .graph import MaskGraph
from .system import System

SOLVED = 1e-6
FIRST = 1_000_000  # number of the first draw: those before it made the covariances


@dataclass(frozen=True, eq=False)
class Normal:
    """N(mean, H^-1) with mean (V, P) and H the system's precision: neighbours vary together as in the posterior.

    Q is held at its estimate.
    """

    graph: MaskGraph
    system: System
    mean: Array

    def draws(self, numbers: range, seed: int) -> Array:
        """The draws of these numbers, (V, P, K), a stream each."""
        own = range(FIRST + numbers.start, FIRST + numbers.stop)
        noise = Noise.of(self.graph, self.mean.shape[1], own, seed)
        return self.mean[:, :, None] + self.system.solve(noise.perturbation(self.system), tolerance=SOLVED)
