"""One chain, as far as it has come: a value that a worker takes on for a while, and that can be saved whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from formula_neuro.family import Array

from .field import Field
from .moments import Kept
from .probit import Local
from .streams import Streams
from .sweep import Accepted, Sampler, State

Tensor = Any
START = 10.0  # precision of differences between neighbours
APART = 0.3  # standard deviation of the chains' first levels
SOME = 20  # voxels whose draws are kept for the diagnostics


@dataclass(frozen=True)
class Plan:
    """Chains of burn_in + draws * thin sweeps, of which `draws` are kept."""

    draws: int = 1000
    chains: int = 4
    burn_in: int = 500
    thin: int = 1
    maps: int = 0  # of the draws, evenly spaced, that are kept whole

    @property
    def sweeps(self) -> int:
        """Of one chain."""
        return self.burn_in + self.draws * self.thin

    @property
    def batch(self) -> int:
        """Draws whose mean is one number of the Monte Carlo error: the root of all."""
        return max(1, int(self.draws**0.5))


@dataclass(frozen=True, eq=False)
class Chain:
    """Sweeps done (1,), the state that they ended in, and what was kept."""

    done: Tensor
    b: Tensor
    local: Local
    Q: Tensor
    kept: Kept


@dataclass(frozen=True, eq=False)
class Chains:
    """What all chains share, and how one goes on."""

    sampler: Sampler
    plan: Plan
    seed: int
    level: Array
    Q: Array

    def begun(self, number: int) -> Chain:
        """A chain from its start: the same coefficients everywhere, away from those of other chains."""
        V, P = self.sampler.model.shape
        apart = np.random.default_rng([self.seed, 3, number]).standard_normal(P) * APART
        state = self.sampler.start(np.broadcast_to(self.level + apart, (V, P)), self.Q)
        kept = Kept.empty((V, P), self.plan.draws, len(self.some), self.sampler.target.device, self.plan.maps)
        return Chain(torch.zeros(1, dtype=torch.int64), state.field.b, state.field.local, torch.tensor(self.Q), kept)

    @property
    def some(self) -> Array:
        """Voxels whose draws are kept."""
        V = self.sampler.model.shape[0]
        return np.sort(np.random.default_rng([self.seed, 2]).choice(V, min(SOME, V), replace=False))

    def advanced(self, number: int, chain: Chain, seconds: float) -> Chain:
        """The chain after as many sweeps as fit into the time, or at its end; the one that was given stays."""
        plan, started, chain = self.plan, time.monotonic(), deepcopy(chain)
        state = State(Field(self.sampler.target, chain.b, chain.local), chain.Q.numpy())
        done, streams, some = int(chain.done), Streams(self.seed, number), torch.from_numpy(self.some)
        while done < plan.sweeps:
            state, accepted = self.sampler.sweep(state, streams, done)
            done += 1
            draw, rest = divmod(done - plan.burn_in, plan.thin)
            if draw > 0 and rest == 0:
                self._keep(chain.kept, draw - 1, state, accepted, some)
            if time.monotonic() - started > seconds:
                break
        return Chain(torch.tensor([done]), state.field.b, state.field.local, torch.from_numpy(state.Q), chain.kept)

    def _keep(self, kept: Kept, draw: int, state: State, accepted: Accepted, some: Tensor) -> None:
        b, target = state.field.b, self.sampler.target
        loglik = target.loglik(b, state.field.local)
        (kept.second if 2 * draw >= self.plan.draws else kept.first).add(b)
        kept.batch.add_(b)
        if (draw + 1) % self.plan.batch == 0:
            kept.batches.add(kept.batch / self.plan.batch)
            kept.batch.zero_()
        T = torch.from_numpy(self.sampler.model.likelihood.rows.T).to(b.device)
        kept.positive.add_((T @ b > 0).to(torch.float64))
        kept.incidence.add_(state.field.local.incidence)
        kept.sigma[draw] = torch.from_numpy(np.linalg.inv(state.Q))
        kept.level[draw] = b.mean(dim=1).cpu()
        kept.some[draw] = b[:, some.to(b.device)].T.reshape(-1).cpu()
        place, rest = divmod((draw + 1) * self.plan.maps, self.plan.draws)
        if rest < self.plan.maps:
            kept.maps[place - 1] = b.to("cpu", torch.float32)
        kept.deviance[draw] = -2 * float(loglik.sum())
        kept.accepted.add_(torch.tensor([accepted.voxels, accepted.blocks, accepted.affine], dtype=torch.float64))


@contextmanager
def sampling() -> Iterator[None]:
    """torch without gradients and on one thread, as sums over several would round by their number and chains part."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)
