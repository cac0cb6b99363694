"""The backend "cbmr": from a request of foci to its fit."""

from __future__ import annotations

import time

import numpy as np

from formula_neuro.family import Array
from formula_neuro.foci.convergence import Convergence
from formula_neuro.foci.fit import FociFit
from formula_neuro.foci.request import FociRequest

from . import quasi
from .clustered import clustered_level
from .clustered_fitting import clustered_fit
from .joint import joint
from .joint_engine import JointEngine
from .poisson import Splined
from .problem import Problem, problem
from .scale import log_factorials
from .separation import unsupported, vanished, vanished_somewhere
from .shapes import Shapes, shapes
from .smoothed_joint import joint_maps
from .split import SplitEngine
from .totals import Level, Totals, frailty_units, poisson_level
from .voxel_fitting import voxel_fit


def fit(request: FociRequest) -> FociFit:
    """The maximum likelihood fit of the request's family, penalised as its estimator says."""
    return _fit(request, None)


def refit(before: Problem, request: FociRequest) -> FociFit:
    """As fit(), the splines of an earlier problem taken over where brain and estimator are the same."""
    same = request.brain is before.request.brain and request.estimator == before.request.estimator
    return _fit(request, before.splined if same else None)


def _fit(request: FociRequest, splined: Splined | None) -> FociFit:
    started = time.perf_counter()
    asked = problem(request, splined)
    if request.family.name == "negative_binomial":
        return voxel_fit(asked, started)
    if asked.splits:
        return _split(asked, started)
    clustered = request.family.name == "clustered_negative_binomial"
    return clustered_fit(asked, started) if clustered else _joint(asked, started)


def _split(asked: Problem, started: float) -> FociFit:
    request = asked.request
    found = shapes(asked, np.bincount(asked.pattern).astype(np.float64))
    totals = totals_of(asked)
    poisson = poisson_level(totals)
    clustered = request.family.name == "clustered_negative_binomial"
    level = clustered_level(totals) if clustered else poisson
    engine = SplitEngine(asked, found, totals, level)
    phi, about = _dispersion(totals.t, poisson.means, len(totals.names))
    names = asked.names
    searches = _searches(names, found)
    return FociFit(
        request,
        "cbmr",
        engine,
        loglik=_loglik(asked, found, level),
        n_parameters=float(found.edf.sum()) + len(level.gamma) + level.dispersions,
        fitted=level.means,
        phi=phi,
        alpha=dict(zip(names, level.alpha.tolist(), strict=True)) if clustered else {},
        log_alpha_se=dict(zip(names, level.alpha_se.tolist(), strict=True)) if clustered else {},
        convergence=(*searches, _search_of_totals(level)),
        edf=dict(zip(names, found.edf.tolist(), strict=True)),
        penalty=found.smoothing,
        unsupported=unsupported(asked),
        messages=(
            *request.messages,
            *found.messages,
            *unfinished(searches),
            *vanished(names, found.found, found.smoothing),
            *level.messages,
            *(() if clustered else about),
        ),
        seconds=time.perf_counter() - started,
    )


def _joint(asked: Problem, started: float) -> FociFit:
    request = asked.request
    maps = joint_maps(joint(asked))
    found = maps.found
    columns = len(asked.request.maps) + len(found.gamma)
    phi, about = _dispersion(request.totals.astype(np.float64), found.fitted, columns)
    loglik = found.loglik - log_factorials(request.located, asked.splined.basis.V)
    search = Convergence("all", found.steps, found.decrement, found.gradient, found.converged)
    return FociFit(
        request,
        "cbmr",
        JointEngine(maps.model, found),
        loglik=loglik if request.family.likelihood else float("nan"),
        n_parameters=float(maps.edf.sum()) + len(found.gamma),
        fitted=found.fitted,
        phi=phi,
        convergence=(search,),
        edf=dict(zip(request.maps, maps.edf.tolist(), strict=True)),
        penalty=maps.smoothing,
        unsupported=unsupported(asked),
        messages=(
            *request.messages,
            *maps.messages,
            *unfinished((search,)),
            *vanished_somewhere(found.least, maps.smoothing),
            *about,
        ),
        seconds=time.perf_counter() - started,
    )


def totals_of(asked: Problem) -> Totals:
    """The totals of a problem, what shares a frailty being what the estimator says."""
    request = asked.request
    unit = frailty_units(asked.pattern, request.cluster, asked.splines.cluster == "study")
    Z, offset = request.design.matrix, request.design.offset
    names = (*asked.names, *request.design.names)
    return Totals(request.totals.astype(np.float64), asked.pattern, Z, offset, request.cluster, unit, names)


def _dispersion(t: Array, means: Array, columns: int) -> tuple[float, tuple[str, ...]]:
    if len(t) <= columns:
        return float("nan"), ()
    found = quasi.dispersion(t, means, columns)
    return found.phi, quasi.about(found)


def _loglik(asked: Problem, found: Shapes, level: Level) -> float:
    """On the scale of counts by analysis and voxel; NaN where the family is no distribution."""
    if not asked.request.family.likelihood:
        return float("nan")
    places = sum(
        float(r @ one.b) - foci * _log_sum(one.eta)
        for r, one, foci in zip(asked.pattern_rows, found.found, asked.pattern_foci, strict=True)
    )
    return float(places) + level.loglik - log_factorials(asked.request.located, asked.splined.basis.V)


def _log_sum(eta: Array) -> float:
    top = float(eta.max())
    return top + float(np.log(np.exp(eta - top).sum()))


def _searches(names: tuple[str, ...], found: Shapes) -> tuple[Convergence, ...]:
    return tuple(
        Convergence(name, one.steps, one.decrement, one.gradient, one.converged)
        for name, one in zip(names, found.found, strict=True)
    )


def unfinished(searches: tuple[Convergence, ...]) -> tuple[str, ...]:
    """A message for every search that did not end at an optimum."""
    return tuple(
        f"{one.part}: Newton's method did not converge in {one.steps} steps (decrement {one.decrement:.2g}): "
        "log intensities run to infinity somewhere; take a wider spacing=, or a larger smooth="
        for one in searches
        if not one.converged and one.part != "totals"
    )


def _search_of_totals(level: Level) -> Convergence:
    return Convergence("totals", level.steps, level.decrement, float("nan"), level.converged)
