"""Whether counts vary more than Poisson's: likelihood ratios of alpha = 0, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from .clustered import clustered_level
from .clustered_joint import ClusteredFound, Units, clustered_joint
from .joint import Joint, JointFound
from .poisson import newton
from .problem import Problem
from .totals import Level, Totals
from .voxel_maps import VoxelMaps, voxel_cells


@dataclass(frozen=True, eq=False)
class Dispersions:
    """By cell: alpha, the standard error of its logarithm (NaN at 0) and 2 (l - l at alpha = 0), the others free."""

    alpha: Array
    log_se: Array
    statistic: Array


def of_totals(totals: Totals, level: Level) -> Dispersions:
    """Of frailties of totals; `level` is the fit with all variances free."""

    def without(held: NDArray[np.bool_]) -> float:
        return clustered_level(totals, poisson=held).loglik

    return Dispersions(level.alpha, level.alpha_se, np.array([*_ratios(level.alpha, level.loglik, without)]))


def of_joint(model: Joint, units: Units, free: ClusteredFound, smoothing: float) -> Dispersions:
    """Of frailties where the likelihood does not split; `free` is the fit with all variances free."""

    def value(found: JointFound) -> float:
        return found.loglik - 0.5 * smoothing * sum(map(model.problem.splined.penalty.roughness, found.beta))

    def without(held: NDArray[np.bool_]) -> float:
        return value(clustered_joint(model, units.holding(held), free.found, smoothing).found)

    ratios = np.array([*_ratios(free.alpha, value(free.found), without)])
    return Dispersions(free.alpha, free.alpha_se, ratios)


def of_voxels(maps: VoxelMaps, problem: Problem) -> Dispersions:
    """Of voxel totals, against Poisson maps of the same smoothing."""
    alpha, log_se = (np.array([getattr(one, name) for one in maps.found]) for name in ("alpha", "alpha_se"))
    roughness, ratios = problem.splined.penalty.roughness, []
    for cell, one in zip(voxel_cells(problem), maps.found, strict=True):
        poisson = newton(cell.poisson, problem.splined, maps.smoothing)
        rougher = roughness(one.b) - roughness(poisson.b)
        ratios.append(max(0.0, 2 * (one.loglik - poisson.loglik) - maps.smoothing * rougher))
    return Dispersions(alpha, log_se, np.array(ratios))


def _ratios(alpha: Array, loglik: float, without: Callable[[NDArray[np.bool_]], float]) -> Iterator[float]:
    for j in range(len(alpha)):
        held = (np.arange(len(alpha)) == j) | (alpha == 0)
        yield max(0.0, 2 * (loglik - without(held))) if alpha[j] > 0 else 0.0
