"""The past of what nodes send each other, in torch: delayed sums over tracts as one sparse product a step."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from formula_neuro.dynamics.model import Own, Tract
from formula_neuro.family import Array

SLAB = 4  # pasts in a slab: it is copied to its top once in three pasts' steps


@dataclass(eq=False)
class Past:
    """The last `length` rows of one variable, each (N, B), newest last, in one contiguous slab."""

    slab: torch.Tensor  # (SLAB * length, N, B)
    length: int
    end: int = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.length

    @classmethod
    def of(cls, rows: torch.Tensor) -> Past:
        """The past (length, N, B), oldest first."""
        slab = torch.empty((SLAB * len(rows), *rows.shape[1:]), dtype=rows.dtype, device=rows.device)
        slab[: len(rows)] = rows
        return cls(slab, len(rows))

    def append(self, row: torch.Tensor) -> None:
        if self.end == len(self.slab):
            self.slab[: self.length - 1] = self.slab[self.end - self.length + 1 :].clone()
            self.end = self.length - 1
        self.slab[self.end] = row
        self.end += 1

    @property
    def rows(self) -> torch.Tensor:
        return self.slab[self.end - self.length : self.end]

    def ago(self, steps: int) -> torch.Tensor:
        """The row that was appended `steps` rows before the newest."""
        return self.slab[self.end - 1 - steps]


@dataclass(frozen=True, eq=False)
class Arrivals:
    """The inputs of a model at the next step from the pasts of its transmitted variables."""

    inputs: Mapping[str, Tract | Own]
    pasts: Mapping[str, Past]
    sums: Mapping[str, torch.Tensor | None]  # by the input: sparse (N, length * N); None: no connections
    own_delays: Mapping[str, int]

    def now(self) -> dict[str, torch.Tensor]:
        """Every input (N, B)."""
        return {name: self._one(name, how) for name, how in self.inputs.items()}

    def _one(self, name: str, how: Tract | Own) -> torch.Tensor:
        past = self.pasts[how.variable]
        if isinstance(how, Own):
            return past.ago(self.own_delays[how.delay]).clone()
        matrix = self.sums[name]
        if matrix is None:
            return torch.zeros_like(past.ago(0))
        rows = past.rows
        arrived: Any = matrix @ rows.reshape(-1, rows.shape[-1])
        return arrived


def delayed_sum(weights: Array, delays: NDArray[np.int64], length: int, like: torch.Tensor) -> torch.Tensor | None:
    """The sparse matrix (N, length * N) that sums C_ij x_j[t - 1 - d_ij] from the last `length` rows of x."""
    i, j = np.nonzero(weights)
    if not len(i):
        return None
    nodes = len(weights)
    column = (length - 1 - delays[i, j].astype(np.int64)) * nodes + j
    order = np.lexsort((column, i))
    starts = np.concatenate([[0], np.cumsum(np.bincount(i, minlength=nodes))])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Ss]parse.*")  # torch calls its CSR a beta at first use
        return torch.sparse_csr_tensor(
            torch.as_tensor(starts), torch.as_tensor(column[order]), torch.as_tensor(weights[i, j][order]),
            size=(nodes, length * nodes), dtype=like.dtype,
        ).to(like.device)  # fmt: skip
