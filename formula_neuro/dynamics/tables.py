"""A function of two variables as a table on a regular grid: bilinear inside, clamped to the edge outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..family import Array


@dataclass(frozen=True, eq=False)
class Table:
    """values (nx, ny, k): k functions at x = x0 + i dx, y = y0 + j dy. Raises DataError."""

    name: str
    values: Array
    x0: float
    dx: float
    y0: float
    dy: float

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or min(self.values.shape[:2]) < 2 or not np.isfinite(self.values).all():
            raise DataError(f"the table {self.name} has the shape {self.values.shape}; finite (nx, ny, k) is expected")
        if not (self.dx > 0 and self.dy > 0):
            raise DataError(f"the table {self.name} has steps {self.dx:g} and {self.dy:g}; both above 0 are expected")

    def __call__(self, x: Any, y: Any) -> tuple[Any, ...]:
        """The k values at x and y, each of their shape; an axis beyond its edge takes the edge's value."""
        if hasattr(x, "interpolated"):
            return tuple(x.interpolated(self, y))
        if type(x).__module__.startswith("torch"):
            return self._in_torch(x, y)
        i, u = _cell(np, x, self.x0, self.dx, self.values.shape[0])
        j, v = _cell(np, y, self.y0, self.dy, self.values.shape[1])
        cell = [self.values[i + a, j + b] for a in (0, 1) for b in (0, 1)]
        return _blend(cell, np.asarray(u)[..., None], np.asarray(v)[..., None])

    def _in_torch(self, x: Any, y: Any) -> tuple[Any, ...]:
        import torch

        i, u = _cell(torch, x, self.x0, self.dx, self.values.shape[0])
        j, v = _cell(torch, y, self.y0, self.dy, self.values.shape[1])
        values = torch.as_tensor(self.values, dtype=x.dtype, device=x.device)
        cell = [values[i + a, j + b] for a in (0, 1) for b in (0, 1)]
        return _blend(cell, u[..., None], v[..., None])


def _cell(xp: Any, x: Any, start: float, step: float, n: int) -> tuple[Any, Any]:
    """The lower index of x's cell and its place within, 0 to 1."""
    at = xp.clip((x - start) / step, 0, n - 1)
    low = xp.clip(xp.floor(at), 0, n - 2)
    return (low.long() if xp is not np else np.asarray(low, dtype=int)), at - low


def _blend(cell: list[Any], u: Any, v: Any) -> tuple[Any, ...]:
    mixed = (1 - u) * ((1 - v) * cell[0] + v * cell[1]) + u * ((1 - v) * cell[2] + v * cell[3])
    return tuple(mixed[..., k] for k in range(mixed.shape[-1]))
