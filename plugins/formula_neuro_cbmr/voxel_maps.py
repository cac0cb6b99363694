"""Maps of all cells under negative binomial voxel totals, at the smoothing parameter that they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .negative_binomial import VoxelCell, VoxelFound, voxel_newton
from .poisson import Splined
from .problem import Problem
from .separation import check_foci, check_supported
from .smoothing import Smoothed, first_guess, search, trace


@dataclass(frozen=True, eq=False)
class VoxelMaps:
    """The maps found, one a pattern, their lambda (0: none), effective coefficients, and what there is to say."""

    found: tuple[VoxelFound, ...]
    smoothing: float
    edf: Array
    messages: tuple[str, ...]


def check_request(problem: Problem) -> None:
    """Raise DataError where voxel totals cannot tell the moderators, or the maps, apart."""
    names = problem.request.design.names
    if names:
        raise DataError(
            "family='negative_binomial' sees the totals of voxels over analyses, which do not tell the effect of "
            f"{', '.join(names)} from the level and the dispersion: take family='clustered_negative_binomial', or "
            "leave these terms out"
        )
    if not problem.saturated:
        raise DataError(
            "family='negative_binomial' sums the foci of a cell's analyses voxel by voxel, so that s(...) takes "
            "factors only: take family='clustered_negative_binomial' or 'poisson' for maps of numbers"
        )


def voxel_cells(problem: Problem) -> tuple[VoxelCell, ...]:
    """The foci of every pattern, summed over its analyses."""
    V, located, pattern = problem.splined.basis.V, problem.request.located, problem.pattern
    w = np.exp(problem.request.design.offset)
    cells = []
    for g, (name, r) in enumerate(zip(problem.names, problem.pattern_rows, strict=True)):
        mine = located.voxel[pattern[located.analysis] == g]
        Y = np.bincount(mine, minlength=V).astype(np.float64)
        own = w[pattern == g]
        cells.append(VoxelCell(name, r, Y, float(own.sum()), float((own**2).sum())))
    return tuple(cells)


def voxel_maps(problem: Problem) -> VoxelMaps:
    """Maximum (penalised) likelihood of every pattern's map and dispersion."""
    check_request(problem)
    check_foci(problem)
    cells, splined, smooth = voxel_cells(problem), problem.splined, problem.splines.smooth
    if not problem.penalised:
        check_supported(problem)
        found = tuple(voxel_newton(cell, splined, 0.0) for cell in cells)
        edf = np.full(len(cells), float(splined.basis.P))
        return VoxelMaps(found, 0.0, edf, _about(cells, found))
    smoothing, said = _by_reml(cells, splined) if isinstance(smooth, str) else (float(smooth), ())
    found = tuple(voxel_newton(cell, splined, smoothing) for cell in cells)
    edf = np.array([splined.basis.P - smoothing * trace(one.A.inverse, splined.penalty) for one in found])
    return VoxelMaps(found, smoothing, edf, (*said, *_about(cells, found)))


def _by_reml(cells: tuple[VoxelCell, ...], splined: Splined) -> tuple[float, tuple[str, ...]]:
    """The lambda that REML chooses, and what there is to say of it."""
    latest: dict[str, VoxelFound] = {}

    def at(smoothing: float) -> Smoothed:
        for cell in cells:
            before = latest.get(cell.name)
            begin = None if before is None else (before.b, before.phi)
            latest[cell.name] = voxel_newton(cell, splined, smoothing, begin)
        roughness = sum(splined.penalty.roughness(one.b) for one in latest.values())
        traces = sum(trace(one.A.inverse, splined.penalty) for one in latest.values())
        return Smoothed(smoothing, roughness, traces, splined.penalty.rank * len(cells))

    V = splined.basis.V
    weights = [np.diagonal(splined.gram.weighted(np.full(V, cell.Y.sum() / V))) for cell in cells]
    chosen, _, bounded = search(at, first_guess(weights, splined.penalty))
    flat = "REML smooths the maps without bound: beyond straight lines in space the foci say nothing of where"
    return chosen.smoothing, () if bounded else (flat,)


def _about(cells: tuple[VoxelCell, ...], found: tuple[VoxelFound, ...]) -> tuple[str, ...]:
    flat = [cell.name for cell, one in zip(cells, found, strict=True) if one.phi == 0]
    if not flat:
        return ()
    return (f"alpha is 0 in {', '.join(flat)}: totals of voxels vary no more than Poisson's there",)
