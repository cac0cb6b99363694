"""Requests fitted by R: the targets of the backends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from formula_neuro.errors import DataError, RFailed
from formula_neuro.family import Array, NBinom2
from formula_neuro.request import Request
from formula_neuro.result import Fit

from .abilities import Containing, GoingOn, Iterating, Refitting, Testing
from .asked import arguments, first_coefficients, going_on
from .engine import call
from .nested import nested_groups
from .received import fit_from
from .residual_structure import structures

ENGINES = {"r-glm": Iterating, "lme4": GoingOn, "lmerTest": Testing, "nlme": Containing}


def lm(request: Request) -> Fit:
    """R's lm()."""
    return _fit(request, "r-lm", "fit_lm", ("stats",))


def glm(request: Request, *, rounds: int = 0, start: Array | None = None) -> Fit:
    """R's glm(), or glm.nb() of MASS where theta is to be estimated, with R's own settings.

    R stops when the deviance changes by less than 1e-8 of itself; `rounds` is how often it then starts again from
    where it ended. `start` (p,) are coefficients to begin from; where R finds none by itself it is given some, and a
    message says so.
    """
    asked = {"rounds": float(rounds)} if rounds else {}
    if start is not None:
        return _glm(request, {**asked, "start_beta": np.nan_to_num(start)})
    return _helped(request, "glm()", lambda start: _glm(request, {**asked, **start}))


def _helped(request: Request, who: str, fit_from: Callable[[Mapping[str, Any]], Fit]) -> Fit:
    """The fit from R's own starting values, or from ours where it finds none."""
    try:
        return fit_from({})
    except RFailed as error:
        found = first_coefficients(request) if re.search("starting values|valid set", str(error)) else None
        if found is None:
            raise
    fit = fit_from({"start_beta": found})
    return replace(fit, messages=(*fit.messages, f"{who} found no starting values by itself and was given some"))


def _glm(request: Request, options: Mapping[str, Any]) -> Fit:
    family = request.family
    if not isinstance(family, NBinom2):
        return _fit(request, "r-glm", "fit_glm", ("stats",), options)
    return _fit(request, "r-glm", "fit_glm" if family.fixed else "fit_glm_nb", ("stats", "MASS"), options)


def brglm2(request: Request) -> Fit:
    """brglmFit() of brglm2, to a tight tolerance."""
    types = {"mean_br": "AS_mean", "median_br": "AS_median", "jeffreys": "MPL_Jeffreys"}
    asked = {"type": types[request.estimator.word], "power": float(getattr(request.estimator, "power", 0.5))}
    packages = ("stats", "brglm2")
    return _helped(
        request, "brglmFit()", lambda start: _fit(request, "brglm2", "fit_brglm2", packages, {**asked, **start})
    )


def lme4(request: Request) -> Fit:
    """lmer() or glmer() of lme4."""
    return _fit(request, "lme4", "fit_glmer" if request.model == "glmm" else "fit_lmer", ("lme4",))


def lmertest(request: Request) -> Fit:
    """lmer() of lmerTest, whose fit can give Satterthwaite and Kenward-Roger degrees of freedom."""
    return _fit(request, "lmerTest", "fit_lmertest", ("lme4", "lmerTest"))


def nlme(request: Request) -> Fit:
    """lme() of nlme."""
    return _fit(request, "nlme", "fit_nlme", ("nlme",), {"groups": nested_groups(request), **structures(request)})


def glmmtmb(request: Request) -> Fit:
    """glmmTMB(); a GLMM's deviance is the conditional one, and a family's theta is the one found."""
    fit = _fit(request, "glmmTMB", "fit_glmmtmb", ("glmmTMB",))
    if request.model == "lmm":
        why = "glmmTMB's hold the uncertainty of the variances too"
        return replace(fit, engine=replace(fit.engine, not_compared={"standard errors": why}))
    if request.inflation is not None:
        return replace(fit, deviance=-2 * fit.loglik)
    mu = fit.request.family.link.inverse(fit.eta)
    return replace(fit, deviance=float(fit.request.family.deviance(request.y, mu, request.weights).sum()))


def closely(backend: str, fit: Fit, order: tuple[int, ...]) -> Fit:
    """A mixed model from the estimates of a fit on; `order` is the place in R of each random term."""
    function = "closely_glmer" if fit.request.model == "glmm" else "fit_lmer" if backend == "lme4" else "fit_lmertest"
    packages = ("lme4",) if backend == "lme4" else ("lme4", "lmerTest")
    return _fit(fit.request, backend, function, packages, going_on(fit, order))


def _fit(
    request: Request, backend: str, function: str, packages: tuple[str, ...], start: Mapping[str, Any] | None = None
) -> Fit:
    """Load, then fit: `seconds` is the fit with its hand-over, without R's start."""
    _check_weights(request)
    version = call("load_packages", {"packages": packages}).value["version"][0]
    began = time.perf_counter()
    start = dict(start or {})
    answer = call(function, {**arguments(request), **start})
    seconds = time.perf_counter() - began
    make = ENGINES.get(backend, Refitting)
    return fit_from(request, backend, answer, seconds, make(backend, _ran(version, answer.engine), start=start))


def _ran(version: str, engine: str) -> str:
    """Versions with the engine that ran: "lme4 1.1-31 (R 4.2.2 by rpy2)"."""
    by = f" by {'rpy2' if engine == 'rpy2' else 'Rscript'}"
    return f"{version[:-1]}{by})" if version.endswith(")") else version + by


def _check_weights(request: Request) -> None:
    """lmer's criterion holds the sum of log weights: with a weight of 0 it is infinite and nothing is fitted."""
    empty = int((request.weights == 0).sum())
    if request.model == "lmm" and empty:
        raise DataError(
            f"{empty} row{'s have' if empty > 1 else ' has'} a weight of 0, which lmer cannot fit (its criterion "
            "becomes infinite); the native backend can, and subset= leaves the rows out for both"
        )
