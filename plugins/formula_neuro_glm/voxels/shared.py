"""What the voxels of a block share: the rows of one design as tensors, with the products that every pass needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from formula_neuro.estimator import Estimator
from formula_neuro.family import Array, Family
from formula_neuro.kernels.torch_links import Tensor


@dataclass(frozen=True, eq=False)
class Shared:
    """Rows Q (n, r) with Q'Q = n I, or nodes that stand for them, with trials T (n,) and offset (n,), None where plain.

    XX (n, m) holds the products of Q's columns, m = r (r + 1) / 2, so that X'WX of many voxels is one matrix product.
    X = Q R are the user's columns.
    """

    family: str
    link: str
    how: Estimator
    Q: Tensor
    Qt: Tensor
    XX: Tensor
    XXt: Tensor
    T: Tensor | None
    offset: Tensor | None
    R_inverse: Tensor
    packed: Tensor  # (r, r) where in XX the product of two columns stands
    spread: float  # the largest length of a row of Q, and so of eta at a b of length 1

    @classmethod
    def of(
        cls,
        Q: Array,
        R: Array,
        trials: Array | None,
        offset: Array | None,
        family: Family,
        how: Estimator,
        device: torch.device,
    ) -> Shared:
        r = Q.shape[1]
        i, j = np.tril_indices(r)
        packed = np.zeros((r, r), dtype=np.int64)
        packed[i, j] = packed[j, i] = np.arange(len(i))
        XX = Q[:, i] * Q[:, j]
        spread = float(np.sqrt((Q**2).sum(axis=1)).max(initial=0.0))

        def put(a: NDArray[Any]) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(a), device=device)

        return cls(
            family=family.name,
            link=family.link.name,
            how=how,
            Q=put(Q),
            Qt=put(Q.T),
            XX=put(XX),
            XXt=put(XX.T * np.where(i == j, 1.0, 2.0)[:, None]),
            T=None if trials is None else put(trials),
            offset=None if offset is None else put(offset),
            R_inverse=put(np.linalg.inv(R)),
            packed=torch.as_tensor(packed, device=device),
            spread=spread,
        )

    @property
    def rank(self) -> int:
        return int(self.Q.shape[1])

    def square(self, flat: Tensor) -> Tensor:
        """(C, r, r) symmetric of packed lower triangles (C, m)."""
        return flat[:, self.packed]

    def flat(self, square: Tensor) -> Tensor:
        """(C, m) packed lower triangles of symmetric (C, r, r)."""
        i, j = torch.tril_indices(self.rank, self.rank, device=square.device)
        return square[:, i, j]
