"""The clusters of a GEE: rows sorted into blocks, and the pairs of rows within a block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from formula_neuro.data.values import Categorical, Value, as_factor
from formula_neuro.errors import DataError
from formula_neuro.estimator import GEE
from formula_neuro.family import Array
from formula_neuro.request import Request


@dataclass(frozen=True, eq=False)
class Clusters:
    """m rows sorted by cluster, and within it by time; all arrays (m,) are in that order.

    `labels` name the times, if they are those of an ordered column.
    """

    rows: NDArray[np.intp]  # places in the design
    codes: NDArray[np.intp]  # 0 .. count-1, not decreasing
    times: NDArray[np.intp]
    labels: tuple[str, ...]
    count: int

    @property
    def sizes(self) -> NDArray[np.intp]:
        return np.bincount(self.codes, minlength=self.count)

    @property
    def blocks(self) -> list[slice]:
        ends = np.cumsum(self.sizes)
        return [slice(int(end - size), int(end)) for end, size in zip(ends, self.sizes, strict=True)]

    @property
    def pairs(self) -> int:
        return int((self.sizes * (self.sizes - 1) // 2).sum())

    def totals(self, values: Array) -> Array:
        """Sums over the clusters (count, ...) of values (m, ...)."""
        return np.asarray(np.add.reduceat(values, np.cumsum(self.sizes) - self.sizes, axis=0))

    def neighbours(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """All pairs of rows i < j of one cluster, in pieces: those next to one another, those one further apart, ..."""
        for apart in range(1, int(self.sizes.max())):
            first = np.flatnonzero(self.codes[apart:] == self.codes[:-apart])
            yield first, first + apart


def clusters_of(request: Request) -> tuple[Clusters, tuple[str, ...]]:
    """The clusters of the rows of positive weight, and what there is to say of their order."""
    how = request.estimator
    assert isinstance(how, GEE)
    used = np.flatnonzero(request.weights > 0)
    codes = as_factor(request.design.beside[how.cluster]).codes[used]
    if len(np.unique(codes)) < 2:
        raise DataError(
            f"GEE: all rows used are in one cluster of {how.cluster}, but standard errors come from what differs "
            "between clusters; name the column that tells them apart"
        )
    time = None if how.order is None else request.design.beside[how.order]
    found = blocks_in_time("GEE", how.cluster, codes, time, how.order, used, request.design.index)
    return found, _by_rows(how)


def blocks_in_time(
    who: str,
    name: str,
    codes: NDArray[np.intp],
    time: Value | None,
    time_name: str | None,
    rows: NDArray[np.intp],
    index: pd.Index,
) -> Clusters:
    """Rows in blocks of equal codes (m,) of the factor `name`, sorted by a time or left in their order.

    rows (m,) are their places in the design, index the design's row labels; DataError where a time occurs twice.
    """
    codes = np.unique(codes, return_inverse=True)[1]
    times, labels = (_positions(codes), ()) if time is None else _times(time, who, time_name, rows)
    order = np.lexsort([times, codes])
    found = Clusters(rows[order], codes[order], times[order], labels, int(codes.max()) + 1)
    same = np.flatnonzero((np.diff(found.codes) == 0) & (np.diff(found.times) == 0))
    if len(same):
        first, second = (index[row] for row in found.rows[same[0] : same[0] + 2])
        raise DataError(
            f"{who}: rows {first} and {second} are of one {name} and one {time_name}, but a time occurs once in a "
            f"{name} ({len(same)} such pairs)"
        )
    return found


def _positions(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """1, 2, ... within each cluster, in the order of the rows."""
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(np.bincount(codes)) - np.bincount(codes)
    out = np.empty(len(codes), dtype=np.intp)
    out[order] = np.arange(len(codes)) - starts[codes[order]] + 1
    return out


def _by_rows(how: GEE) -> tuple[str, ...]:
    if how.order is not None or how.corr not in ("ar1", "unstructured"):
        return ()
    return (
        f"GEE: corr={how.corr!r} takes the rows of each cluster in the data's order, one step apart; "
        "order='a column' says their times",
    )


def _times(
    value: Value, who: str, name: str | None, rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Times (m,) as whole numbers, the levels' places of a factor; and the names of these."""
    if isinstance(value, Categorical):
        return value.codes[rows] + 1, value.levels
    numbers = np.asarray(value)[rows]
    odd = numbers != np.round(numbers)
    if odd.any():
        raise DataError(
            f"{who}: {name} holds {numbers[odd][0]:g}, but times are whole numbers (their distance is the power of the "
            "AR1 correlation); round them, count in a smaller unit, or take their ranks"
        )
    return numbers.astype(np.intp), ()
