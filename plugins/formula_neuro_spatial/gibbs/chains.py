"""All chains: here, in processes or on a cluster, kept on disk while a long run lasts; and the answer made of them."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from formula_neuro import __version__
from formula_neuro.family import Array
from formula_neuro.images.folders import cache_folder
from formula_neuro.maps.request import MapRequest
from formula_neuro.running.bar import bar
from formula_neuro.running.kept import Kept as Folder
from formula_neuro.running.pieces import finished
from formula_neuro.running.where import Running

from ..answer import Answer
from ..model import Model
from ..newton import level
from .chain import START, Chain, Chains, Plan, sampling
from .moments import fill, saved
from .summary import answer
from .sweep import Sampler

HERE, ELSEWHERE = 1.0, 20.0  # seconds that a chain runs on before it reports
WORTH_KEEPING, EVERY = 20.0, 120.0  # seconds of a run before its chains are kept on disk, and between two times

__all__ = ["Plan", "gibbs"]


@dataclass(frozen=True, eq=False)
class Work:
    """A piece of one chain."""

    chains: Chains
    seconds: float

    def __call__(self, piece: tuple[int, Chain]) -> Chain:
        with sampling():
            return self.chains.advanced(*piece, self.seconds)


def gibbs(
    model: Model, plan: Plan, running: Running | None = None, store: Path | None = None, Q: Array | None = None
) -> Answer:
    """The posterior of a model by sampling; given Q, with Q fixed there.

    store: a folder that keeps the chains while a long run lasts, and is gone when it has ended. The same call goes on
    from what is kept; its numbers are those of a run that was not cut short, wherever its chains ran.
    """
    running = Running() if running is None else running
    if running.device != "cpu" and isinstance(running.workers, int) and running.workers > 1:
        raise ValueError(f"device={running.device!r} serves one process: leave workers= out")
    start = START * np.eye(model.shape[1]) if Q is None else np.array(Q, dtype=float)
    with sampling():
        sampler = Sampler.of(model, running.device, fixed=Q is not None)
        chains, kept = Chains(sampler, plan, running.seed, level(model), start), Folder(store, "chain")
        held = {number: _resumed(chains, number, kept) for number in range(plan.chains)}
        resumed = sum(int(chain.done) for chain in held.values())
        held = _run(chains, held, running, kept)
        kept.forget()
        found = answer(model, plan, [held[number].kept for number in range(plan.chains)], sampler.target)
    return found if not resumed else _went_on(found, resumed)


def folder(request: MapRequest) -> Path | None:
    """Where the chains of a request are kept while they run."""
    cache = cache_folder()
    name = f"spatial-{__version__}-{request.key}-{request.running.seed}"
    return None if cache is None else cache / "unfinished" / name


def _run(chains: Chains, held: dict[int, Chain], running: Running, kept: Folder) -> dict[int, Chain]:
    """All chains at their ends, a piece of each after another."""
    plan, started = chains.plan, time.monotonic()
    work = Work(chains, HERE if running.workers in (None, 1) else ELSEWHERE)
    latest = started
    total, resumed = plan.chains * plan.sweeps, sum(int(chain.done) for chain in held.values())
    with bar("sweeps", total, running.progress, running.workers, done=resumed, compiles=True) as advance:
        try:
            while todo := [(number, chain) for number, chain in held.items() if int(chain.done) < plan.sweeps]:
                for place, chain in finished(work, todo, running.workers):
                    number, before = todo[place]
                    held[number] = chain
                    advance(int(chain.done) - int(before.done))
                now = time.monotonic()
                if now - started > WORTH_KEEPING and now - latest > EVERY:
                    latest = now
                    _keep(kept, held)
        except BaseException:  # an interruption too: what is done stays
            if time.monotonic() - started > WORTH_KEEPING:
                _keep(kept, held)
            raise
    return held


def _keep(kept: Folder, held: dict[int, Chain]) -> None:
    for number, chain in held.items():
        kept.save((number, number), saved(chain))


def _resumed(chains: Chains, number: int, kept: Folder) -> Chain:
    """The chain as it was kept, or from its start."""
    begun, found = chains.begun(number), kept.load((number, number))
    if found is not None:
        with suppress(KeyError, RuntimeError):  # of another version: begin anew
            fill(begun, found)
            return begun
        return chains.begun(number)
    return begun


def _went_on(found: Answer, sweeps: int) -> Answer:
    note = f"went on from {sweeps:,} sweeps that an interrupted run had finished"
    return replace(found, notes=(*found.notes, note))
