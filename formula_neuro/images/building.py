"""All images read once, side by side in threads, and laid down by voxel: a store and what each image held."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import ImageError
from .grid import Grid
from .headers import Header, data
from .packing import Tile, bit_tiles, joined, number_tiles, packed_bits
from .progress import bar
from .resampling import resampled
from .spool import Spool
from .store import InFile, InMemory, Rows, Store
from .values import Seen, events, look

EXACT_IN_FLOAT32 = (np.float16, np.float32, np.int8, np.uint8, np.int16, np.uint16, np.bool_)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is read: the checked headers on one grid, and how values become those of the store."""

    headers: tuple[Header, ...]
    grid: Grid
    threshold: float | None = None
    binary: bool | None = None  # None: masks if the values are
    resample: bool = False  # images on another grid are brought to this one
    workers: int | None = None
    progress: bool | None = None

    def options(self) -> dict[str, Any]:
        """What the store depends on beside the files."""
        grid = [self.grid.shape, self.grid.affine.round(4).tolist()]
        return {"threshold": self.threshold, "binary": self.binary, "grid": grid}


@dataclass(frozen=True, eq=False)
class Laid:
    """One image as it goes into the spool (bits or numbers), how many voxels have a value, and what was seen."""

    values: NDArray[Any]
    events: int
    seen: Seen


def build(plan: Plan, folder: Path | None) -> tuple[Store, pd.DataFrame]:
    """The store, its rows in folder/rows.npy or in memory; and one row an image: events, kind, level, missing, hash."""
    binary = _are_masks(plan) if plan.binary is None else plan.binary
    n, size = len(plan.headers), plan.grid.size
    width, dtype = ((size + 7) // 8, np.dtype(np.uint8)) if binary else (size, _number_type(plan.headers))
    union = np.zeros((size + 7) // 8, np.uint8)
    images = []
    with Spool(n, width, dtype, folder) as spool, bar("reading images", n, plan.progress) as advance:
        for row, laid in enumerate(_read_all(plan, binary)):
            spool.write(row, laid.values.astype(dtype, copy=False))
            union |= laid.values if binary else np.packbits(np.nan_to_num(laid.values) != 0)
            print_of = hashlib.blake2b(laid.values.tobytes(), digest_size=8).hexdigest()
            images.append((laid.events, laid.seen.kind, laid.seen.level, laid.seen.missing, print_of))
            advance(1)
        tiles = bit_tiles(spool, union) if binary else number_tiles(spool, union)
        shape = (int(np.unpackbits(union, count=size).sum()), (n + 7) // 8 if binary else n)
        rows, voxels, content = _stored(tiles, shape, dtype, folder)
    about = repr((plan.grid.shape, plan.grid.affine.round(6).tolist(), n, binary)).encode()
    key = hashlib.blake2b(content + about, digest_size=16).hexdigest()
    store = Store(plan.grid, n, binary, voxels.voxels, voxels.counts, voxels.complete, rows, key)
    return store, pd.DataFrame(images, columns=["events", "kind", "level", "missing", "hash"])


def _are_masks(plan: Plan) -> bool:
    """Whether the first image that is not empty is a mask."""
    if plan.threshold is not None:
        return True
    for header in plan.headers:
        values = _values(header, plan)
        seen = look(values[np.flatnonzero(values)])
        if seen.kind != "empty" or seen.missing:
            return seen.kind == "mask" and not seen.missing
    raise ImageError(f"all {len(plan.headers)} images are empty: no voxel is other than 0; are these the right files?")


def _number_type(headers: Sequence[Header]) -> np.dtype[Any]:
    small = all(header.dtype.newbyteorder("=") in EXACT_IN_FLOAT32 for header in headers)
    return np.dtype(np.float32 if small else np.float64)


def _read_all(plan: Plan, binary: bool) -> Iterator[Laid]:
    """Every image in order, some read ahead in threads; an error or Ctrl-C ends them all."""
    threads = plan.workers or min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 8)
    take = _mask if binary else _numbers
    waiting: deque[Future[Laid]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for header in plan.headers:
            waiting.append(pool.submit(take, header, plan))
            if len(waiting) >= 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _values(header: Header, plan: Plan) -> NDArray[Any]:
    """All values of one image on the plan's grid (N,), C order."""
    if plan.resample and not header.grid.same(plan.grid):
        masks = plan.threshold is None and (plan.binary or _is_mask(data(header.source)))
        return resampled(header.source, plan.grid, "nearest" if masks else "linear")
    return data(header.source)


def _is_mask(values: NDArray[Any]) -> bool:
    return look(values[np.flatnonzero(values)]).kind in ("mask", "empty")


def _mask(header: Header, plan: Plan) -> Laid:
    found = events(_values(header, plan), header.source.name, plan.threshold)
    return Laid(packed_bits(found.voxels, plan.grid.size), len(found.voxels), found.seen)


def _numbers(header: Header, plan: Plan) -> Laid:
    values, name = _values(header, plan), header.source.name
    nonzero = values[np.flatnonzero(values)]
    seen = look(nonzero)
    if seen.infinite:
        raise ImageError(f"{name} holds {seen.words}; write the image anew with finite values, NaN where it has none")
    if seen.kind == "empty":
        raise ImageError(f"{name} holds nothing but 0{' and NaN' if seen.missing else ''}; is it the right file?")
    if seen.kind == "mask" and plan.binary is None and header.dtype.kind == "f":
        raise ImageError(
            f"{name} holds {seen.words} only, but {plan.headers[0].source.name} other numbers too: masks and other "
            "images cannot be mixed; binary=False takes all as numbers"
        )
    return Laid(values, len(nonzero) - seen.missing, seen)


def _stored(
    tiles: Iterable[Tile], shape: tuple[int, int], dtype: np.dtype[Any], folder: Path | None
) -> tuple[Rows, Tile, bytes]:
    """Rows of this shape, written tile by tile; all voxels with their counts; and the hash of both."""
    content = hashlib.blake2b(digest_size=16)
    parts: list[Tile] = []
    with _sink(shape, dtype, folder) as (write, rows):
        for tile in tiles:
            write(tile.rows)
            content.update(tile.voxels.tobytes())
            content.update(tile.rows.tobytes())
            parts.append(tile.without_rows())
    return rows, joined(parts), content.digest()


@contextmanager
def _sink(
    shape: tuple[int, int], dtype: np.dtype[Any], folder: Path | None
) -> Iterator[tuple[Callable[[NDArray[Any]], object], Rows]]:
    """Where rows go one tile after another: an array, or folder/rows.npy."""
    if folder is None:
        array, done = np.empty(shape, dtype), 0

        def put(rows: NDArray[Any]) -> None:
            nonlocal done
            array[done : done + len(rows)] = rows
            done += len(rows)

        yield put, InMemory(array)
        return
    path = folder / "rows.npy"
    with path.open("wb") as file:
        about = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, about)
        yield lambda rows: file.write(rows.tobytes()), InFile(path)
