"""Splines that no focus supports: their maximum likelihood lies at minus infinity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from formula_neuro.errors import DataError
from formula_neuro.family import Array

from .poisson import Found
from .problem import Problem

VANISHED = 1e-12  # of a map's mean intensity: what no data could tell from 0
UNSUPPORTED = "whose splines hold next to no focus: standard errors mean nothing there; smooth='reml' is safer"
EXTRAPOLATED = "far from any focus, where the smoothness of the map alone decides by how much"


def unsupported(problem: Problem) -> Mapping[str, int]:
    """How many splines hold no focus, by cell, or by map where cells share maps."""
    names = problem.names if problem.saturated else problem.request.maps
    counts = (problem.support == 0).sum(axis=1)
    return {name: int(n) for name, n in zip(names, counts, strict=True)}


def check_supported(problem: Problem) -> None:
    """Raise DataError, naming the maps, where an unpenalised fit has splines without foci."""
    lacking = {name: n for name, n in unsupported(problem).items() if n}
    if lacking:
        shown = ", ".join(f"{n:,} in {name}" for name, n in list(lacking.items())[:5])
        more = ", ..." if len(lacking) > 5 else ""
        raise DataError(
            f"splines without a focus ({shown}{more}, of {problem.splined.basis.P:,}) have no finite estimate: "
            f"smooth them (smooth='reml'), or take a spacing wider than {problem.splines.spacing!r}"
        )


def check_foci(problem: Problem) -> None:
    """Raise DataError, naming the cells, where a map has no focus at all."""
    if not problem.saturated:
        return
    empty = [name for name, foci in zip(problem.names, problem.pattern_foci, strict=True) if not foci]
    if empty:
        raise DataError(
            f"no focus of {', '.join(empty)} lies inside the mask, so that the intensity there is 0 and its logarithm "
            "has no estimate: join levels, or leave these analyses out (subset=)"
        )


def vanished(names: tuple[str, ...], found: tuple[Found, ...], smoothing: float = 0.0) -> tuple[str, ...]:
    """A message on the maps that practically are 0 in some voxels, where their splines run towards minus infinity."""
    counts = [int((one.mu < VANISHED * float(np.mean(one.mu))).sum()) for one in found]
    shown = ", ".join(f"{name}: {n:,}" for name, n in zip(names, counts, strict=True) if n)
    if not shown:
        return ()
    why = EXTRAPOLATED if smoothing else UNSUPPORTED
    return (f"intensities are as good as 0 in some voxels ({shown}), {why}",)


def vanished_somewhere(least: Array, smoothing: float = 0.0) -> tuple[str, ...]:
    """The same of maps of many patterns, from the least intensity over the mean of each (G,)."""
    if not (least < VANISHED).any():
        return ()
    return (f"intensities are as good as 0 in some voxels, {EXTRAPOLATED if smoothing else UNSUPPORTED}",)
