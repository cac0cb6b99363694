"""What decides a run's numbers, as a short text: so that a folder of kept pieces never mixes two runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import pandas as pd


def fingerprint(value: Any) -> str:
    """A digest of a value made of numbers, arrays, texts, mappings, dataclasses and functions (by their code).

    >>> fingerprint({"a": 1.0}) == fingerprint({"a": 1.0}), fingerprint(lambda n: 1) == fingerprint(lambda n: 2)
    (True, False)
    """
    digest = hashlib.sha256()
    for part in _parts(value, ()):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()[:24]


def _parts(value: Any, within: tuple[int, ...]) -> Iterator[bytes]:
    """within: the functions whose parts these are, which may hold themselves."""
    if isinstance(value, pd.DataFrame):
        value = [(str(name), column) for name, column in value.items()]
    elif isinstance(value, pd.Series):
        value = (list(map(str, value.index)), value.to_numpy())
    if isinstance(value, np.ndarray) and value.dtype == object:  # whose bytes are addresses
        value = value.tolist()
    if isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield repr(name).encode()
            yield from _parts(one, within)
    elif isinstance(value, (list, tuple)):
        yield str(len(value)).encode()
        for one in value:
            yield from _parts(one, within)
    elif isinstance(value, FunctionType):
        if id(value) not in within:
            held = [cell.cell_contents for cell in value.__closure__ or ()]
            yield from _parts((value.__code__, held, value.__defaults__ or ()), (*within, id(value)))
    elif isinstance(value, CodeType):
        yield value.co_code
        yield from _parts((value.co_names, value.co_consts), within)
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__.encode()
        for field in fields(value):
            yield from _parts(getattr(value, field.name), within)
    else:  # an object's repr may hold its address, which is another in each process
        yield (type(value).__name__ if " at 0x" in (told := repr(value)) else told).encode()
