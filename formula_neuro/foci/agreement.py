"""The cross-check of a meta-regression: its totals by R's regression of counts, its maps by glm on a dense basis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import registry
from ..asking import as_request
from ..comparing.agreement import Agreement
from ..comparing.numbers import Compared
from ..comparing.tolerances import ERROR, RELATIVE, STOPPED, Tolerance
from ..design import model_matrix
from ..errors import RFailed, Unable
from ..estimator import Splines
from ..family import Array, as_family, as_foci_family
from ..request import Request
from .inference.moderators import SAME

if TYPE_CHECKING:
    from ..result import Fit
    from .fit import FociFit
    from .request import FociRequest

LARGEST = 3e6  # numbers of the dense basis that R is given: a brain in voxels of 4 mm, knots 40 mm apart
MAPS = {
    "log intensities": Tolerance(1e-4, "absolute", STOPPED),
    "log-likelihood of places": Tolerance(1e-4, "absolute", STOPPED, worse=1e-6),
}
TOTALS = {
    "coefficients": Tolerance(1e-3, ERROR, STOPPED),
    "standard errors": Tolerance(1e-3, RELATIVE, STOPPED),
    "dispersion": Tolerance(1e-3, RELATIVE, STOPPED),
}


def crosscheck_foci(fit: FociFit, reference: str | None = None) -> Agreement:
    """Refit what R can fit, and compare: the totals, and where the basis is small enough the maps.

    Raises Unable where R has no model for the totals: with numbers in s(...), and for negative_binomial.
    """
    _check(fit)
    request = totals_request(fit)
    known = registry.installed()
    backend = known.choose(request, reference, None if reference else "R")
    started = time.perf_counter()
    try:
        other = registry.run(backend, request)
    except RFailed as error:
        said = f"{backend.name} stopped with an error: {error}"
        return Agreement(
            fit.backend, backend.name, (), (fit.seconds, float("nan")), (said,), "it stopped with an error"
        )
    compared, notes = [*_totals(fit, other)], [WHAT]
    if (reason := _too_large(fit)) is None:
        try:
            compared += [*_maps(fit, reference)]
        except RFailed as error:
            reason = f"Where: R's glm() of the maps without a penalty stopped with an error: {error}"
    if reason is not None:
        notes.append(reason)
    version = getattr(other.engine, "version", "")
    seconds = (fit.seconds, time.perf_counter() - started)
    return Agreement(fit.backend, version or other.backend, tuple(compared), seconds, tuple(notes))


WHAT = "How many: R fits the totals of the analyses, on which levels and moderators depend alone in this model."


def _check(fit: FociFit) -> None:
    request = fit.request
    how = request.estimator
    assert isinstance(how, Splines)
    if fit.family.name == "negative_binomial":
        raise Unable("R has no model of the totals of voxels, family='negative_binomial'; poisson can be cross-checked")
    if len(request.maps) != len(request.cells) or how.basis != "renormalised":
        raise Unable(
            "R regresses totals, which levels and moderators depend on alone where s(...) is one term of factors and "
            "the splines are the renormalised ones; this model is another, and R fits no maps"
        )
    clustered = fit.family.name == "clustered_negative_binomial"
    if clustered and (len(request.cells) > 1 or (how.cluster and fit.n_studies < fit.nobs)):
        raise Unable(
            "R's glm.nb has one dispersion and a frailty for each analysis, this model one for each cell or study; "
            "poisson can be cross-checked"
        )


# ---- how many ------------------------------------------------------------------------------------
def totals_request(fit: FociFit) -> Request:
    """The regression of the totals as a request of a table."""
    request, cells = fit.request, fit.cells
    table = pd.DataFrame({"total": request.totals.astype(float)})
    names = [f"m{j}" for j in range(len(fit.names))]
    for name, column in zip(names, request.design.matrix.T, strict=True):
        table[name] = column
    levels = [f"m{len(names) + g}" for g in range(len(cells))]
    for g, name in enumerate(levels):
        table[name] = (request.group == g).astype(float)
    clustered = fit.family.name == "clustered_negative_binomial"
    design = model_matrix(f"total ~ 0 + {' + '.join([*names, *levels])}", table, offset=request.design.offset)
    plain = "poisson" if _without_spread(fit) else "quasipoisson"
    return as_request(design, as_family("nbinom2" if clustered else plain))


def _without_spread(fit: FociFit) -> bool:
    """Whether the totals are those fitted: their dispersion and what it scales are rounding, here and in R."""
    return bool(fit.phi < SAME)


def _totals(fit: FociFit, other: Fit) -> Iterator[Compared]:
    """Moderators, levels and the dispersion."""
    q, cells = len(fit.names), fit.cells
    ours = np.concatenate([fit.engine.gamma, [_level(fit, cell) for cell in cells]])
    theirs, errors = np.asarray(other.beta), np.sqrt(np.diag(other.covariance))
    rule = TOTALS["coefficients"]
    for name, a, b, se in zip((*fit.names, *cells), ours, theirs, errors, strict=True):
        yield Compared("coefficients", name, float(a), float(b), float(abs(a - b) / se), rule)
    clustered = fit.family.name == "clustered_negative_binomial"
    if clustered and other.family.shape is not None:
        alpha, theta = fit.alpha[cells[0]], other.family.shape[1]
        yield Compared("dispersion", "alpha", alpha, 1 / theta, abs(alpha * theta - 1), TOTALS["dispersion"])
    elif not clustered and not _without_spread(fit):
        phi = other.dispersion
        yield Compared("dispersion", "phi", fit.phi, phi, abs(fit.phi - phi) / max(phi, 1e-8), TOTALS["dispersion"])
    if q and not clustered:  # glm.nb() takes theta as known
        se = fit.tidy(vcov="fisher" if _without_spread(fit) else "quasi")["std_error"].to_numpy()
        for name, a, b in zip(fit.names, se, errors[:q], strict=True):
            yield Compared(
                "standard errors", name, float(a), float(b), float(abs(a - b) / b), TOTALS["standard errors"]
            )


def _level(fit: FociFit, cell: str) -> float:
    """The logarithm of the foci that an analysis of a cell is expected to have."""
    return float(np.log(fit.maps.at_voxels(("intensity", cell)).sum()))


# ---- where ---------------------------------------------------------------------------------------
@dataclass(frozen=True, eq=False)
class Dense:
    """One cell's foci by voxel, y (V,), on the dense basis X (V, P)."""

    cell: str
    y: Array
    X: Array


def _too_large(fit: FociFit) -> str | None:
    """Why R is not asked for the maps; None where it is."""
    V, P = len(fit.brain.voxels), np.asarray(fit.engine.b).shape[1]
    if V * P > LARGEST:
        return (
            f"Where: R was not asked, as its basis would be dense, {V:,} voxels by {P} splines; refit with a mask of "
            "larger voxels and wider knots, as Splines(40), for the maps to be compared as well."
        )
    return None


def _maps(fit: FociFit, reference: str | None) -> Iterator[Compared]:
    """Maps without a penalty, foci at the centres of voxels, here and by R's glm."""
    plain = _unpenalised(fit)
    for one in _dense(plain):
        found = _by_glm(one, reference)
        eta = plain.maps.at_voxels(("log_intensity", one.cell))
        ours = eta - np.log(np.exp(eta).sum())
        theirs = found - np.log(np.exp(found).sum())
        seen = ours > np.log(1e-3 / len(eta))  # where splines have no foci both go to -infinity, as far as they are let
        worst = int(np.argmax(np.where(seen, np.abs(ours - theirs), 0.0)))
        difference = float(abs(ours[worst] - theirs[worst]))
        x, y, z = plain.brain.world[worst]
        item = f"{one.cell} at ({x:.0f}, {y:.0f}, {z:.0f})"
        rule = MAPS["log intensities"]
        yield Compared("log intensities", item, float(ours[worst]), float(theirs[worst]), difference, rule)
        a, b = float(one.y @ ours), float(one.y @ theirs)
        rule = MAPS["log-likelihood of places"]
        yield Compared("log-likelihood of places", one.cell, a, b, a - b, rule)


def _unpenalised(fit: FociFit) -> FociFit:
    """The Poisson fit without a penalty whose foci lie at the centres of their voxels, as R's rows do."""
    request: FociRequest = fit.request
    how = request.estimator
    assert isinstance(how, Splines)
    plain = replace(how, smooth="none", snap="voxel", cluster=None)
    return fit.engine.refit(replace(request, estimator=plain, family=as_foci_family("poisson")))


def _dense(fit: FociFit) -> Iterator[Dense]:
    X = fit.engine.expand(np.eye(np.asarray(fit.engine.b).shape[1])).T
    for cell in fit.cells:
        yield Dense(cell, fit.maps.at_voxels(("foci", cell)), X)


def _by_glm(one: Dense, reference: str | None) -> Array:
    """The linear predictor (V,) of R's glm of a cell's counts on the basis."""
    names = [f"b{j}" for j in range(one.X.shape[1])]
    table = pd.DataFrame(one.X, columns=names).assign(y=one.y)
    request = as_request(model_matrix(f"y ~ 0 + {' + '.join(names)}", table), as_family("poisson"))
    backend = registry.installed().choose(request, reference, None if reference else "R")
    return np.asarray(registry.run(backend, request).eta)
