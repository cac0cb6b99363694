"""Requests fitted by R: the targets of the backends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from formula_neuro.errors import DataError
from formula_neuro.request import Request
from formula_neuro.result import Fit

from .abilities import Refitting, Testing
from .asked import arguments, going_on
from .engine import call
from .received import fit_from


def lm(request: Request) -> Fit:
    """R's lm()."""
    return _fit(request, "r-lm", "fit_lm", ("stats",))


def glm(request: Request) -> Fit:
    """R's glm()."""
    return _fit(request, "r-glm", "fit_glm", ("stats",))


def brglm2(request: Request) -> Fit:
    """brglmFit() of brglm2, to a tight tolerance."""
    types = {"mean_br": "AS_mean", "median_br": "AS_median", "jeffreys": "MPL_Jeffreys"}
    asked = {"type": types[request.estimator.word], "power": float(getattr(request.estimator, "power", 0.5))}
    return _fit(request, "brglm2", "fit_brglm2", ("stats", "brglm2"), asked)


def lme4(request: Request) -> Fit:
    """lmer() or glmer() of lme4."""
    return _fit(request, "lme4", "fit_glmer" if request.model == "glmm" else "fit_lmer", ("lme4",))


def lmertest(request: Request) -> Fit:
    """lmer() of lmerTest, whose fit can give Satterthwaite and Kenward-Roger degrees of freedom."""
    return _fit(request, "lmerTest", "fit_lmertest", ("lme4", "lmerTest"))


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
    make = Testing if backend == "lmerTest" else Refitting
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
