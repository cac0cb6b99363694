"""The masks as the sampler holds them on its device, and the log-likelihood of any voxels.

Where few rows, or nodes that stand for all rows, give the sums, their successes are held as numbers. All rows are held
as bits, for other designs and for voxels whose linear predictors leave the reach of the nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from formula_neuro.family import Array
from formula_neuro.kernels.device import as_device, elements

from ..likelihood import READ, Likelihood
from ..nodes import REACH
from .probit import Design, Local, local
from .triangles import place

Tensor = Any
WORTH = 0.5  # distinct rows, as a share of all, above which bits of all rows take less room and hardly longer


@dataclass(frozen=True, eq=False)
class Target:
    """Of V voxels: bits (V, ceil(n / 8)) of n rows; `counts` (V, K) of the few rows, where there are such.

    `reach`: by how much eta may range over the few rows. `anchor` (V,): prior precisions of b(s) itself;
    one of them makes the prior proper, which tests of the sampler need.
    """

    rows: Design
    bits: Tensor
    few: Design | None
    counts: Tensor | None
    reach: float
    anchor: Tensor | None

    @classmethod
    def of(cls, likelihood: Likelihood, device: str = "cpu", anchor: Array | None = None) -> Target:
        """Read all masks once."""
        on, rows, nodes = as_device(device), likelihood.rows, likelihood.nodes
        grouped = len(rows.X) <= WORTH * len(rows.group)
        few = nodes if nodes is not None else rows if grouped else None
        n, V = len(rows.group), likelihood.V
        bits = np.empty((V, (n + 7) // 8), dtype=np.uint8)
        held = likelihood.held if nodes is not None else None
        counts = None if few is None or held is not None else np.empty((V, len(few.X)))
        step = max(1, READ // n)
        for first in range(0, V, step):
            at = slice(first, min(first + step, V))
            Y = likelihood.masks(at.start, at.stop)
            bits[at] = np.packbits(Y, axis=1)
            if counts is not None:
                S = rows.successes(Y)
                counts[at] = S if nodes is None else S @ nodes.L
        counts = held if held is not None else counts
        return cls(
            Design.of(rows.X[rows.group], rows.offset[rows.group], np.ones(n), on),
            torch.from_numpy(bits).to(on),
            None if few is None else Design.of(few.X, few.offset, few.trials, on),
            None if counts is None else torch.from_numpy(counts).to(on),
            np.inf if nodes is None else 2 * REACH,
            None if anchor is None else torch.from_numpy(anchor).to(on),
        )

    @property
    def device(self) -> Any:
        return self.bits.device

    def at(self, b: Tensor, voxels: Tensor) -> Local:
        """At coefficients b (P, U) of voxels (U,)."""
        if self.few is None:
            found = self._by(self.rows, b, voxels)[0]
        else:
            found, range_ = self._by(self.few, b, voxels)
            far = torch.nonzero(range_ > self.reach)[:, 0]
            if len(far):
                found.put(far, self._by(self.rows, b[:, far], voxels[far])[0])
        if self.anchor is not None:
            _anchored(found, b, self.anchor[voxels])
        return found

    def loglik(self, b: Tensor, local: Local) -> Tensor:
        """Of the data alone, (V,), at all coefficients b (P, V)."""
        return local.loglik if self.anchor is None else local.loglik + 0.5 * self.anchor * (b * b).sum(dim=0)

    def _by(self, design: Design, b: Tensor, voxels: Tensor) -> tuple[Local, Tensor]:
        """By the rows of a design, and how far eta ranges over them (U,); a piece at a time."""
        (P, U), K = b.shape, len(design.X)
        step = max(1, elements(self.device) // K)
        eta, *room = torch.empty(7, min(step, U), K, dtype=torch.float64, device=self.device)
        found, range_ = Local.empty(P, U, self.device), torch.zeros(U, dtype=torch.float64, device=self.device)
        for first in range(0, U, step):
            at = slice(first, min(first + step, U))
            size = at.stop - first
            design.eta(b[:, at], eta[:size])
            low, high = torch.aminmax(eta[:size], dim=1)
            range_[at] = high - low
            furthest = max(float(high.max()), -float(low.min()))
            S = self._successes(design, voxels[at])
            found.put(at, local(design, eta[:size], S, [x[:size] for x in room], furthest))
        return found, range_

    def _successes(self, design: Design, voxels: Tensor) -> Tensor:
        if design is self.few:
            return self.counts[voxels]  # type: ignore[index]
        shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=self.device)
        wide = (self.bits[voxels][:, :, None] >> shifts) & 1
        return wide.reshape(len(voxels), -1)[:, : len(design.X)].to(torch.float64)


def _anchored(found: Local, b: Tensor, a: Tensor) -> None:
    """Add the logarithm of N(0, 1 / a) to the log-likelihood."""
    found.loglik.sub_(0.5 * a * (b * b).sum(dim=0))
    found.gradient.sub_(a * b)
    for i in range(len(b)):
        found.A[place(i, i)].add_(a)
