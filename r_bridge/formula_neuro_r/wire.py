"""Values as bytes for an R in another process, and back: numbers cross as they lie in memory, bit by bit.

A value is a header of 32-bit integers, its kind and its shape, and then its content: float64 or int32 numbers
column by column, texts as their lengths in bytes (-1: missing) and UTF-8, or for a list its items one after
another. R/wire.R reads and writes the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

NULL, DOUBLE, INTEGER, LOGICAL, TEXT, LIST, NAMED, STRANGE = range(8)
LONGEST = 2**31 - 1
Chunk = bytes | memoryview


def encode(value: Any) -> Iterator[Chunk]:
    """The pieces that, one after another, are the value; arrays are not copied.

    Raises TypeError for what does not cross to R.

    >>> decode(b"".join(encode({"x": np.array([0.1, np.nan]), "s": "a"})))
    {'x': array([0.1, nan]), 's': ('a',)}
    """
    if value is None:
        yield _header(NULL, 0)
    elif isinstance(value, np.ndarray):
        yield from _array(value)
    elif isinstance(value, str):
        yield from _texts((value,))
    elif isinstance(value, bool):  # before int, of which it is one
        yield _header(LOGICAL, 1)
        yield np.int32(value).tobytes()
    elif isinstance(value, int):
        yield from _array(np.array([value], dtype=np.int32))
    elif isinstance(value, float):
        yield from _array(np.array([value]))
    elif isinstance(value, tuple):
        yield from _texts(value)
    elif isinstance(value, dict):
        yield _header(NAMED, len(value))
        yield from _texts(tuple(value))
        for item in value.values():
            yield from encode(item)
    else:
        raise TypeError(f"{type(value).__name__} does not cross to R; arrays, text, numbers and dictionaries do")


def _array(array: NDArray[Any]) -> Iterator[Chunk]:
    kind = {"d": DOUBLE, "i": INTEGER}.get(array.dtype.char)
    if kind is None:
        raise TypeError(f"an array of {array.dtype} does not cross to R; float64 and int32 do")
    yield _header(kind, *array.shape)
    flat = array.ravel(order="F")
    yield flat.data.cast("B") if flat.size else b""


def _texts(texts: tuple[str, ...]) -> Iterator[Chunk]:
    encoded = [text.encode() for text in texts]
    yield _header(TEXT, len(texts))
    yield np.array([len(text) for text in encoded], dtype=np.int32).tobytes()
    yield b"".join(encoded)


def _header(kind: int, *shape: int) -> bytes:
    if max(shape, default=0) > LONGEST:
        raise TypeError(f"an array of {max(shape)} numbers does not cross to R; at most {LONGEST} do")
    return np.array([kind, len(shape), *shape], dtype=np.int32).tobytes()


def decode(content: bytes) -> Any:
    """The value that these bytes are: arrays, tuples of texts, dictionaries, tuples of other values, None.

    Raises TypeError for a value of R that does not cross.
    """
    return _Reader(content).value()


def quiet(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers, R's NA as the usual NaN: as it comes it signals, and numpy warns at each sum with it."""
    numbers[np.isnan(numbers)] = np.nan
    return numbers


class _Reader:
    """Bytes with a place up to which they have been read."""

    def __init__(self, content: bytes):
        self.content, self.place = content, 0

    def value(self) -> Any:
        kind, n_dims = self._numbers(np.int32, 2).tolist()
        shape = self._numbers(np.int32, n_dims).tolist()
        if kind == NULL:
            return None
        if kind == DOUBLE:
            return quiet(self._shaped(np.float64, shape))
        if kind == INTEGER:
            return self._shaped(np.int32, shape)
        if kind == LOGICAL:
            return self._shaped(np.int32, shape).astype(bool)
        if kind == TEXT:
            return self._texts(shape[0])
        if kind == LIST:
            return tuple(self.value() for _ in range(shape[0]))
        if kind == NAMED:
            names = self.value()
            return {name: self.value() for name in names}
        raise TypeError(f"an R value of type {self._texts(1)[0]} does not cross; numbers, text and lists do")

    def _shaped(self, dtype: type[Any], shape: list[int]) -> NDArray[Any]:
        return self._numbers(dtype, int(np.prod(shape))).copy().reshape(shape, order="F")

    def _texts(self, n: int) -> tuple[str | None, ...]:
        lengths = self._numbers(np.int32, n)
        stops = self.place + np.cumsum(np.maximum(lengths, 0))
        starts = stops - np.maximum(lengths, 0)
        self.place = int(stops[-1]) if n else self.place
        spans = zip(starts.tolist(), stops.tolist(), (lengths < 0).tolist(), strict=True)
        return tuple(None if gone else self.content[a:b].decode("utf-8", "replace") for a, b, gone in spans)

    def _numbers(self, dtype: type[Any], n: int) -> NDArray[Any]:
        found = np.frombuffer(self.content, dtype, n, self.place)
        self.place += found.nbytes
        return found
