"""From a problem whose voxel totals are negative binomial to its fit."""

from __future__ import annotations

import time

import numpy as np

from formula_neuro.foci.convergence import Convergence
from formula_neuro.foci.fit import FociFit

from . import quasi
from .problem import Problem
from .scale import log_factorials
from .separation import unsupported
from .voxel_engine import VoxelEngine
from .voxel_maps import VoxelMaps, voxel_maps


def voxel_fit(asked: Problem, started: float) -> FociFit:
    """The fit of family negative_binomial; `started` is when it began (s, as time.perf_counter)."""
    request, names = asked.request, asked.names
    maps = voxel_maps(asked)
    engine = VoxelEngine(asked, maps)
    t = request.totals.astype(np.float64)
    columns = len(asked.patterns)
    phi = quasi.dispersion(t, engine.fitted, columns).phi if len(t) > columns else float("nan")
    alpha, alpha_se = {}, {}
    for name, one in zip(names, maps.found, strict=True):
        alpha[name], alpha_se[name] = one.alpha, one.alpha_se
    return FociFit(
        request,
        "cbmr",
        engine,
        loglik=_loglik(asked, maps),
        n_parameters=float(maps.edf.sum()) + sum(one.phi > 0 for one in maps.found),
        fitted=engine.fitted,
        phi=phi,
        alpha=alpha,
        log_alpha_se=alpha_se,
        convergence=tuple(
            Convergence(name, one.steps, one.decrement, one.gradient, one.converged)
            for name, one in zip(names, maps.found, strict=True)
        ),
        edf=dict(zip(names, maps.edf.tolist(), strict=True)),
        penalty=maps.smoothing,
        unsupported=unsupported(asked),
        messages=(*request.messages, *maps.messages),
        seconds=time.perf_counter() - started,
    )


def _loglik(asked: Problem, maps: VoxelMaps) -> float:
    """On the scale of counts by analysis and voxel.

    The likelihood of totals Y_v, with sum log Y_v! - sum log y_iv! + sum t_i log(w_i / S1) for how a voxel's foci fall
    on its analyses; log Y_v! and log S1 cancel with what that of the totals holds of them.
    """
    request = asked.request
    exposures = float(request.totals @ request.design.offset)
    return sum(one.loglik for one in maps.found) + exposures - log_factorials(request.located, asked.splined.basis.V)
