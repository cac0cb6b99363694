"""The normal approximation beside exact chains, in small pieces of the mask.

The error of an approximation depends on the data: how rare events are, how smooth the maps. So it is measured where
that can be done in seconds, in connected pieces of a few hundred voxels that are analysed as masks of their own with Q
held where the fit has it, once by either method. A piece has no neighbours to borrow from at its rim: the errors in the
whole mask are likelier smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order

from formula_neuro.errors import DataError
from formula_neuro.family import Array
from formula_neuro.running.where import Running

from .graph import MaskGraph
from .laplace import given
from .likelihood import Likelihood
from .model import Model
from .newton import level

CHAINS, BURN_IN = 2, 50  # Q is given; where hardly a voxel has an event this can be too short, and R-hat shows it
DRAWS = 64
TRIES = 50


@dataclass(frozen=True)
class Sizes:
    """Pieces of so many voxels, and sweeps that are kept of either chain."""

    pieces: int = 3
    voxels: int = 300
    sweeps: int = 500


def check(
    likelihood: Likelihood, graph: MaskGraph, Q: Array, names: tuple[str, ...], sizes: Sizes, seed: int
) -> pd.DataFrame:
    """A row a piece and term: see `compared`; raises DataError where no piece's data determine its level."""
    models, voxels = islice(_models(likelihood, graph, Q, sizes.voxels, seed), sizes.pieces), sizes.voxels
    found = [
        compared(model, Q, sizes.sweeps, seed + number).assign(piece=number + 1, term=names)
        for number, model in enumerate(models)
    ]
    if not found:
        raise DataError(
            f"in {TRIES} pieces of {voxels} voxels the data do not determine the level, as in none are there events "
            "and others at enough covariates; check larger pieces, with voxels="
        )
    table = pd.concat(found, ignore_index=True)
    return table[["piece", "term", *(name for name in table.columns if name not in ("piece", "term"))]]


def compared(model: Model, Q: Array, sweeps: int, seed: int) -> pd.DataFrame:
    """A row a term: the approximation's errors given Q, in units of the exact posterior standard deviations.

    mean_error: the mean over voxels of its mean less the exact one; furthest: the largest in size. sd_ratio: its
    standard deviation by the exact one, the mean over voxels. z_slope: of its z on the exact z, through 0.
    monte_carlo: what the chains leave of a voxel's mean, about, and `rhat` the largest of the chains' split R-hats.
    """
    from .gibbs.chains import Plan, gibbs

    exact = gibbs(model, Plan(draws=sweeps, chains=CHAINS, burn_in=BURN_IN), Running(seed=seed, progress=False), Q=Q)
    mean, covariance = given(model, Q, DRAWS, seed)
    sd, own = (np.sqrt(np.diagonal(C, axis1=1, axis2=2)) for C in (exact.covariance, covariance))
    error, traced = (mean - exact.mean) / sd, exact.diagnostics[exact.diagnostics["what"] == "voxels"]
    z, exact_z = mean / own, exact.mean / sd
    return pd.DataFrame(
        {
            "incidence": float(model.likelihood.totals().sum() / (model.likelihood.rows.trials.sum() * len(mean))),
            "mean_error": error.mean(axis=0),
            "furthest": error[np.abs(error).argmax(axis=0), np.arange(error.shape[1])],
            "sd_ratio": (own / sd).mean(axis=0),
            "z_slope": (z * exact_z).sum(axis=0) / (exact_z**2).sum(axis=0),
            "monte_carlo": float(1 / np.sqrt(traced["ess"].median())),
            "rhat": float(traced["rhat"].max()),
        }
    )  # fmt: skip


def _models(likelihood: Likelihood, graph: MaskGraph, Q: Array, size: int, seed: int) -> Iterator[Model]:
    """Models of pieces around random voxels in which the data determine the level."""
    rng, P = np.random.default_rng([seed, 4]), len(Q)
    adjacency = graph.adjacency
    for start in rng.integers(0, graph.size, TRIES):
        voxels = around(adjacency, int(start), size)
        corner = graph.places[voxels].min(axis=0)
        at = (graph.places[voxels] - corner).T
        shape = tuple(int(length) + 1 for length in at.max(axis=1))
        piece = MaskGraph.of(np.ravel_multi_index(tuple(at), shape), shape)
        model = Model(likelihood.part(voxels), piece, P + 1.0)
        try:
            level(model)
        except DataError:
            continue
        yield model


def around(adjacency: sparse.csr_array, start: int, size: int) -> NDArray[np.intp]:
    """The `size` voxels nearest to one along edges, ascending."""
    order = breadth_first_order(adjacency, start, directed=False, return_predecessors=False)
    return np.sort(order[:size]).astype(np.intp)
