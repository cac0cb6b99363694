"""A weak normal prior of the level of every piece of a mask, as part of the likelihood."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .graph import MaskGraph
from .likelihood import Derivatives, Likelihood

LEVEL = 10.0  # standard deviation of a piece's level


@dataclass(frozen=True, eq=False)
class Anchored(Likelihood):
    """With -a_s |b_s|^2 / 2 added in every voxel: of the same b in all of a piece's voxels, N(0, 10^2).

    `anchor` (V,) is a = 1 / (100 V_c) in the V_c voxels of a piece: far too little to hold differences within it.
    """

    anchor: Array = None  # type: ignore[assignment]  # fields before it have defaults

    @classmethod
    def to(cls, likelihood: Likelihood, graph: MaskGraph) -> Anchored:
        given: dict[str, Any] = {field.name: getattr(likelihood, field.name) for field in fields(likelihood)}
        return cls(**given, anchor=1 / (LEVEL**2 * graph.components[graph.component]))

    def part(self, voxels: NDArray[np.intp]) -> Likelihood:
        return replace(super().part(voxels), anchor=self.anchor[voxels])  # type: ignore[call-arg]

    def derivatives(self, b: Array) -> Derivatives:
        at, a = super().derivatives(b), self.anchor
        A = at.A + a[:, None, None] * np.eye(b.shape[1])
        return Derivatives(at.loglik - 0.5 * a * (b**2).sum(axis=1), at.gradient - a[:, None] * b, A)
