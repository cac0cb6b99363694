"""The chains, and the answer made of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from formula_neuro.family import Array
from formula_neuro.running.bar import bar

from ..answer import Answer
from ..model import Model
from ..newton import level
from .diagnostics import effective_size, rhat
from .moments import Kept, Running, split_rhat
from .streams import Streams
from .sweep import Sampler, State

START = 10.0  # precision of differences between neighbours
APART = 0.3  # standard deviation of the chains' first levels
SOME = 20  # voxels whose draws are kept for the diagnostics
MET, ENOUGH = 1.05, 100  # R-hat at most, effective draws at least


@dataclass(frozen=True)
class Plan:
    """Chains of burn_in + draws * thin sweeps, of which `draws` are kept."""

    draws: int = 1000
    chains: int = 4
    burn_in: int = 1000
    thin: int = 1


def gibbs(model: Model, plan: Plan, seed: int = 1, progress: bool | None = None) -> Answer:
    """The posterior of a model by Gibbs sampling."""
    sampler, start, T = Sampler.of(model), level(model), model.likelihood.rows.T
    some = np.sort(np.random.default_rng([seed, 2]).choice(model.shape[0], min(SOME, model.shape[0]), replace=False))
    with bar("sweeps", plan.chains * (plan.burn_in + plan.draws * plan.thin), progress) as advance:
        chains = []
        for chain in range(plan.chains):
            kept = Kept.empty(*model.shape)
            for number, state, latent in _states(sampler, plan, Streams(seed, chain), start):
                advance(1)
                if number < 0 or number % plan.thin:
                    continue
                kept.halves[2 * number >= plan.draws * plan.thin].add(state.b)
                kept.positive += state.b @ T.T > 0
                kept.incidence += latent.incidence
                kept.sigma.append(np.linalg.inv(state.Q))
                kept.level.append(state.b.mean(axis=0))
                kept.some.append(state.b[some].ravel())
                kept.deviance.append(-2 * float(latent.loglik.sum()))
            chains.append(kept)
    return _answer(model, plan, chains)


def _states(sampler: Sampler, plan: Plan, streams: Streams, start: Array):  # type: ignore[no-untyped-def]
    """Sweeps numbered from -burn_in, with the states that they end in."""
    V, P = sampler.model.shape
    apart = np.random.default_rng([streams.seed, 3, streams.chain]).standard_normal(P) * APART
    state = State(np.broadcast_to(start + apart, (V, P)).copy(), START * np.eye(P))
    for number in range(-plan.burn_in, plan.draws * plan.thin):
        state, latent = sampler.sweep(state, streams, number + plan.burn_in)
        yield number, state, latent


def _answer(model: Model, plan: Plan, chains: list[Kept]) -> Answer:
    halves = [half for kept in chains for half in kept.halves]
    whole = halves[0]
    for half in halves[1:]:
        whole = whole.joined(half)
    count = plan.chains * plan.draws
    table = traces(chains)
    by_voxel = split_rhat(halves)
    apart = float((by_voxel > MET).mean())
    fine = bool((table["rhat"] < MET).all() and (table["ess"] >= ENOUGH).all())
    levels = np.array([kept.level for kept in chains]).reshape(count, -1)
    return Answer(
        whole.mean,
        whole.covariance,
        np.sum([kept.incidence for kept in chains], axis=0) / count,
        np.array([kept.sigma for kept in chains]).reshape(count, *chains[0].sigma[0].shape),
        levels.mean(axis=0),
        np.atleast_2d(np.cov(levels.T)),
        fine,
        _notes(model, whole, chains, table, apart, fine),
        table,
        np.sum([kept.positive for kept in chains], axis=0) / count,
    )


def traces(chains: list[Kept]) -> pd.DataFrame:
    """Split R-hat and effective draws of Sigma, the level, the deviance and some voxels: a row a number."""
    P = len(chains[0].level[0])
    i, j = np.tril_indices(P)
    kinds = {
        "sigma": np.array([kept.sigma for kept in chains])[:, :, i, j],
        "level": np.array([kept.level for kept in chains]),
        "deviance": np.array([kept.deviance for kept in chains])[:, :, None],
        "voxels": np.array([kept.some for kept in chains]),
    }
    rows = []
    for kind, x in kinds.items():
        found = zip(rhat(x), effective_size(x), strict=True)
        rows += [[kind, number, float(r), float(e)] for number, (r, e) in enumerate(found)]
    return pd.DataFrame(rows, columns=["what", "number", "rhat", "ess"])


def _notes(
    model: Model, whole: Running, chains: list[Kept], table: pd.DataFrame, apart: float, fine: bool
) -> tuple[str, ...]:
    """The deviance information criterion, and whether the chains have met."""
    mean = float(np.mean([kept.deviance for kept in chains]))
    at_mean = -2 * float(model.likelihood.loglik(whole.mean).sum())
    said = [f"DIC {2 * mean - at_mean:.1f} ({mean - at_mean:.1f} effective parameters)"]
    worst, least = table["rhat"].max(), table["ess"].min()
    word = f"split R-hat is at most {worst:.3f}, at least {least:.0f} draws are effective"
    if fine:
        said.append(f"the chains have met: {word}")
    else:
        said.append(
            f"the chains have NOT met: {word} (of Sigma, the level, the deviance and some voxels), and R-hat is above "
            f"{MET} for {100 * apart:.1f} % of the coefficients; take more draws, or method='laplace'"
        )
    return tuple(said)
