"""Where foci are: the maps of all patterns by themselves, at the smoothing parameter that all share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from formula_neuro.family import Array

from .poisson import TOLERANCE, Cell, Found, Splined, newton
from .problem import Problem
from .separation import check_foci, check_supported
from .smoothing import Smoothed, first_guess, search, trace

LOOSE = 1e-6  # of the decrement while lambda is being chosen
FLAT = "REML smooths the maps without bound: beyond straight lines in space the foci say nothing of where"


@dataclass(frozen=True, eq=False)
class Shapes:
    """The maps found, one a pattern, their lambda (0: none) and effective coefficients, and what there is to say."""

    found: tuple[Found, ...]
    smoothing: float
    edf: Array
    messages: tuple[str, ...]


def shapes(problem: Problem, exposures: Array) -> Shapes:
    """Maximum (penalised) likelihood of every pattern's map with these exposures (G,); each is a model by itself."""
    check_foci(problem)
    cells = [
        Cell(name, r, float(foci), float(T))
        for name, r, foci, T in zip(
            problem.names, problem.pattern_rows, problem.pattern_foci, exposures, strict=True
        )
    ]  # fmt: skip
    splined, smooth = problem.splined, problem.splines.smooth
    if not problem.penalised:
        check_supported(problem)
        found = tuple(newton(cell, splined, 0.0) for cell in cells)
        return Shapes(found, 0.0, np.full(len(cells), float(splined.basis.P)), ())
    if isinstance(smooth, str):
        return _by_reml(cells, splined)
    found = tuple(newton(cell, splined, float(smooth)) for cell in cells)
    return Shapes(found, float(smooth), _edf(found, splined, float(smooth)), ())


def _by_reml(cells: list[Cell], splined: Splined) -> Shapes:
    latest: dict[str, Found] = {}
    steps = dict.fromkeys((cell.name for cell in cells), 0)

    def at(smoothing: float) -> Smoothed:
        roughness = traces = 0.0
        for cell in cells:
            begin = latest[cell.name].b if cell.name in latest else None
            found = newton(cell, splined, smoothing, begin, LOOSE)
            latest[cell.name] = found
            steps[cell.name] += found.steps
            roughness += splined.penalty.roughness(found.b)
            traces += trace(found.A.inverse, splined.penalty)
        return Smoothed(smoothing, roughness, traces, splined.penalty.rank * len(cells))

    weights = [np.diagonal(splined.gram.weighted(np.full(splined.basis.V, c.foci / splined.basis.V))) for c in cells]
    chosen, _, bounded = search(at, first_guess(weights, splined.penalty))
    found = tuple(newton(cell, splined, chosen.smoothing, latest[cell.name].b, TOLERANCE) for cell in cells)
    found = tuple(replace(f, steps=f.steps + steps[cell.name]) for f, cell in zip(found, cells, strict=True))
    return Shapes(
        found, chosen.smoothing, _edf(found, splined, chosen.smoothing), () if bounded else (FLAT,)
    )  # fmt: skip


def _edf(found: tuple[Found, ...], splined: Splined, smoothing: float) -> Array:
    """tr(A^-1 H) = P - lambda tr(A^-1 S) of every map, (G,)."""
    return np.array([splined.basis.P - smoothing * trace(one.A.inverse, splined.penalty) for one in found])
