"""A function of two variables as a table on a regular grid: bilinear inside, clamped to the edge outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import DataError
from ..family import Array

_WATCHED: ContextVar[list[Any] | None] = ContextVar("_WATCHED", default=None)


@contextmanager
def watched() -> Iterator[list[Any]]:
    """A list to which every look-up made inside adds where it lay beyond an edge, an array of booleans.

    >>> with watched() as beyond:
    ...     _ = Table("t", np.zeros((2, 2, 1)), 0.0, 1.0, 0.0, 1.0)(np.array([0.5, 1.5]), np.array([0.5, 0.5]))
    >>> beyond[0].tolist()
    [False, True]
    """
    seen: list[Any] = []
    token = _WATCHED.set(seen)
    try:
        yield seen
    finally:
        _WATCHED.reset(token)


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
        seen = _WATCHED.get()
        if seen is not None:
            seen.append(self.beyond(x, y))
        if type(x).__module__.startswith("torch"):
            return self._in_torch(x, y)
        i, u = _cell(np, x, self.x0, self.dx, self.values.shape[0])
        j, v = _cell(np, y, self.y0, self.dy, self.values.shape[1])
        cell = [self.values[i + a, j + b] for a in (0, 1) for b in (0, 1)]
        return _blend(cell, np.asarray(u)[..., None], np.asarray(v)[..., None])

    def beyond(self, x: Any, y: Any) -> Any:
        """Whether x or y lies beyond an edge, where it takes the edge's value."""
        nx, ny = self.values.shape[:2]
        along_x = (x < self.x0) | (x > self.x0 + (nx - 1) * self.dx)
        return along_x | (y < self.y0) | (y > self.y0 + (ny - 1) * self.dy)

    def _in_torch(self, x: Any, y: Any) -> tuple[Any, ...]:
        import torch

        i, u = _cell(torch, x, self.x0, self.dx, self.values.shape[0])
        j, v = _cell(torch, y, self.y0, self.dy, self.values.shape[1])
        values = _on_device(self, x.dtype, x.device)
        cell = [values[i + a, j + b] for a in (0, 1) for b in (0, 1)]
        return _blend(cell, u[..., None], v[..., None])


def _cell(xp: Any, x: Any, start: float, step: float, n: int) -> tuple[Any, Any]:
    """The lower index of x's cell and its place within, 0 to 1."""
    at = xp.clip((x - start) / step, 0, n - 1)
    low = xp.nan_to_num(xp.clip(xp.floor(at), 0, n - 2))  # a missing x stays missing by its place in the cell
    return (low.long() if xp is not np else np.asarray(low, dtype=int)), at - low


@lru_cache(maxsize=16)
def _on_device(table: Table, dtype: Any, device: Any) -> Any:
    import torch

    return torch.as_tensor(table.values, dtype=dtype, device=device)


def _blend(cell: list[Any], u: Any, v: Any) -> tuple[Any, ...]:
    mixed = (1 - u) * ((1 - v) * cell[0] + v * cell[1]) + u * ((1 - v) * cell[2] + v * cell[3])
    return tuple(mixed[..., k] for k in range(mixed.shape[-1]))
