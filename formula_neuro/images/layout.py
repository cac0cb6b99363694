"""The bytes of a NIfTI file without nibabel, where they lie plain: a biobank's reading time is spent here."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .store import Indices

GZIP = b"\x1f\x8b"  # how every gzip file begins
HEADERS = tuple(struct.pack(order + "i", size) for order in "<>" for size in (348, 540))  # and NIfTI-1 and 2
HEAD = 540  # bytes, of a NIfTI-2 header; that of NIfTI-1 is shorter


@dataclass(frozen=True)
class Layout:
    """Where the values of one volume lie in an uncompressed file, first axis fastest, and how they are scaled."""

    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, int, int]
    slope: float = 1.0
    inter: float = 0.0
    volumes: int = 1

    @property
    def bytes(self) -> int:
        """Of one volume."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class Sparse:
    """The values of one image that are not 0: C-order flat indices (m,), ascending, and the values (m,)."""

    voxels: Indices
    values: NDArray[Any]

    def dense(self, size: int, dtype: Any) -> NDArray[Any]:
        """All values of the image (size,)."""
        out = np.zeros(size, dtype)
        out[self.voxels] = self.values
        return out


def sparse(values: NDArray[Any]) -> Sparse:
    """Of an array in any memory order, by the C-order of its indices."""
    flat = values.ravel()
    voxels = np.flatnonzero(flat)
    return Sparse(voxels.astype(np.int64, copy=False), flat[voxels])


def head(path: Path) -> bytes:
    """The first bytes of a .nii or .nii.gz file, uncompressed; b"" where that cannot be done."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return b""
    if not compressed(path):
        return start[:HEAD]
    try:
        return zlib.decompressobj(31).decompress(start, HEAD)
    except zlib.error:
        return b""


def compressed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def misnamed(path: Path) -> bool:
    """Whether a NIfTI file is compressed though its name does not say so, or the other way round."""
    with path.open("rb") as file:
        start = file.read(4)
    if not compressed(path):
        return path.name.lower().endswith(".nii") and start.startswith(GZIP)
    return start in HEADERS


def full_length(path: Path, layout: Layout) -> bool:
    """Whether the file seems to hold all bytes: by its size, or by the length that gzip wrote at the end.

    A file of several gzip parts seems too short; only reading it tells.
    """
    due = layout.offset + layout.bytes * layout.volumes
    if not compressed(path):
        return path.stat().st_size >= due
    with path.open("rb") as file:
        file.seek(-4, 2)
        (length,) = struct.unpack("<I", file.read(4))
    return bool(length == due % 2**32)


def raw(path: Path, layout: Layout) -> bytes:
    """The bytes of a file of one volume; raises EOFError or zlib.error where it is cut short or damaged."""
    packed = path.read_bytes()
    if not compressed(path):
        return packed[layout.offset : layout.offset + layout.bytes]
    stream = zlib.decompressobj(31)
    text = stream.decompress(packed)
    if not stream.eof:
        raise EOFError("the compressed data end too early")
    if stream.unused_data:  # several parts one after another, or padding
        text = gzip.decompress(packed)
    return text[layout.offset : layout.offset + layout.bytes]


def harmed(path: Path) -> Exception | None:
    """What is wrong with a .gz file as such, which is read to its end."""
    if not compressed(path):
        return None
    try:
        with gzip.open(path) as file:
            while file.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        return error
    return None


def volumes(path: Path, layout: Layout) -> Iterator[bytes]:
    """The volumes of a 4-D file one after another, in one pass."""
    with gzip.open(path) if compressed(path) else path.open("rb") as file:
        file.seek(layout.offset)
        for _ in range(layout.volumes):
            yield file.read(layout.bytes)


def decoded(text: bytes, layout: Layout) -> Sparse:
    """The values of one volume from its bytes."""
    if len(text) < layout.bytes:
        raise EOFError(f"{len(text)} of {layout.bytes} bytes are there")
    stored = np.frombuffer(text, layout.dtype, int(np.prod(layout.shape)))
    at = _not_zero(stored) if layout.inter == 0 else np.arange(len(stored))
    values = stored[at]
    if (layout.slope, layout.inter) != (1.0, 0.0):
        values = values * layout.slope + layout.inter
    elif layout.dtype.byteorder not in "=|":
        values = values.astype(layout.dtype.newbyteorder("="))
    kept = values != 0
    if not kept.all():
        at, values = at[kept], values[kept]
    return _by_last_axis(at, values, layout.shape)


def _not_zero(stored: NDArray[Any]) -> Indices:
    """Where any bit is set (m,), ascending; eight bytes are looked at together, since most of a mask is 0."""
    each = 8 // stored.dtype.itemsize
    whole = len(stored) // each * each if each else 0
    if each < 2 or not whole:
        return np.flatnonzero(stored)
    words = np.flatnonzero(stored[:whole].view(np.uint64)) * each
    at = (words[:, None] + np.arange(each)).ravel()
    at = at[stored[at] != 0]
    return np.concatenate([at, whole + np.flatnonzero(stored[whole:])])


def _by_last_axis(at: Indices, values: NDArray[Any], shape: tuple[int, int, int]) -> Sparse:
    """Indices of an array whose first axis is fastest -> of one whose last axis is, in order."""
    x, y, z = np.unravel_index(at, shape, order="F")
    voxels = np.ravel_multi_index((x, y, z), shape)
    order = np.argsort(voxels, kind="stable")
    return Sparse(voxels[order].astype(np.int64, copy=False), values[order])


def damaged(name: str, error: Exception) -> ImageError:
    return ImageError(
        f"{name}: its data cannot be read to the end ({error}); the file is cut short or damaged, copy it anew"
    )
