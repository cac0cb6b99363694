"""The joint search at the smoothing parameter that the estimator says, or REML chooses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from formula_neuro.family import Array

from .joint import Joint, JointFound, newton
from .separation import check_supported
from .shapes import FLAT, LOOSE
from .smoothing import Smoothed, first_guess, search


@dataclass(frozen=True, eq=False)
class JointMaps:
    """The optimum, its lambda (0: none), the maps' effective coefficients (C,), and what there is to say."""

    model: Joint
    found: JointFound
    smoothing: float
    edf: Array
    messages: tuple[str, ...] = ()


def joint_maps(model: Joint) -> JointMaps:
    """Maximum (penalised) likelihood of all maps and global coefficients."""
    problem, smooth = model.problem, model.problem.splines.smooth
    if not problem.penalised:
        check_supported(problem)
        return JointMaps(model, newton(model, 0.0), 0.0, np.full(model.M.shape[1], float(problem.splined.basis.P)))
    if isinstance(smooth, str):
        return _by_reml(model)
    found = newton(model, float(smooth))
    return JointMaps(model, found, float(smooth), _edf(model, found, float(smooth)))


def _by_reml(model: Joint) -> JointMaps:
    splined = model.problem.splined
    C = model.M.shape[1]
    latest: JointFound | None = None
    steps = 0

    def at(smoothing: float) -> Smoothed:
        nonlocal latest, steps
        begin = None if latest is None else (latest.beta, latest.gamma)
        latest = newton(model, smoothing, begin, LOOSE)
        steps += latest.steps
        traces = float(np.trace(latest.information.traces(splined.S, C)))
        roughness = sum(splined.penalty.roughness(b) for b in latest.beta)
        return Smoothed(smoothing, roughness, traces, splined.penalty.rank * C)

    even = np.full(splined.basis.V, model.problem.pattern_foci.sum() / splined.basis.V / C)
    weights = np.diagonal(splined.gram.weighted(even))
    chosen, _, bounded = search(at, first_guess([weights], splined.penalty))
    assert latest is not None
    found = newton(model, chosen.smoothing, (latest.beta, latest.gamma))
    found = replace(found, steps=found.steps + steps)
    edf = _edf(model, found, chosen.smoothing)
    return JointMaps(model, found, chosen.smoothing, edf, () if bounded else (FLAT,))


def _edf(model: Joint, found: JointFound, smoothing: float) -> Array:
    """The trace of A^-1 H over the coefficients of every map of the request, (C,)."""
    splined, W = model.problem.splined, model.to_maps
    lost = smoothing * found.information.traces(splined.S, len(W))  # of internal maps c and d
    return np.asarray(splined.basis.P - np.einsum("cd,de,ec->c", W, lost, np.linalg.inv(W)))
