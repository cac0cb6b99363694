"""The answer that the chains give, and what they say of themselves."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pandas as pd
import torch

from formula_neuro.family import Array

from ..answer import Answer
from ..model import Model
from ..posterior import Sampled
from .chain import Plan
from .diagnostics import effective_size, rhat
from .moments import Kept, Running, split_rhat
from .target import Target

MET, ENOUGH = 1.05, 100  # R-hat at most, effective draws at least


def answer(model: Model, plan: Plan, chains: list[Kept], target: Target) -> Answer:
    """What is asked of a model, from the draws of all chains."""
    halves = [half for kept in chains for half in kept.halves]
    whole, count = reduce(Running.joined, halves), plan.chains * plan.draws
    table = traces(chains)
    apart = float((split_rhat(halves) > MET).mean()) if plan.draws >= 4 else 1.0
    fine = bool((table["rhat"] < MET).all() and (table["ess"] >= ENOUGH).all())
    levels = torch.cat([kept.level for kept in chains]).numpy()
    covariance, T = whole.covariance, model.likelihood.rows.T
    sd = np.sqrt(np.diagonal(T @ covariance @ T.T, axis1=1, axis2=2))
    share = monte_carlo_error(model, plan, chains) / sd
    notes = (
        *criteria(model, chains, whole, target), _met(table, apart, fine), _error(share, whole.means @ T.T / sd),
        *_refused(plan, chains),
    )  # fmt: skip
    return Answer(
        whole.means,
        covariance,
        sum(kept.incidence for kept in chains).cpu().numpy() / count,
        torch.cat([kept.sigma for kept in chains]).numpy(),
        levels.mean(axis=0),
        np.atleast_2d(np.cov(levels.T)),
        fine,
        notes,
        pd.concat([table, acceptance(plan, chains)], ignore_index=True),
        sum(kept.positive for kept in chains).T.cpu().numpy() / count,
        Sampled(torch.cat([kept.maps for kept in chains]).numpy()) if plan.maps else None,
    )


def traces(chains: list[Kept]) -> pd.DataFrame:
    """Split R-hat and effective draws of Sigma, the level, the deviance and some voxels: a row a number."""
    P = chains[0].level.shape[1]
    i, j = np.tril_indices(P)
    kinds = {
        "sigma": torch.stack([kept.sigma for kept in chains]).numpy()[:, :, i, j],
        "level": torch.stack([kept.level for kept in chains]).numpy(),
        "deviance": torch.stack([kept.deviance for kept in chains]).numpy(),
        "voxels": torch.stack([kept.some for kept in chains]).numpy(),
    }
    rows = []
    for kind, x in kinds.items():
        if not np.ptp(x, axis=1).any():  # Sigma that was given
            continue
        found = zip(x.mean(axis=(0, 1)), rhat(x), effective_size(x), strict=True)
        rows += [[kind, number, *map(float, numbers)] for number, numbers in enumerate(found)]
    return pd.DataFrame(rows, columns=["what", "number", "mean", "rhat", "ess"])


def acceptance(plan: Plan, chains: list[Kept]) -> pd.DataFrame:
    """The shares of proposals that were accepted, of voxels, blocks of voxels and all coefficients together."""
    shares = torch.stack([kept.accepted for kept in chains]).mean(dim=0).numpy() / plan.draws
    return pd.DataFrame({"what": "accepted", "number": range(3), "mean": shares})


def monte_carlo_error(model: Model, plan: Plan, chains: list[Kept]) -> Array:
    """Standard error of every posterior mean (V, P) on the scale of the data, from the means of batches of draws."""
    batches = reduce(Running.joined, [kept.batches for kept in chains])
    if float(batches.count) < 2:
        return np.full(model.shape, np.nan)
    T = model.likelihood.rows.T
    variance = np.diagonal(T @ batches.covariance @ T.T, axis1=1, axis2=2) / float(batches.count)
    return np.asarray(np.sqrt(variance))


def criteria(model: Model, chains: list[Kept], whole: Running, target: Target) -> tuple[str, ...]:
    """The deviance information criterion and the widely applicable one (Gelman et al. 2013, 7.2).

    The points of WAIC are the values of the images in every voxel. Their means and variances over the posterior are
    those for normal distributions of the linear predictors, of which no sums over draws have to be kept.
    """
    everywhere = torch.arange(whole.mean.shape[1], device=whole.mean.device)
    at_mean = -2 * float(target.loglik(whole.mean, target.at(whole.mean, everywhere)).sum())
    mean = float(torch.cat([kept.deviance for kept in chains]).mean())
    density, variance = model.likelihood.predictive(whole.means, whole.covariance)
    return (
        f"DIC {2 * mean - at_mean:.1f} ({mean - at_mean:.1f} effective parameters)",
        f"WAIC {-2 * (density.sum() - variance.sum()):.1f} ({variance.sum():.1f} effective parameters)",
    )


def _met(table: pd.DataFrame, apart: float, fine: bool) -> str:
    worst, least = table["rhat"].max(), table["ess"].min()
    word = f"split R-hat is at most {worst:.3f}, at least {least:.0f} draws are effective"
    if fine:
        return f"the chains have met: {word}"
    return (
        f"the chains have NOT met: {word} (of Sigma, the level, the deviance and some voxels), where less than {MET} "
        f"and {ENOUGH} or more are wanted; R-hat is above {MET} for {100 * apart:.1f} % of the coefficients; take more "
        "draws, or method='laplace'"
    )


def _error(share: Array, z: Array) -> str:
    """Of z = mean / sd: with n effective draws the mean has the variance 1/n, in sd, and log sd has 1/(2n)."""
    error = share * np.sqrt(1 + z**2 / 2)
    return f"Monte Carlo error of z: {np.median(error):.2g} in half of the voxels, {error.max():.2g} at most"


def _refused(plan: Plan, chains: list[Kept]) -> tuple[str, ...]:
    voxels, blocks, affine = acceptance(plan, chains)["mean"]
    if min(voxels, blocks) > 0.5 and affine > 0.1:
        return ()
    return (
        f"the sampler's proposals fit the posterior poorly: accepted were {voxels:.0%} for voxels, {blocks:.0%} for "
        f"blocks and {affine:.0%} for all coefficients together; look at R-hat before the maps",
    )
