"""Where and how the work of a fit runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Running:
    """Where and how the blocks of voxels run.

    device: of torch, "cpu" or "cuda". workers: None or 1 (this process), a number of processes, or a dask client.
    progress: True, False, or None, as in bar(). seed: of random numbers, where a model draws some.
    """

    device: str = "cpu"
    workers: Any = None
    progress: bool | None = None
    seed: int = 1


HERE = Running()
