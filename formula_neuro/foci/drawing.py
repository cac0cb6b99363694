"""Numbers and places of the foci of one simulated study."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..family import Array
from ..images.brain import Brain
from .locating import voxel_of

COUNTS = ("fixed", "poisson", "negative_binomial")
TRIES = 1000  # draws of one focus before it stays where its clump's middle is


@dataclass(frozen=True)
class Numbers:
    """How many foci an analysis reports."""

    counts: str = "fixed"
    share: float = 1.0
    noise: float = 0.0
    mean: float | None = None
    dispersion: float = 1.0

    def __post_init__(self) -> None:
        if self.counts not in COUNTS:
            raise ValueError(f"counts={self.counts!r} is not known; there are {', '.join(COUNTS)}")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share={self.share!r}: it is the share of analyses that report a peak, from 0 to 1")
        if not self.noise >= 0 or (self.counts == "fixed" and self.noise != int(self.noise)):
            raise ValueError(f"noise={self.noise!r}: it is a number of foci, 0 or more, whole for fixed counts")
        if self.mean is not None and (self.counts == "fixed" or not self.mean > 0):
            raise ValueError(f"mean={self.mean!r}: it is above 0, and for counts='poisson' or 'negative_binomial'")
        if not self.dispersion > 0:
            raise ValueError(f"dispersion={self.dispersion!r}: it is above 0; counts='poisson' has none")

    def signal(self, peaks: int) -> float:
        """The mean number of foci at peaks."""
        return self.share * peaks if self.mean is None else self.mean

    def total(self, peaks: int) -> float:
        """The mean number of foci."""
        return self.signal(peaks) + self.noise


@dataclass(frozen=True)
class Clumps:
    """Foci come `size` at a time, Gaussian of `sd` mm about a common place."""

    size: int = 1
    sd: float = 6.0

    def __post_init__(self) -> None:
        if not isinstance(self.size, (int, np.integer)) or self.size < 1 or not self.sd > 0:
            raise ValueError(f"clump={self.size!r}, clump_sd={self.sd!r}: foci a clump, 1 or more, and mm above 0")


@dataclass(frozen=True, eq=False)
class Where:
    """Shares of the voxels of `brain` about each peak: voxels and cumulated shares of those that matter."""

    brain: Brain
    voxels: tuple[NDArray[np.intp], ...]
    cumulated: tuple[Array, ...]
    noise: float  # the share of foci anywhere

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Places (count, 3) mm about peaks at random, or anywhere."""
        anywhere = rng.random(count) < self.noise
        peak = rng.integers(len(self.voxels), size=count)
        voxel = rng.integers(len(self.brain.voxels), size=count)
        for k in np.flatnonzero(~anywhere):
            voxel[k] = self.about(rng, int(peak[k]))
        return self.places(rng, voxel)

    def about(self, rng: np.random.Generator, peak: int) -> int:
        """A voxel about a peak."""
        at = int(np.searchsorted(self.cumulated[peak], rng.random() * self.cumulated[peak][-1], side="right"))
        return int(self.voxels[peak][min(at, len(self.voxels[peak]) - 1)])

    def places(self, rng: np.random.Generator, voxel: NDArray[np.intp]) -> Array:
        """Somewhere in each voxel, (count, 3) mm."""
        grid = self.brain.grid
        ijk = np.stack(np.unravel_index(self.brain.voxels[voxel], grid.shape), axis=1).reshape(-1, 3)
        inside = ijk + rng.uniform(-0.499, 0.499, ijk.shape)
        return np.asarray(inside @ grid.affine[:3, :3].T + grid.affine[:3, 3])


def drawn(
    rng: np.random.Generator, where: Where, numbers: Numbers, clumps: Clumps, change: float, analyses: int
) -> list[Array]:
    """Foci (count, 3) mm of each analysis of a study; `change` is what its covariates add to the log mean."""
    if numbers.counts == "fixed":
        return [_fixed(rng, where, numbers, clumps) for _ in range(analyses)]
    alpha = numbers.dispersion
    factor = rng.gamma(1 / alpha, alpha) if numbers.counts == "negative_binomial" else 1.0
    mean = factor * numbers.total(len(where.voxels)) * np.exp(change)
    counts = rng.poisson(mean, analyses)
    return [_clumped(rng, where, clumps, int(count)) for count in counts]


def _fixed(rng: np.random.Generator, where: Where, numbers: Numbers, clumps: Clumps) -> Array:
    """One focus (or clump) a peak that is reported, and those of noise."""
    peaks = np.flatnonzero(rng.random(len(where.voxels)) < numbers.share)
    about = [where.about(rng, int(peak)) for peak in peaks]
    anywhere = rng.integers(len(where.brain.voxels), size=int(numbers.noise)).tolist()
    parents = where.places(rng, np.array([*about, *anywhere], dtype=np.intp))
    return parents if clumps.size == 1 else _children(rng, parents, clumps, where.brain)


def _clumped(rng: np.random.Generator, where: Where, clumps: Clumps, count: int) -> Array:
    parents = where.draw(rng, -(-count // clumps.size))
    return parents if clumps.size == 1 else _children(rng, parents, clumps, where.brain)[:count]


def _children(rng: np.random.Generator, parents: Array, clumps: Clumps, brain: Brain) -> Array:
    """Foci about their parents and inside the mask, clumps.size each."""
    middle = np.repeat(parents, clumps.size, axis=0)
    out = middle.copy()
    left = np.arange(len(middle))
    for _ in range(TRIES):
        if not len(left):
            break
        tried = middle[left] + rng.normal(scale=clumps.sd, size=(len(left), 3))
        inside = voxel_of(tried, brain) >= 0
        out[left[inside]] = tried[inside]
        left = left[~inside]
    return out
