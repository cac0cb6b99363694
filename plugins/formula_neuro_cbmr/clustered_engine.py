"""What inference asks of maps and global coefficients that were searched together under gamma frailties."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.foci.engine import KINDS
from formula_neuro.foci.request import FociRequest

from .clustered_joint import ClusteredFound, Units
from .corrected import Corrected
from .dispersion import Dispersions, of_joint
from .joint_engine import JointEngine
from .problem import Index
from .simulation import drawn_totals, placed


@dataclass(frozen=True, eq=False)
class ClusteredEngine(JointEngine):
    """As for Poisson, with the frailties' part in scores and informations."""

    clustered: ClusteredFound
    units: Units
    smoothing: float

    def information(self, kind: str) -> Corrected:
        """Of (beta, gamma): expected, or observed with alpha estimated."""
        if kind not in KINDS:
            raise DataError(f"vcov={kind!r} is not known; there are {', '.join(KINDS)}")
        return self.clustered.observed if kind == "observed" else self.clustered.expected

    @property
    def frailties(self) -> tuple[Index, Array]:
        """The unit of every analysis (M,), and what its shared frailty takes from the information (K,)."""
        units = self.units
        alpha, means = self.clustered.alpha[units.group], units.sums(self.found.fitted)
        return units.unit, alpha / (1 + alpha * means)

    @property
    def ratio(self) -> Array:
        """The frailties' means given the totals, (M,)."""
        return self.clustered.ratio

    def dispersions(self) -> Dispersions:
        """Of the cells' frailties."""
        return of_joint(self.model, self.units, self.clustered, self.smoothing)

    def simulate(self, rng: np.random.Generator) -> FociRequest:
        """The request with foci drawn from the fit."""
        units, M = self.units, self.model.M
        t = drawn_totals(self.found.fitted, self.clustered.alpha[units.group], units.unit, rng)
        maps = self.expand(self.found.beta)
        return placed(self.problem.request, self.problem.pattern, lambda p: M[p] @ maps, t, rng)
