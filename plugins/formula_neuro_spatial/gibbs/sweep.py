"""One sweep of a chain: voxels by checkerboard, blocks of voxels, level and Sigma with all coefficients, Q given b.

Latent variables are not drawn: their sum over many rare events hardly moves the coefficients (plain/latent.py draws
them, as Ge et al. 2014 do, and samples the same distribution).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from formula_neuro.family import Array

from ..model import Model
from ..precision import wishart
from .affine import Affine
from .cells import Cells, moved
from .field import Field
from .streams import AFFINE, BLOCKS, PRECISION, VOXELS, Streams
from .target import Target

NEAR = (0.0, 0.7)  # r of the affine move in turn: short steps too, as whole ones can be refused far out in a tail
SIDES = (2, 3, 4, 6, 8, 12, 16, 24)  # of blocks, one a sweep
SMALLEST = 2.0  # blocks along the mask's longest axis, at least


@dataclass(frozen=True, eq=False)
class State:
    """Coefficients with what is known at them, and precision Q (P, P)."""

    field: Field
    Q: Array

    @property
    def b(self) -> Array:
        """(V, P)."""
        return np.asarray(self.field.b.T.cpu().numpy())


@dataclass(frozen=True)
class Accepted:
    """The shares of moves that were accepted: of voxels, of blocks, of all coefficients together."""

    voxels: float
    blocks: float
    affine: float


@dataclass(frozen=True, eq=False)
class Sampler:
    """What all sweeps share. `fixed`: Q stays as it is."""

    model: Model
    target: Target
    cells: Cells
    affine: Affine
    sides: tuple[int, ...]
    fixed: bool = False

    @classmethod
    def of(cls, model: Model, device: str = "cpu", fixed: bool = False) -> Sampler:
        graph, target = model.graph, Target.of(model.likelihood, device)
        pieces, P = len(graph.components), model.shape[1]
        longest = int(np.ptp(graph.places, axis=0).max()) + 1
        sides = tuple(side for side in SIDES if SMALLEST * side <= longest)
        affine = Affine.of(P, model.prior_df - (pieces - 1), fixed)
        return cls(model, target, Cells.of(graph, target.device), affine, sides, fixed)

    def start(self, b: Array, Q: Array) -> State:
        """The state at coefficients b (V, P) and precision Q (P, P)."""
        return State(Field.of(self.target, b), Q)

    def sweep(self, state: State, streams: Streams, number: int) -> tuple[State, Accepted]:
        """The next state."""
        field = state.field.copy()
        Q = torch.from_numpy(state.Q).to(field.b.device)
        rng = streams.of(number, VOXELS)
        voxels = [moved(field, self.cells, half, Q, rng) for half in self.cells.voxels]
        blocks = self._blocks(field, Q, streams.of(number, BLOCKS), number)
        field, precision, affine = self.affine.moved(field, state.Q, NEAR[number % 2], streams.of(number, AFFINE))
        if not self.fixed:
            precision = self.precision(field.b, streams.of(number, PRECISION))
        return State(field, precision), Accepted(_share(voxels), _share(blocks), float(affine))

    def _blocks(self, field: Field, Q: Any, rng: np.random.Generator, number: int) -> list[tuple[int, int]]:
        if not self.sides:
            return []
        side = self.sides[number % len(self.sides)]
        corner = torch.from_numpy(rng.integers(0, side, len(self.cells.places))).to(field.b.device)
        return [moved(field, self.cells, half, Q, rng) for half in self.cells.blocks(side, corner)]

    def precision(self, b: Any, rng: np.random.Generator) -> Array:
        """Q given b (P, V): Wishart(nu + V - c, (I + sum of D D')^-1)."""
        every = torch.arange(b.shape[1], device=b.device)
        S = (b @ self.cells.pull(b, every).T).cpu().numpy()
        scale = np.linalg.inv(np.eye(len(S)) + (S + S.T) / 2)
        return wishart(self.model.df, (scale + scale.T) / 2, rng)


def _share(counts: list[tuple[int, int]]) -> float:
    return sum(one for one, _ in counts) / max(sum(all_ for _, all_ in counts), 1) if counts else 1.0
