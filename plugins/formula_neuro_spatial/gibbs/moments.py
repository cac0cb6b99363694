"""What is kept of the draws: means, covariances and counts by voxel, and traces of a few numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from formula_neuro.family import Array

Tensor = Any


def zeros(device: Any, *shape: int) -> Tensor:
    return torch.zeros(*shape, dtype=torch.float64, device=device)


@dataclass(frozen=True, eq=False)
class Running:
    """Mean (P, V) and sums of products around it (P (P + 1) / 2, V) of the draws added, by Welford's updates."""

    count: Tensor
    mean: Tensor
    squares: Tensor

    @classmethod
    def empty(cls, P: int, V: int, device: Any = "cpu") -> Running:
        return cls(zeros(device, 1), zeros(device, P, V), zeros(device, P * (P + 1) // 2, V))

    def add(self, b: Tensor) -> None:
        """Draws b (P, V), in place."""
        i, j = torch.tril_indices(len(b), len(b))
        self.count.add_(1)
        before = b - self.mean
        self.mean.addcdiv_(before, self.count)
        self.squares.addcmul_(before[i], (b - self.mean)[j])

    def joined(self, other: Running) -> Running:
        """Of the draws of both (Chan, Golub and LeVeque 1983)."""
        i, j = torch.tril_indices(len(self.mean), len(self.mean))
        n = self.count + other.count
        if not float(n):
            return self
        away = other.mean - self.mean
        mean = self.mean + away * (other.count / n)
        squares = self.squares + other.squares + away[i] * away[j] * (self.count * other.count / n)
        return Running(n, mean, squares)

    @property
    def means(self) -> Array:
        """(V, P)."""
        return np.asarray(self.mean.T.cpu().numpy())

    @property
    def covariance(self) -> Array:
        """(V, P, P)."""
        P, V = self.mean.shape
        i, j = np.tril_indices(P)
        C = np.empty((V, P, P))
        C[:, i, j] = C[:, j, i] = (self.squares / (self.count - 1)).T.cpu().numpy()
        return C

    @property
    def variance(self) -> Array:
        """(V, P)."""
        return np.diagonal(self.covariance, axis1=1, axis2=2)


@dataclass(frozen=True, eq=False)
class Kept:
    """One chain: moments of its halves and of the means of batches, sums of b > 0 and of expected shares of events.

    Traces have a row a draw: sigma (draws, P, P), level (draws, P), some voxels (draws, k), deviance (draws, 1);
    `accepted` (3,) are sums of shares. `maps` (kept, P, V) are draws of all voxels, in single precision.
    """

    first: Running
    second: Running
    batches: Running
    batch: Tensor
    positive: Tensor
    incidence: Tensor
    sigma: Tensor
    level: Tensor
    some: Tensor
    deviance: Tensor
    accepted: Tensor
    maps: Tensor

    @classmethod
    def empty(cls, shape: tuple[int, int], draws: int, some: int, device: Any = "cpu", maps: int = 0) -> Kept:
        V, P = shape
        first, second, batches = (Running.empty(P, V, device) for _ in range(3))
        return cls(
            first, second, batches, zeros(device, P, V), zeros(device, P, V), zeros(device, V),
            zeros("cpu", draws, P, P), zeros("cpu", draws, P),
            zeros("cpu", draws, some * P), zeros("cpu", draws, 1), zeros("cpu", 3),
            torch.zeros(maps, P, V, dtype=torch.float32),
        )  # fmt: skip

    @property
    def halves(self) -> tuple[Running, Running]:
        return self.first, self.second


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a dataclass of tensors and dataclasses, by name."""
    for field in fields(value):
        part, full = getattr(value, field.name), f"{name}{field.name}"
        if isinstance(part, torch.Tensor):
            yield full, part
        else:
            yield from leaves(part, f"{full}.")


def saved(value: Any) -> dict[str, Array]:
    return {name: part.cpu().numpy() for name, part in leaves(value)}


def fill(value: Any, arrays: Mapping[str, Array]) -> None:
    """Give the tensors of a value the numbers that were saved of one."""
    for name, part in leaves(value):
        part.copy_(torch.from_numpy(arrays[name]))


def split_rhat(halves: list[Running]) -> Array:
    """R-hat of every coefficient (V, P) from the halves of all chains (Gelman et al. 2013, 11.4)."""
    n = float(halves[0].count)
    means = np.array([h.means for h in halves])
    within = np.mean([h.variance for h in halves], axis=0)
    return np.asarray(np.sqrt((n - 1) / n + means.var(axis=0, ddof=1) / within))
