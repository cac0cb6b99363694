"""The clusters of a GEE: rows sorted into blocks, and the pairs of rows within a block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.errors import DataError
from formula_neuro.estimator import GEE
from formula_neuro.family import Array
from formula_neuro.request import Request
from formula_neuro.values import Categorical, Value, as_factor


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
    factor = as_factor(request.design.beside[how.cluster])
    levels, codes = np.unique(factor.codes[used], return_inverse=True)
    if len(levels) < 2:
        raise DataError(
            f"GEE: all rows used are in one cluster of {how.cluster}, but standard errors come from what differs "
            "between clusters; name the column that tells them apart"
        )
    if how.order is None:
        times, labels, words = _positions(codes), (), _by_rows(how)
    else:
        (times, labels), words = _times(request.design.beside[how.order], how.order, used), ()
    order = np.lexsort([times, codes])
    found = Clusters(used[order], codes[order], times[order], labels, len(levels))
    _check_times(found, how, factor, request)
    return found, words


def _positions(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """1, 2, ... within each cluster, in the order of the rows."""
    order = np.argsort(codes, kind="stable")
    starts = np.cumsum(np.bincount(codes)) - np.bincount(codes)
    out = np.empty(len(codes), dtype=np.intp)
    out[order] = np.arange(len(codes)) - starts[codes[order]] + 1
    return out


def _by_rows(how: GEE) -> tuple[str, ...]:
    if how.corr not in ("ar1", "unstructured"):
        return ()
    return (
        f"GEE: corr={how.corr!r} takes the rows of each cluster in the data's order, one step apart; "
        "order='a column' says their times",
    )


def _times(value: Value, name: str, used: NDArray[np.intp]) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Times (m,) as whole numbers, the levels' places of a factor; and the names of these."""
    if isinstance(value, Categorical):
        return value.codes[used] + 1, value.levels
    numbers = np.asarray(value)[used]
    odd = numbers != np.round(numbers)
    if odd.any():
        raise DataError(
            f"GEE: order={name!r} holds {numbers[odd][0]:g}, but times are whole numbers (their distance is the power "
            "of an AR1 correlation); round them, count in a smaller unit, or take their ranks"
        )
    return numbers.astype(np.intp), ()


def _check_times(clusters: Clusters, how: GEE, factor: Categorical, request: Request) -> None:
    same = np.flatnonzero((np.diff(clusters.codes) == 0) & (np.diff(clusters.times) == 0))
    if len(same):
        first, second = clusters.rows[same[0]], clusters.rows[same[0] + 1]
        index = request.design.index
        raise DataError(
            f"GEE: cluster {factor.levels[factor.codes[first]]} of {how.cluster} has two rows ({index[first]} and "
            f"{index[second]}) of the same {how.order}; a time occurs once in a cluster ({len(same)} such pairs)"
        )
