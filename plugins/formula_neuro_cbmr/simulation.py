"""New foci from a fit: totals of the family's distribution, each focus at the centre of a voxel drawn from its map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from formula_neuro.errors import Unable
from formula_neuro.family import Array, FociFamily
from formula_neuro.foci.request import FociRequest, Located

from .problem import Index

LogMaps = Callable[[int], Array]  # the number of a pattern to its log intensities (V,), up to a constant


def check_family(family: FociFamily) -> None:
    """Raise Unable for a family that is no distribution."""
    if not family.likelihood:
        raise Unable(
            f"{family.name} states a variance, not a distribution, so that nothing can be simulated from it; fit "
            "poisson or clustered_negative_binomial"
        )


def drawn_totals(means: Array, alpha: Array, unit: Index, rng: np.random.Generator) -> Index:
    """Totals (M,) with these means, Poisson given one gamma factor a unit of mean 1 and variance alpha (K,).

    >>> rng = np.random.default_rng(1)
    >>> t = drawn_totals(np.full(20_000, 5.0), np.array([0.0]), np.zeros(20_000, dtype=np.intp), rng)
    >>> bool(abs(t.mean() - 5) < 0.1), bool(abs(t.var() - 5) < 0.3)
    (True, True)
    """
    varies = alpha > 0
    factor = np.ones(len(alpha))
    factor[varies] = rng.gamma(1 / alpha[varies], alpha[varies])
    return np.asarray(rng.poisson(factor[unit] * means), dtype=np.intp)


def placed(
    request: FociRequest, pattern: Index, log_maps: LogMaps, totals: Index, rng: np.random.Generator
) -> FociRequest:
    """The request with new foci: `totals` (M,) of them, an analysis's drawn from the map of its pattern."""
    analysis = np.repeat(np.arange(len(totals)), totals)
    voxel = np.empty(len(analysis), dtype=np.intp)
    for p in np.unique(pattern[analysis]):
        mine = pattern[analysis] == p
        s = log_maps(int(p))
        up_to = np.cumsum(np.exp(s - s.max()))
        voxel[mine] = np.searchsorted(up_to, rng.random(int(mine.sum())) * up_to[-1], side="right")
    return with_foci(request, np.minimum(voxel, len(request.brain.voxels) - 1), analysis)


def drawn_in_voxels(
    m: Array, phi: float, analyses: Index, exposures: Array, rng: np.random.Generator
) -> tuple[Index, Index]:
    """Voxel and analysis of foci whose voxel totals are negative binomial with means m (V,) and dispersion phi.

    A voxel's foci fall on the analyses as if each had a gamma factor of its own there: by a Dirichlet of exposures,
    so that with equal exposures the count of an analysis is negative binomial too.
    """
    factor = rng.gamma(1 / phi, phi, len(m)) if phi > 0 else 1.0
    Y = rng.poisson(m * factor)
    share = exposures / exposures.sum()
    voxels, chosen = [], []
    for v in np.flatnonzero(Y):
        p = rng.dirichlet(share / phi) if phi > 0 and len(share) > 1 else share
        p = p if np.isfinite(p).all() else np.eye(len(share))[rng.choice(len(share), p=share)]
        voxels.append(np.full(Y[v], v))
        chosen.append(rng.choice(analyses, size=Y[v], p=p))
    if not voxels:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    return np.concatenate(voxels).astype(np.intp), np.concatenate(chosen).astype(np.intp)


def with_foci(request: FociRequest, voxel: Index, analysis: Index) -> FociRequest:
    """The request with foci at the centres of these voxels (J,), of these analyses (J,)."""
    grid = request.brain.grid
    at = np.stack(np.unravel_index(request.brain.voxels[voxel], grid.shape), axis=1)
    points = at @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return replace(request, located=Located(points.astype(np.float64), voxel, analysis))
