"""What a connectome's parts must be, and what is said of those that are odd."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..family import Array

HEAVY = "models expect weights of about 1 or less: c.normalize() divides them"
LARGEST = 10.0  # weight without a message
MIRRORED = 3  # nodes above which a matrix of one triangle is no chain that was meant
MANY = 5  # names in a message: more are counted


def square(given: Any, what: str) -> Array:
    """A copy as (N, N) numbers, finite but for the diagonal. Raises DataError."""
    if isinstance(given, pd.DataFrame):
        given = given.to_numpy()
    try:
        found = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what} cannot be read as numbers; an (N, N) matrix is expected{_instead(given)}") from None
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.size:
        raise DataError(
            f"{what} has the shape {found.shape}; a square matrix, a row and a column a node, is expected"
            f"{several(found, what)}"
        )
    strange = ~np.isfinite(found)
    np.fill_diagonal(strange, False)  # the diagonal is dropped in any case
    if strange.any():
        i, j = np.argwhere(strange)[0]
        raise DataError(
            f"{what} has {int(strange.sum())} missing or infinite values, the first at row {i + 1}, column {j + 1}; "
            "0 stands for no connection"
        )
    return found


def _instead(given: Any) -> str:
    """What to write for what are no numbers."""
    if isinstance(given, (str, Path)):
        return f"; for a file, fn.Connectome.read({str(given)!r})"
    columns = np.ndim(given) == 2 and np.shape(given)[1] == np.shape(given)[0] + 1
    return "; where its first column holds names, pandas.read_csv(..., index_col=0), or fn.Connectome.read" * columns


def several(found: Any, what: str) -> str:
    """How matrices of several subjects in one array are taken apart, where it looks like that."""
    shape = np.shape(found)
    if len(shape) != 3:
        return ""
    axis = next((axis for axis in (2, 0, 1) if len({n for k, n in enumerate(shape) if k != axis}) == 1), None)
    if axis is None:
        return ""
    at = ", ".join("i" if k == axis else ":" for k in range(3))
    return (
        f"; of {shape[axis]} subjects fn.explore takes one connectome each: "
        f'{{f"s{{i}}": fn.Connectome({what}[{at}], ...) for i in range({shape[axis]})}}'
    )


def without_diagonal(matrix: Array, what: str, notes: list[str]) -> Array:
    """The matrix, in place, with a diagonal of 0; a note where it had another."""
    own = np.count_nonzero(np.diagonal(matrix))  # missing values count
    if own:
        notes.append(f"{what}: {own} values on the diagonal are dropped; no tract leads from a node to itself")
        np.fill_diagonal(matrix, 0.0)
    return matrix


def distances(given: Any, n: int, what: str, notes: list[str]) -> Array | None:
    """Lengths or delays (n, n), 0 or more; a number stands for all pairs. Raises DataError."""
    if given is None:
        return None
    if np.ndim(given) == 0:
        given = float(given) * (1.0 - np.eye(n))
    matrix = square(given, what)
    if matrix.shape != (n, n):
        raise DataError(f"{what} has the shape {matrix.shape} and weights {(n, n)}; both are of the same nodes")
    below = matrix < 0
    if below.any():
        i, j = np.argwhere(below)[0]
        raise DataError(
            f"{what} has {int(below.sum())} values below 0, the first, {matrix[i, j]:g}, at row {i + 1}, column {j + 1}"
        )
    return without_diagonal(matrix, what, notes)


def labels(weights: Any) -> tuple[str, ...]:
    """A DataFrame's own names. Raises DataError where rows and columns differ."""
    if not isinstance(weights, pd.DataFrame) or _numbered(weights.columns):
        return ()
    if not _numbered(weights.index) and list(weights.index) != list(weights.columns):
        raise DataError("the rows of weights are named otherwise than its columns, or in another order")
    return tuple(str(name) for name in weights.columns)


def _numbered(index: Any) -> bool:
    """Whether they are pandas' own numbers 0, 1, ..."""
    return bool(index.equals(pd.RangeIndex(len(index))))


def checked_names(given: Sequence[str], n: int) -> tuple[str, ...]:
    """n different names; 1, 2, ... where none are given. Raises DataError."""
    names = tuple(str(name) for name in given) or tuple(str(i + 1) for i in range(n))
    if len(names) != n:
        raise DataError(f"names has {len(names)} entries and weights {n} nodes")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"the name {twice[0]} stands for {names.count(twice[0])} nodes; each needs its own")
    return names


def checked_coordinates(given: Any, n: int) -> Array | None:
    """Finite (n, 3). Raises DataError."""
    if given is None:
        return None
    found = np.array(given, dtype=np.float64)
    if found.shape != (n, 3) or not np.isfinite(found).all():
        raise DataError(f"coordinates has the shape {found.shape}; {n} finite rows of x, y, z in mm are expected")
    return found


def odd(weights: Array, names: tuple[str, ...]) -> list[str]:
    """What may be meant, and is said."""
    notes = []
    below = int((weights < 0).sum())
    if below:
        notes.append(f"{below} weights are below 0; they subtract what arrives, and no rate model is made for them")
    if weights.max() > LARGEST:
        notes.append(f"the largest weight is {weights.max():.4g}; {HEAVY}")
    if len(names) > MIRRORED and weights.any() and not (np.triu(weights).any() and np.tril(weights).any()):
        notes.append(
            "only one triangle of the weights has values: half of the connections are absent (both directions are "
            "weights + weights.T)"
        )
    if len(names) > 1:
        linked = (weights != 0) | (weights.T != 0)
        alone = [name for name, row in zip(names, linked, strict=True) if not row.any()]
        if alone:
            notes.append(f"{len(alone)} nodes have no connection: {some(alone)}")
    return notes


def some(names: Sequence[str]) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return f"{', '.join(names[:MANY])}{more}"
