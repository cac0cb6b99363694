"""A model fitted in every voxel, block by block: what every plugin's voxel backend does beside its mathematics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .. import __version__
from ..family import Array
from ..images.folders import cache_folder
from ..images.store import InMemory
from ..maps.display.words import about
from ..maps.fit import MapFit
from ..maps.request import MapRequest
from ..running.bar import bar
from ..running.estimates import planned
from ..running.kept import Kept
from ..running.pieces import finished

if TYPE_CHECKING:
    from ..images.stack import Images

NUMBERS = 16_000_000  # values of a block, at most: a block is soon done and kept
LEAST = 4_000_000  # values, some seconds' work: smaller blocks cost a tenth and more of their time to begin
SHARES = 16  # blocks for workers to share, and for the first to tell how long all will take
COPIES = 5  # of a block's values that a fit holds at most: 4.4 measured of linear models, about 2 of the others
WORTH_KEEPING = 20.0  # seconds that a run must have lasted before its blocks are written to disk


class Problem(Protocol):
    """What is made once a design, and can be pickled."""

    def fit(self, Y: Array) -> Mapping[str, Array]:
        """The answer for responses (C, n): arrays whose first axis is C."""


@dataclass(frozen=True, eq=False)
class Work:
    """Fit one block of voxels."""

    problem: Problem
    images: Images

    def __call__(self, block: tuple[int, int]) -> dict[str, Array]:
        return dict(self.problem.fit(self.images.block(*block)))


def fit_blocks(
    request: MapRequest,
    problem: Problem,
    backend: str,
    *,
    effort: float = 1.0,
    df_resid: float = float("inf"),
    messages: tuple[str, ...] = (),
    engine: Any = None,
) -> MapFit:
    """Fit a problem in all voxels of the request and collect the maps.

    effort: how many times as long a value takes as in a generalized linear model of few columns, for smaller blocks.
    Blocks lie at fixed places, whoever runs them, so that the numbers do not depend on the workers. What is finished
    is kept on disk while a long run lasts: the same call goes on from there after an interruption.
    """
    started = time.perf_counter()
    if request.running.device != "cpu" and isinstance(request.running.workers, int) and request.running.workers > 1:
        raise ValueError(
            f"device={request.running.device!r} serves one process: leave workers= out, or give a dask client"
        )
    images, running = request.images, request.running
    blocks = cut(len(images.voxels), request.shape[0], effort)
    cache = cache_folder()
    kept = Kept(None if cache is None else cache / "unfinished" / f"{backend}-{__version__}-{request.key}")
    answers = {block: found for block in blocks if (found := kept.load(block)) is not None}
    resumed = sum(last - first for first, last in answers)
    todo = [block for block in blocks if block not in answers]
    unsaved: list[tuple[int, int]] = []
    plan = planned("voxels", max((needed(images, block) for block in todo), default=0.0), len(todo))
    with bar(plan, len(images.voxels), running.progress, running.workers, done=resumed) as advance:
        try:
            for number, answer in finished(Work(problem, images), todo, running.workers, advance.took):
                answers[todo[number]] = answer
                unsaved.append(todo[number])
                if time.perf_counter() - started > WORTH_KEEPING or resumed:
                    _keep(kept, answers, unsaved)
                advance(todo[number][1] - todo[number][0])
        except BaseException:  # an interruption too: what is finished stays
            _keep(kept, answers, unsaved)
            raise
    values = {name: np.concatenate([answers[block][name] for block in blocks]) for name in answers[blocks[0]]}
    kept.forget()
    note = (f"went on from {resumed:,} voxels that an interrupted run had finished",) if resumed else ()
    fit = MapFit(
        request, backend, values, df_resid, (*request.messages, *messages, *note), time.perf_counter() - started, engine
    )
    return _with_words(fit)


def needed(images: Images, block: tuple[int, int]) -> float:
    """Bytes that a worker takes for a block, beside its programs: the images held, and the fit; an estimate."""
    rows = images.store.rows
    held = rows.array.nbytes if isinstance(rows, InMemory) else 0
    return held + 8.0 * COPIES * len(images) * (block[1] - block[0])


def _keep(kept: Kept, answers: Mapping[tuple[int, int], Mapping[str, Array]], unsaved: list[tuple[int, int]]) -> None:
    while unsaved:
        block = unsaved.pop()
        kept.save(block, answers[block])


def _with_words(fit: MapFit) -> MapFit:
    from dataclasses import replace

    return replace(fit, messages=(*fit.messages, *about(fit)))


def cut(voxels: int, rows: int, effort: float = 1.0) -> list[tuple[int, int]]:
    """Blocks at fixed places: SHARES of them, but for short work, which has fewer, and for long, which has more.

    >>> cut(5, 2_000_000)
    [(0, 2), (2, 4), (4, 5)]
    >>> len(cut(20_000, 100)), len(cut(20_000, 100, effort=8)), len(cut(20_000, 1_000)), len(cut(70_000, 10_000))
    (1, 4, 5, 44)
    """
    values = min(max(voxels * rows / SHARES, LEAST / effort), NUMBERS)
    size = max(1, int(values // max(rows, 1)))
    return [(first, min(first + size, voxels)) for first in range(0, voxels, size)]
