"""Resampled statistics, a chunk at a time: each voxel's exceedances, and the largest statistic of the brain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import DataError
from ...family import Array
from ...running.bar import bar
from ...running.estimates import planned
from ...running.pieces import finished
from .clusters import STRUCTURES
from .nulls import NullModel, Nulls, blocks, needed, rows
from .permuted import FreedmanLane, Scores
from .tfce import Neighbours, enhanced

if TYPE_CHECKING:
    from ...images.brain import Brain
    from ...images.stack import Images
    from ..fit import MapFit

NUMBERS = 8_000_000  # statistics that are held at a time: voxels times permutations
MOST = 128  # permutations at a time
HELD = 3  # copies of the statistics of a chunk: by themselves, by their side, and compared
TIE = 1e-9  # of a statistic: permutations of few distinct values tie with the data, but for rounding


@dataclass(frozen=True, eq=False)
class Resampling(ABC):
    """How statistics of the data and of resampled data are compared over the brain; `statistics` is a subclass's own.

    It goes to other processes by pickle.
    """

    brain: Brain
    seed: int
    statistic: str
    alternative: str
    height: float
    connectivity: int

    @abstractmethod
    def statistics(self, first: int, last: int) -> Array:
        """(V, last - first) of draws first..last-1 of the stream; draw 0 are the data themselves."""

    @property
    @abstractmethod
    def joint(self) -> bool:
        """Whether statistics have no sign."""

    @property
    def voxels(self) -> int:
        return len(self.brain.voxels)

    def needed(self, many: int) -> float:
        """Bytes that so many draws take together; an estimate."""
        return 8.0 * HELD * self.voxels * many

    @cached_property
    def neighbours(self) -> Neighbours:
        return Neighbours.of(self.brain, self.connectivity)

    def sided(self, values: Array) -> Array:
        """What of statistics counts for the alternative."""
        if self.joint or self.alternative == "greater":
            return values
        return np.abs(values) if self.alternative == "two.sided" else -values

    def whole(self, values: Array) -> Array:
        """Statistics (V,) as they are compared over the brain: by height, cluster or TFCE, larger being further out."""
        values = np.nan_to_num(values, nan=0.0)
        if self.statistic == "max":
            return self.sided(values)
        if self.statistic == "tfce":
            return np.maximum(self.sided(enhanced(values, self.neighbours)), 0.0)
        signs = {"two.sided": (1, -1), "greater": (1,), "less": (-1,)}["greater" if self.joint else self.alternative]
        return sum(self._sizes(sign * values > self.height) for sign in signs) + np.zeros(len(values))

    def _sizes(self, above: NDArray[np.bool_]) -> Array:
        """(V,) size of each voxel's cluster, 0 outside."""
        there = self.brain.unmask(above.astype(float), fill=0.0) > 0
        names, _ = ndimage.label(there, STRUCTURES[self.connectivity])
        mine = names.ravel()[self.brain.voxels]
        sizes = np.bincount(mine)
        sizes[0] = 0
        return sizes[mine].astype(float)

    def __call__(self, chunk: tuple[int, int], observed: Array | None = None) -> tuple[Array, NDArray[np.int32]]:
        """The largest value over the brain of each permutation (m,), and how often each voxel's own was reached."""
        found = self.statistics(*chunk)
        largest = np.array([self.whole(values).max(initial=0.0) for values in found.T])
        own = self.observed if observed is None else observed
        with np.errstate(invalid="ignore"):
            reached = (self.sided(found) >= is_extreme(self.sided(own))[:, None]).sum(axis=1, dtype=np.int32)
        return largest, reached

    @cached_property
    def observed(self) -> Array:
        """(V,) statistics of the data themselves."""
        return self.statistics(0, 1)[:, 0]


@dataclass(frozen=True, eq=False)
class OfImages(Resampling):
    """Permutations of the images; small enough for other processes, which read the images themselves."""

    images: Images
    model: NullModel
    nulls: Nulls
    method: Scores | FreedmanLane
    groups: tuple[NDArray[np.intp], ...]  # of images that change places with one another

    def statistics(self, first: int, last: int) -> Array:
        orders = permutations(len(self.images), self.groups, self.seed, first, last)
        found = np.empty((self.voxels, last - first))
        for block in blocks(self.images):
            part = rows(self.model, self.nulls, self.images, block)
            found[part.first : part.last] = self.method.statistics(part, orders)
        return found

    def needed(self, many: int) -> float:
        return super().needed(many) + needed(self.images)

    @property
    def joint(self) -> bool:
        return self.method.x.shape[1] > 1


def permutations(n: int, groups: tuple[NDArray[np.intp], ...], seed: int, first: int, last: int) -> NDArray[np.intp]:
    """(last - first, n): permutations first..last-1 of the stream, each within groups; 0 leaves all where it is."""
    orders = np.tile(np.arange(n), (last - first, 1))
    for order, i in zip(orders, range(first, last), strict=True):
        rng = np.random.default_rng([seed, i])
        for group in groups if i else ():
            order[group] = rng.permutation(group)
    return orders


@dataclass(frozen=True, eq=False)
class Extremes:
    """observed (V,) statistics, enhanced (V,) what is compared over the brain with draws (n + 1,), and the share of
    permutations that reach each voxel's own statistic, (V,)."""

    observed: Array
    enhanced: Array
    draws: Array
    exceeded: Array


def resampled(how: Resampling, n: int, workers: Any = None, progress: bool | None = None) -> Extremes:
    """The data and n permutations; the numbers depend on the seed alone."""
    observed = how.observed
    size = int(np.clip(NUMBERS // how.voxels, 4, MOST))
    chunks = [(first, min(first + size, n + 1)) for first in range(1, n + 1, size)]
    own = how.whole(observed)
    draws, reached = np.empty(n + 1), np.ones(how.voxels, dtype=np.int64)
    draws[0] = own.max(initial=0.0)
    plan = planned("permutations", how.needed(min(size, n)), len(chunks))
    with bar(plan, n, progress, workers) as advance:
        for number, (largest, often) in finished(how, chunks, workers, advance.took):
            first, last = chunks[number]
            draws[first:last] = largest
            reached += often
            advance(last - first)
    share = np.where(np.isnan(observed), np.nan, reached / (n + 1))
    return Extremes(observed, own, draws, share)


def is_extreme(values: Array) -> Array:
    """From where on a permuted statistic counts as reaching these: ties are not broken by rounding."""
    return np.asarray(values - TIE * np.maximum(np.abs(values), 1.0))


def strata(fit: MapFit, within: Any) -> tuple[tuple[NDArray[np.intp], ...], tuple[str, ...]]:
    """The images that may change places, by the values of `within`; and what to say of it."""
    used = np.flatnonzero(fit.request.weights > 0)
    if within is None:
        return (used,), ()
    table = fit.request.images.table
    if isinstance(within, str):
        if within not in table:
            raise DataError(f"within={within!r} is no column of the table; there are {', '.join(map(str, table))}")
        values, name = table[within], within
    else:
        values, name = pd.Series(np.asarray(within)), "the values given"
    if len(values) != len(table):
        raise DataError(f"within= has {len(values)} values for {len(table)} images")
    if values.isna().any():
        raise DataError(f"within=: {name} is missing for {int(values.isna().sum())} images, which belong nowhere")
    codes = pd.factorize(values)[0][used]
    groups = tuple(used[codes == code] for code in range(codes.max() + 1))
    if all(len(group) == 1 for group in groups):
        raise DataError(f"within=: every image has a value of its own of {name}, so that none can change places")
    return groups, (f"permuted within {len(groups)} groups of {name}",)
