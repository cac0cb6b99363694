"""From a problem with gamma frailties whose likelihood does not split to its fit."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from formula_neuro.foci.convergence import Convergence
from formula_neuro.foci.fit import FociFit

from . import quasi
from .clustered_engine import ClusteredEngine
from .clustered_joint import Units, clustered_joint
from .frailty import Counts
from .joint import joint
from .problem import Problem
from .scale import log_factorials
from .separation import unsupported, vanished_somewhere
from .smoothed_joint import joint_maps
from .totals import frailty_units


def clustered_fit(asked: Problem, started: float) -> FociFit:
    """The fit; `started` is when it began (s, as time.perf_counter). Poisson's lambda smooths the maps."""
    request = asked.request
    maps = joint_maps(joint(asked))
    units = units_of(asked)
    clustered = clustered_joint(maps.model, units, maps.found, maps.smoothing)
    found = replace(clustered.found, least=maps.found.least)
    cells, t = tuple(request.cells), request.totals.astype(np.float64)
    columns = len(request.maps) + len(found.gamma)
    phi = quasi.dispersion(t, maps.found.fitted, columns).phi if len(t) > columns else float("nan")
    flat = [name for name, value in zip(cells, clustered.alpha, strict=True) if value == 0]
    poisson = (f"alpha is 0 in {', '.join(flat)}: totals vary no more than Poisson's there",) if flat else ()
    return FociFit(
        request,
        "cbmr",
        ClusteredEngine(maps.model, found, clustered, units, maps.smoothing),
        loglik=found.loglik - log_factorials(request.located, asked.splined.basis.V),
        n_parameters=float(maps.edf.sum()) + len(found.gamma) + int((clustered.alpha > 0).sum()),
        fitted=found.fitted,
        phi=phi,
        alpha=dict(zip(cells, clustered.alpha.tolist(), strict=True)),
        log_alpha_se=dict(zip(cells, clustered.alpha_se.tolist(), strict=True)),
        convergence=(Convergence("all", found.steps, found.decrement, found.gradient, found.converged),),
        edf=dict(zip(request.maps, maps.edf.tolist(), strict=True)),
        penalty=maps.smoothing,
        unsupported=unsupported(asked),
        messages=(*request.messages, *maps.messages, *vanished_somewhere(found.least, maps.smoothing), *poisson),
        seconds=time.perf_counter() - started,
    )


def units_of(asked: Problem) -> Units:
    """What shares a frailty: analyses, or studies within cells, as the estimator says."""
    request = asked.request
    unit = frailty_units(request.group, request.cluster, asked.splines.cluster == "study")
    group = np.zeros(int(unit.max()) + 1, dtype=np.intp)
    group[unit] = request.group
    counts = np.bincount(unit, weights=request.totals).astype(np.float64)
    return Units(unit, group, len(request.cells), Counts(counts), np.zeros(len(request.cells), dtype=bool))
