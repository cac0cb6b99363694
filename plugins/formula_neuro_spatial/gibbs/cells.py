"""Coefficients moved cell by cell: voxels one by one, or blocks of voxels by one vector each.

Cells of one colour share no edge, so that given the other colour they are independent. A cell's vector a is proposed
from the normal approximation of its distribution at the present b,

    H = sum of A_s + n Q,   G = sum of g_s - Q (L b)_s,   a ~ N(H^-1 G, H^-1),

with n edges that leave the cell, and accepted by Metropolis and Hastings' rule. The vectors of blocks are what moves
the smooth part of b, which voxels one by one move slowly where data are few (Goodman and Sokal 1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..graph import MaskGraph
from .field import Field
from .triangles import backward, factor, forward, log_diagonal, upper_times

Tensor = Any


@dataclass(frozen=True, eq=False)
class Half:
    """Cells of one colour: their voxels (U,), each voxel's cell (U,), None where every voxel is one; C cells.

    `leaving` (C,) are the edges that leave each cell, and `held` (C,) whether it holds a voxel.
    """

    voxels: Tensor
    cell: Tensor | None
    leaving: Tensor
    held: Tensor

    def sums(self, x: Tensor) -> Tensor:
        """Over the voxels of every cell, (..., C) of (..., U)."""
        if self.cell is None:
            return x
        return torch.zeros(*x.shape[:-1], len(self.held), dtype=x.dtype, device=x.device).index_add_(-1, self.cell, x)

    def spread(self, x: Tensor) -> Tensor:
        """Every voxel's number (..., U) of its cell's (..., C)."""
        return x if self.cell is None else x[..., self.cell]


@dataclass(frozen=True, eq=False)
class Cells:
    """The mask's graph on the device, for cells of any side: places (3, V), neighbours (V, 6) with V for none."""

    places: Tensor
    near: Tensor
    voxels: tuple[Half, Half]

    @classmethod
    def of(cls, graph: MaskGraph, device: Any) -> Cells:
        V = graph.size
        near = np.full((V, 6), V, dtype=np.int64)
        ends = np.concatenate([graph.edges, graph.edges[:, ::-1]])
        ends = ends[np.argsort(ends[:, 0], kind="stable")]
        filled = np.arange(len(ends)) - np.searchsorted(ends[:, 0], ends[:, 0])
        near[ends[:, 0], filled] = ends[:, 1]
        degree = torch.from_numpy(graph.n_s).to(device)

        def half(parity: int) -> Half:
            at = torch.from_numpy(np.flatnonzero(graph.parity == parity)).to(device)
            return Half(at, None, degree[at], torch.ones(len(at), dtype=torch.bool, device=device))

        places = torch.from_numpy(np.ascontiguousarray(graph.places.T)).to(device)
        return cls(places, torch.from_numpy(near).to(device), (half(0), half(1)))

    def pull(self, b: Tensor, voxels: Tensor) -> Tensor:
        """L b at some voxels (P, U): the sums of their differences from their neighbours."""
        near = self.near[voxels]
        padded = torch.nn.functional.pad(b, (0, 1))
        degree = (near < b.shape[1]).sum(dim=1)
        return degree * b[:, voxels] - torch.stack([row[near].sum(dim=1) for row in padded])

    def blocks(self, side: int, corner: Tensor) -> tuple[Half, Half]:
        """Cubes of `side` voxels, the first one cut by `corner` (3,) voxels; a mask's edge cuts others."""
        at = torch.div(self.places + corner[:, None], side, rounding_mode="floor")
        size = at.amax(dim=1) + 1
        cell, C = (at[0] * size[1] + at[1]) * size[2] + at[2], int(size.prod())
        other = torch.nn.functional.pad(cell, (0, 1), value=-1)[self.near]
        outside = ((other >= 0) & (other != cell[:, None])).sum(dim=1).to(torch.float64)
        leaving = torch.zeros(C, dtype=torch.float64, device=cell.device).index_add_(0, cell, outside)

        def half(colour: int) -> Half:
            voxels = torch.nonzero(at.sum(dim=0) % 2 == colour)[:, 0]
            held = torch.zeros(C, dtype=torch.bool, device=cell.device)
            held[cell[voxels]] = True
            return Half(voxels, cell[voxels], torch.where(held, leaving, 1.0), held)

        return half(0), half(1)


def moved(field: Field, cells: Cells, half: Half, Q: Tensor, rng: np.random.Generator) -> tuple[int, int]:
    """Move the cells of one colour in place; how many moves were accepted, of how many."""
    P, C, device = len(field.b), len(half.held), field.b.device
    z = torch.from_numpy(rng.standard_normal((P, C))).to(device)
    bound = torch.from_numpy(np.log(rng.random(C))).to(device)
    i, j = torch.tril_indices(P, P)
    stiff, voxels = Q[i, j][:, None] * half.leaving, half.voxels
    pull = half.sums(cells.pull(field.b, voxels))

    def normal(at: Any, pull: Tensor) -> tuple[Tensor, Tensor]:
        """L of H = L L', and L^-1 G."""
        L = factor(half.sums(at.A) + stiff, P)
        return L, forward(L, half.sums(at.gradient) - Q @ pull)

    now = field.local.part(voxels)
    L, y = normal(now, pull)
    a = backward(L, y + z)
    b = field.b[:, voxels] + half.spread(a)
    then = field.target.at(b, voxels)
    L2, y2 = normal(then, pull + half.leaving * a)
    back = upper_times(L2, a) + y2  # but for its sign the z that leads back
    ratio = half.sums(then.loglik - now.loglik) - (Q @ a * (0.5 * half.leaving * a + pull)).sum(dim=0)
    ratio += log_diagonal(L2, P) - log_diagonal(L, P) + 0.5 * (z * z - back * back).sum(dim=0)
    accepted = (bound < ratio) & half.held
    which = torch.nonzero(half.spread(accepted))[:, 0]
    field.b[:, voxels[which]] = b[:, which]
    field.local.put(voxels[which], then.part(which))
    return int(accepted.sum()), int(half.held.sum())
