"""Many parameter sets, run in batches: grouped by what one problem can hold, split by memory and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from . import memory
from .asking import Asked
from .building import Set, build, delays_key, set_values
from .engine import run
from .noise import active
from .parameters import batched
from .simulating import simulations
from .simulation import Simulation

BYTES = 1e9  # of a batch's records and pasts, at most, where one set alone does not need more
WORK = 2e9  # node-steps of a batch: about a minute, so that little is lost where a run is cut short
LANES = 32  # sets that a batch has in any case: engines take them side by side
SHARED_WORK = 2e8  # node-steps of a batch that another process runs: some seconds, so that all have enough to do
SHARED_LANES = 8  # sets that such a batch has in any case
SHARES = 64  # batches that many sets are cut into for other processes, however little each takes

Engine: TypeAlias = Literal["auto", "numba", "torch"]
Told: TypeAlias = Callable[[float], None]


@dataclass(frozen=True)
class Batch:
    """The places of sets that are run at once, and the bytes that they need at most."""

    places: tuple[int, ...]
    bytes: float


def batches(asked: Asked, sets: Sequence[Set], shared: bool = False) -> list[Batch]:
    """The sets in batches; sets of one batch have the same delays. Raises DataError where one alone is too large.

    shared: among other processes, which smaller batches keep busy.
    """
    groups: dict[tuple[float, ...], list[int]] = {}
    for place, one in enumerate(sets):
        groups.setdefault(delays_key(asked.model, set_values(asked, one)), []).append(place)
    return [batch for places in groups.values() for batch in _split(asked, sets, places, shared)]


def _split(asked: Asked, sets: Sequence[Set], places: list[int], shared: bool) -> list[Batch]:
    here = replace(asked, params=set_values(asked, sets[places[0]]))  # delays differ between groups
    memory.check(here)
    alone = memory.needed(here)
    varied = {name for place in places for name in sets[place]}
    each = memory.needed(here, 2, varied) - alone
    room, work = _limits(asked.device)
    most, least = len(places), LANES
    if shared:
        most, work, least = -(-len(places) // SHARES), min(work, SHARED_WORK), SHARED_LANES
    roomy = int((room - (alone - each)) // each)
    quick = max(least, int(min(most, work // (asked.steps * len(asked.nodes)))))
    size = max(1, min(roomy, quick, len(places)))
    count = -(-len(places) // size)
    parts = [tuple(part.tolist()) for part in np.array_split(places, count)]
    return [Batch(part, memory.needed(here, len(part), varied)) for part in parts]


def _limits(device: str) -> tuple[float, float]:
    """Bytes and node-steps of a batch: a graphics card is quick only when it is full."""
    if not device.startswith("cuda"):
        return min(BYTES, memory.SHARE * memory.physical()), WORK
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return free / 2, float("inf")


def simulated(
    asked: Asked,
    sets: Sequence[Set],
    keys: Sequence[int] | NDArray[np.int64],
    *,
    parts: Sequence[Batch] | None = None,
    engine: Engine = "auto",
    workers: int = 1,
    told: Told | None = None,
) -> Iterator[tuple[tuple[int, ...], list[Simulation]]]:
    """The places and the runs of a batch after the other; each set's numbers are the same in any batch.

    keys: of each set's noise and start values. workers: threads. told: gets how many runs' worth of work was done.
    """
    found = np.asarray(keys, dtype=np.int64)
    for batch in batches(asked, sets) if parts is None else parts:
        own = [sets[place] for place in batch.places]
        problem = build(asked, own, found[list(batch.places)])
        record = run(problem, engine=engine, workers=workers, progress=_share(told, len(own)))
        runs = simulations(asked, own, problem, record)
        del problem, record  # what is not measured is freed before the next batch fills memory
        yield batch.places, runs
        del runs


def _share(told: Told | None, sets: int) -> Callable[[int, int], None] | None:
    """An engine's progress in steps as a progress in runs."""
    if told is None:
        return None
    done = 0

    def share(steps: int, total: int) -> None:
        nonlocal done
        told(sets * (steps - done) / total)
        done = steps

    return share


def noisy(asked: Asked, sets: Sequence[Set]) -> bool:
    """Whether any set has noise or a random stimulus; runs without either differ by their start values alone."""
    if any(course.random for course in asked.stimulus.values()):
        return True
    names = asked.model.parameters
    values = [set_values(asked, one) for one in sets]
    params = {name: batched([one[name] for one in values]) for name in names}
    return any(active(replace(build(asked), params=params)))
