"""Connectomes from files: text, numpy and MATLAB."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..family import Array
from .connectome import Connectome
from .connectome_checks import several

BY_KEY = '; name one by key=, or two, as ("weights", "lengths")'
COLUMNS = 6  # of a list of connections at most
AREAS = 20  # of a whole brain at least
SHORT, LONG = 30.0, 1000.0  # mm
NUMBERS = "fiub"  # kinds of numpy's dtypes
ENDINGS = (".csv", ".tsv", ".txt", ".npy", ".npz", ".mat")


def read_connectome(
    weights: str | Path,
    lengths: str | Path | None,
    delays: str | Path | None,
    names: Sequence[str],
    coordinates: Any,
    key: str | Sequence[str] | None,
) -> Connectome:
    """The matrices in these files as a Connectome; lengths that name their nodes must name them alike."""
    if not isinstance(weights, (str, Path)):
        raise DataError(
            f"weights is of type {type(weights).__name__}; a file's path is expected (a matrix: fn.Connectome(matrix))"
        )
    first, second = _keys(key)
    strengths, called = _matrix(Path(weights), first)
    taken: dict[str, Any] = {}
    for word, path in (("lengths_mm", lengths), ("delays_ms", delays)):
        if path is not None:
            taken[word], own = _matrix(Path(path), second)
            if called and own and own != called:
                raise DataError(
                    f"{path} names other nodes than {weights}, or in another order: {own[:3]}, {called[:3]}"
                )
            called = called or own
    found = Connectome(strengths, names=names or called, coordinates=coordinates, **taken)
    return replace(found, messages=(*found.messages, *_unit(found)))


def _unit(c: Connectome) -> list[str]:
    """A note where no tract is as long as those of a human brain are, or one is longer."""
    longest = 0.0 if c.lengths_mm is None else float(c.lengths_mm.max())
    if c.nodes < AREAS or not longest or SHORT <= longest <= LONG:
        return []
    unit, factor = ("cm", 10) if longest < SHORT else ("micrometres", 0.001)
    return [
        f"the longest tract is {longest:.3g} mm, where a human brain's is 100 to 300; lengths in {unit} are brought to "
        f"mm by fn.Connectome(c.weights, {factor} * c.lengths_mm, names=c.names)"
    ]


def _keys(key: str | Sequence[str] | None) -> tuple[str | None, str | None]:
    """The matrix of the weights, and that of the lengths or delays."""
    if key is None or isinstance(key, str):
        return key, key
    if len(key) != 2:
        raise DataError(f"key is {list(key)}; one name, or that of the weights and that of the lengths, is expected")
    return key[0], key[1]


def _matrix(path: Path, key: str | None) -> tuple[Array, tuple[str, ...]]:
    """A file's matrix and the names in its header."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file (looked in {path.absolute().parent})")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise DataError(f"{path}: files may end in {', '.join(ENDINGS)}, not {ending or 'nothing'!r}")
    if ending == ".npy":
        return np.load(path, allow_pickle=False), ()
    if ending == ".npz":
        with np.load(path, allow_pickle=False) as held:
            return _one(dict(held), key, path), ()
    if ending == ".mat":
        return _one(_matlab(path), key, path), ()
    return _text(path)


def _matlab(path: Path) -> dict[str, Array]:
    from scipy.io import loadmat

    try:
        held = loadmat(path)
    except NotImplementedError:
        raise DataError(f"{path} is of MATLAB 7.3, which scipy does not read; save it with '-v7'") from None
    return {name: value for name, value in held.items() if not name.startswith("__")}


def _one(held: Mapping[str, Array], key: str | None, path: Path) -> Array:
    """The matrix under that key, or the only square one."""
    if key is not None:
        if key not in held:
            raise DataError(f"{path} holds no {key!r}; there are {', '.join(_described(held))}")
        return held[key]
    square = [name for name, v in held.items() if v.dtype.kind in NUMBERS and v.ndim == 2 and len(v) == v.shape[1] > 1]
    if len(square) != 1:
        raise DataError(
            f"{path} holds {len(square)} square matrices ({', '.join(_described(held))})"
            f"{BY_KEY if square else _parted(held, path)}"
        )
    return held[square[0]]


def _described(held: Mapping[str, Array]) -> list[str]:
    """Names with shapes; of a MATLAB structure its fields."""
    return [
        f"{name} {np.shape(v)}" if v.dtype.kind in NUMBERS
        else f"{name}, a structure of {', '.join(v.dtype.names)}" if v.dtype.names else name
        for name, v in held.items()
    ]  # fmt: skip


def _parted(held: Mapping[str, Array], path: Path) -> str:
    """What to do with a file that holds no square matrix, but several in one array, or a structure."""
    for name, value in held.items():
        if value.dtype.names:
            loaded = f"m = scipy.io.loadmat({str(path)!r}, simplify_cells=True)[{name!r}]"
            return f"; of a structure, {loaded}, then fn.Connectome(m[{value.dtype.names[0]!r}], ...)"
        if hint := several(value, name):
            return f"{hint}, where {name} = scipy.io.loadmat({str(path)!r})[{name!r}]"
    return ""


def _separator(path: Path) -> str:
    """The mark between numbers: what the first line has, and the last as often, unlike a mark within names."""
    with path.open(encoding="utf-8-sig") as file:
        lines = [re.sub('"[^"]*"', "", line) for line in file if line.strip()] or [""]
    there = [mark for mark in "\t;," if mark in lines[0]]
    even = [mark for mark in there if lines[-1].count(mark) - lines[0].count(mark) in (0, 1)]  # R names no first column
    return next(iter(even or there), r"\s+")


def _text(path: Path) -> tuple[Array, tuple[str, ...]]:
    """Numbers, with names of columns and rows where these are no numbers."""
    separator = _separator(path)
    try:
        table = pd.read_csv(path, sep=separator, header=None, dtype=str, skipinitialspace=True, encoding="utf-8-sig")
    except pd.errors.ParserError as error:
        raise DataError(f"{path}: rows of one length are expected ({error})") from None
    if separator == ";":  # stands where the comma is in numbers
        table = table.apply(lambda column: column.str.replace(",", "."))
    counted = _counted(table)
    headed = counted or not _numeric(table.iloc[0, 1:])
    sided = counted or (not _numeric(table.iloc[1:, 0]) if len(table) > 1 else False)
    names = tuple(str(name).strip() for name in table.iloc[0, int(sided) :]) if headed else ()
    inside = table.iloc[int(headed) :, int(sided) :]
    if sided:
        rows = tuple(str(name).strip() for name in table.iloc[int(headed) :, 0])
        if names and rows != names:
            raise DataError(
                f"{path}: the rows are named otherwise than the columns, {rows[:3]} and {names[:3]}{_listed(names)}"
            )
        names = names or rows
    try:
        return inside.to_numpy(dtype=float), names
    except ValueError as error:
        raise DataError(f"{path}: a matrix of numbers is expected ({error})") from None


def _listed(names: Sequence[str]) -> str:
    """What to do with a row a connection."""
    if len(names) > COLUMNS:
        return ""
    return (
        "; a list of connections becomes a matrix by table.pivot(index=target, columns=source, values=weight)"
        ".fillna(0), with all nodes in both (.reindex), and then fn.Connectome(matrix)"
    )


def _counted(table: pd.DataFrame) -> bool:
    """Whether rows and columns are numbered from 0 or 1 below an empty corner, as pandas and R write them."""
    across, down = table.iloc[0, 1:].tolist(), table.iloc[1:, 0].tolist()
    numbered = [[str(i + start) for i in range(len(across))] for start in (0, 1)]
    return bool(table.isna().iloc[0, 0]) and across == down and across in numbered


def _numeric(values: pd.Series) -> bool:
    return bool(pd.to_numeric(values, errors="coerce").notna().any())
