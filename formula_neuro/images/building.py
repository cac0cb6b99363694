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
from ..running.bar import bar
from .grid import Grid
from .headers import Header, values
from .layout import Sparse, volumes
from .packing import Tile, bit_tiles, joined, number_tiles, packed_bits
from .resampling import resampled
from .spool import Spool
from .store import InFile, InMemory, Rows, Store
from .values import Seen, events, look

EXACT_IN_FLOAT32 = (np.float16, np.float32, np.int8, np.uint8, np.int16, np.uint16, np.bool_)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is read: the checked headers, the grid of the store, and how values become those of the store."""

    headers: tuple[Header, ...]
    grid: Grid
    threshold: float | None = None
    binary: bool | None = None  # None: masks if the values are
    workers: int | None = None
    progress: bool | None = None


@dataclass(frozen=True, eq=False)
class Laid:
    """One image as it goes into the spool (bits or numbers), how many voxels have a value, and what was seen."""

    values: NDArray[Any]
    events: int
    seen: Seen


def build(plan: Plan, folder: Path | None) -> tuple[Store, pd.DataFrame]:
    """The store, its rows in folder/rows.npy or in memory; and one row an image: events, kind, level, missing, hash."""
    binary = _are_masks(plan)
    n, size = len(plan.headers), plan.grid.size
    width, dtype = ((size + 7) // 8, np.dtype(np.uint8)) if binary else (size, _number_type(plan.headers))
    union = np.zeros((size + 7) // 8, np.uint8)
    images = []
    with Spool(n, width, dtype, folder) as spool, bar("reading images", n, plan.progress) as advance:
        for row, laid in enumerate(_read_all(plan, binary, dtype)):
            spool.write(row, laid.values)
            union |= laid.values if binary else np.packbits(np.nan_to_num(laid.values) != 0)
            content = hashlib.blake2b(laid.values.tobytes(), digest_size=8).hexdigest()
            images.append((laid.events, laid.seen.kind, laid.seen.level, laid.seen.missing, content))
            advance(1)
        tiles = bit_tiles(spool, union) if binary else number_tiles(spool, union)
        shape = (int(np.unpackbits(union, count=size).sum()), (n + 7) // 8 if binary else n)
        rows, voxels, content = _stored(tiles, shape, dtype, folder)
    table = pd.DataFrame(images, columns=["events", "kind", "level", "missing", "hash"])
    about = repr((plan.grid.shape, plan.grid.affine.round(6).tolist(), n, binary, content))
    key = hashlib.blake2b(about.encode(), digest_size=16).hexdigest()
    return Store(plan.grid, n, binary, voxels.voxels, voxels.counts, voxels.complete, rows, key), table


def _are_masks(plan: Plan) -> bool:
    """Whether the values are those of masks: as asked for, or as the first image that is not empty."""
    if plan.threshold is not None:
        return True
    if plan.binary is not None:
        return plan.binary
    for header in plan.headers:
        seen = look(values(header).values)
        if seen.kind != "empty":
            return seen.kind == "mask"
    raise ImageError(f"all {len(plan.headers)} images are empty: no voxel is other than 0; are these the right files?")


def _number_type(headers: Sequence[Header]) -> np.dtype[Any]:
    return np.dtype(np.float32 if all(header.dtype in EXACT_IN_FLOAT32 for header in headers) else np.float64)


def _read_all(plan: Plan, binary: bool, dtype: np.dtype[Any]) -> Iterator[Laid]:
    """Every image in order, some read ahead in threads; an error or Ctrl-C ends them all."""
    threads = plan.workers or available_threads()
    waiting: deque[Future[Laid]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for header, text in _with_text(plan.headers):
            waiting.append(pool.submit(_laid, header, text, plan, binary, dtype))
            if len(waiting) >= threads + 2:  # each holds a whole image of numbers
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def available_threads() -> int:
    """Reading gains little from more than 8: what holds Python's lock is then most of it."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 8)


def _with_text(headers: Sequence[Header]) -> Iterator[tuple[Header, bytes | None]]:
    """The headers with the bytes of their volumes where they come from one file, which is read from end to end once."""
    first = headers[0]
    if first.source.volume is None or first.layout is None or first.source.path is None:
        yield from ((header, None) for header in headers)
        return
    yield from zip(headers, volumes(first.source.path, first.layout), strict=True)


def _laid(header: Header, text: bytes | None, plan: Plan, binary: bool, dtype: np.dtype[Any]) -> Laid:
    found = values(header, text)
    name = header.source.name
    if not header.grid.same(plan.grid):
        masks = plan.threshold is None and look(found.values).kind in ("mask", "empty")
        found = resampled(found, header.grid, plan.grid, "nearest" if masks else "linear")
    if binary:
        ones = events(found, name, plan.threshold)
        return Laid(packed_bits(ones.voxels, plan.grid.size), len(ones.voxels), ones.seen)
    seen = _numbers(found, header, plan)
    return Laid(found.dense(plan.grid.size, dtype), len(found.voxels) - seen.missing, seen)


def _numbers(found: Sparse, header: Header, plan: Plan) -> Seen:
    """What an image of numbers holds; raises ImageError for infinite values, none at all, and a mask among the rest."""
    seen, name = look(found.values), header.source.name
    if seen.infinite:
        raise ImageError(f"{name} holds {seen.words}; write the image anew with finite values, NaN where it has none")
    if seen.kind == "empty" and plan.binary is None:
        raise ImageError(f"{name} holds nothing but 0{' and NaN' if seen.missing else ''}; is it the right file?")
    if seen.kind == "mask" and plan.binary is None and header.dtype.kind == "f":
        raise ImageError(
            f"{name} holds {seen.words} only, but {plan.headers[0].source.name} other numbers: masks and other images "
            "cannot be mixed; binary=False takes all as numbers"
        )
    return seen


def _stored(
    tiles: Iterable[Tile], shape: tuple[int, int], dtype: np.dtype[Any], folder: Path | None
) -> tuple[Rows, Tile, str]:
    """Rows of this shape, written tile by tile; all voxels with their counts; and the hash of both."""
    content, where = (hashlib.blake2b(digest_size=16) for _ in range(2))
    parts: list[Tile] = []
    with _sink(shape, dtype, folder) as (write, rows):
        for tile in tiles:
            write(tile.rows)
            where.update(tile.voxels.tobytes())
            content.update(tile.rows.tobytes())
            parts.append(tile.without_rows())
    return rows, joined(parts), where.hexdigest() + content.hexdigest()


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
