"""Images come one by one and are wanted voxel by voxel: each is laid down as it comes and the whole read in columns."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 64 << 20  # bytes of the spool that are held at a time


class Spool:
    """An array (n, width) in a temporary file: written by rows from any thread, read by ranges of columns."""

    def __init__(self, n: int, width: int, dtype: Any, folder: Path | None = None):
        self.n, self.width, self.dtype = n, width, np.dtype(dtype)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def write(self, row: int, values: NDArray[Any]) -> None:
        os.pwrite(self._file.fileno(), values.tobytes(), row * self._stride)

    def columns(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """(first column, its values (n, c)) from left to right; at most AT_ONCE bytes at a time."""
        step = max(1, AT_ONCE // (self.n * self.dtype.itemsize))
        for first in range(0, self.width, step):
            count = min(step, self.width - first)
            tile = np.empty((self.n, count), self.dtype)
            length, skipped = count * self.dtype.itemsize, first * self.dtype.itemsize
            for row in range(self.n):
                read = os.pread(self._file.fileno(), length, row * self._stride + skipped)
                tile[row] = np.frombuffer(read, self.dtype)
            yield first, tile

    @property
    def _stride(self) -> int:
        return int(self.width * self.dtype.itemsize)
