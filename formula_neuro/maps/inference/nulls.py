"""The models without the columns that are tested, fitted once in every voxel, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import Unable
from ...family import Array
from ...running.bar import bar
from ...running.estimates import planned
from ...running.pieces import finished
from ..lacking import cannot

if TYPE_CHECKING:
    from ...images.stack import Images
    from ..fit import MapFit

VALUES = 2_000_000  # of a block: voxels times images
COPIES = 11  # of a block's values that are held at most, as measured


@dataclass(frozen=True, eq=False)
class Nulls:
    """Of C voxels: coefficients b (C, k), deviance and whether they were found (C,).

    `apart` (s,) are voxels that the model separates in part, `gone` (s, n / 8) their rows, as bits, whose means are at
    their limits: such rows have no score and no information left.
    """

    b: Array
    deviance: Array
    fine: NDArray[np.bool_]
    apart: NDArray[np.intp]
    gone: NDArray[np.uint8]

    def still(self, first: int, last: int, n: int) -> NDArray[np.bool_]:
        """(last - first, n) rows that are not at their limits."""
        found = np.ones((last - first, n), dtype=bool)
        at = np.flatnonzero((self.apart >= first) & (self.apart < last))
        found[self.apart[at] - first] = ~np.unpackbits(self.gone[at], axis=1, count=n).astype(bool)
        return found


class NullModel(Protocol):
    """What an engine's ability `null` makes of a design: see MapFit.engine."""

    def fit(self, Y: NDArray[Any]) -> Nulls: ...

    def rows(self, b: Array, Y: NDArray[Any]) -> tuple[Array, Array, Array]: ...


@dataclass(frozen=True, eq=False)
class Fitting:
    """Fit one block of voxels; small enough for other processes."""

    model: NullModel
    images: Images

    def __call__(self, block: tuple[int, int]) -> Nulls:
        return self.model.fit(self.images.block(*block))


def blocks(images: Images) -> list[tuple[int, int]]:
    """Voxels in pieces of about VALUES numbers, at fixed places."""
    V, size = len(images.voxels), max(1, VALUES // len(images))
    return [(first, min(first + size, V)) for first in range(0, V, size)]


def needed(images: Images) -> float:
    """Bytes that a block takes at most; an estimate."""
    return 8.0 * COPIES * min(VALUES, len(images) * len(images.voxels))


def fitted(model: NullModel, images: Images, workers: Any = None, progress: bool | None = None) -> Nulls:
    """The model in every analysed voxel."""
    pieces = blocks(images)
    answers: dict[int, Nulls] = {}
    plan = planned("null models", needed(images), len(pieces))
    with bar(plan, len(images.voxels), progress, workers) as advance:
        for number, answer in finished(Fitting(model, images), pieces, workers, advance.took):
            answers[number] = answer
            advance(pieces[number][1] - pieces[number][0])
    return _joined([answers[k] for k in range(len(pieces))], [first for first, _ in pieces])


def _joined(parts: Sequence[Nulls], starts: Sequence[int]) -> Nulls:
    b, deviance, fine, gone = (np.concatenate([getattr(p, name) for p in parts]) for name in NAMES)
    apart = np.concatenate([part.apart + first for part, first in zip(parts, starts, strict=True)])
    return Nulls(b, deviance, fine, apart, gone)


NAMES = ("b", "deviance", "fine", "gone")


@dataclass(frozen=True, eq=False)
class Rows:
    """A block of voxels first..last-1: scores u, information W and residuals (C, n) of the null model, 0 in rows at
    their limits and in voxels that have no null model."""

    first: int
    last: int
    u: Array
    W: Array
    residual: Array


def rows(model: NullModel, nulls: Nulls, images: Images, block: tuple[int, int]) -> Rows:
    """The rows of one block of voxels."""
    first, last = block
    Y = images.block(first, last)
    still = nulls.still(first, last, Y.shape[1]) & nulls.fine[first:last, None]
    with np.errstate(all="ignore"):
        parts = model.rows(nulls.b[first:last], Y)
    return Rows(first, last, *(np.where(still, part, 0.0) for part in parts))


def every(model: NullModel, nulls: Nulls, images: Images) -> Iterator[Rows]:
    """The rows of all voxels, a block at a time."""
    return (rows(model, nulls, images, block) for block in blocks(images))


def null_model(fit: MapFit, X: Array, offset: Array, purpose: str) -> NullModel:
    """The null model of a fit with columns X (n, k); Unable where its backend has none."""
    make = getattr(fit.engine, "null", None)
    if make is None:
        raise Unable(
            f"{purpose} needs a fit that can fit smaller models in every voxel (`null`); {cannot(fit, 'null')}"
        )
    model: NullModel = make(X, fit.request.weights, offset)
    return model
