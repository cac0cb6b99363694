"""One model fitted to many responses: by the engine's batch where it has one, otherwise one after the other.

An engine may offer `batch(fit, near)`: a function from responses (n, B) to Refits, or None where the model has no
such path. It starts at the estimates of `near`, the fit from which the responses were drawn. The plain loop stays
the oracle: both must give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import FitError
from ...family import Array
from ...result import Fit
from ..ability import ability
from .parameters import of_random, others

NOT_CONVERGED = "the fit did not converge"
NO_LIKELIHOOD = "the likelihood is not finite"
WIDTHS = (100, 50, 20, 10, 5, 2)  # replicates that a batch takes together; they divide the checkpoints of a run
ELEMENTS = 4e6  # rows x replicates, so that the arrays of a batch stay in memory
COPIES = {True: 4, False: 15}  # of them that a fit holds, of linear models (3.4 measured) and generalized ones (14)


@dataclass(frozen=True, eq=False)
class Refits:
    """B fits of one model: log-likelihoods (B,), coefficients (B, p), sigma (B,), and `spread`, the standard deviations
    and correlations of the random effects (B, v) as parameters.of_random has them.

    `reasons` (B) are empty, or say why a fit is not to be used. `others` (B, k) are as in parameters.others; no batch
    has any.
    """

    loglik: Array
    beta: Array
    spread: Array
    sigma: Array
    reasons: tuple[str, ...]
    others: Array | None = None


@dataclass(frozen=True, eq=False)
class Refitter:
    """What fits one model to the columns of Y (n, B); `width` columns are best taken together."""

    width: int
    batched: bool
    refit: Callable[[Array], Refits]


def refitter(fit: Fit, near: Fit, *, fast: bool = True) -> Refitter:
    """The way to fit the model of `fit` again; `fast=False` is the plain loop whatever the engine offers."""
    batch = getattr(fit.engine, "batch", None) if fast else None
    function = None if batch is None else batch(fit, near)
    if function is None:
        ability(fit, "refit", "a bootstrap")
        return Refitter(10, False, lambda Y: one_by_one(fit, Y))

    def batched(Y: Array) -> Refits:
        try:
            found: Refits = function(Y)
        except (FitError, np.linalg.LinAlgError):  # of what no replicate of the batch was spared
            return one_by_one(fit, Y)
        return found

    return Refitter(_width(len(fit.request.y)), True, batched)


def _width(rows: int) -> int:
    return next((w for w in WIDTHS if w * rows <= ELEMENTS), 1)


def needed(fit: Fit, width: int) -> float:
    """Bytes that so many replicates of a fit take together; an estimate."""
    return 8.0 * COPIES[fit.request.model in ("lm", "lmm")] * len(fit.request.y) * width


def one_by_one(fit: Fit, Y: Array) -> Refits:
    """The plain loop over the columns of Y (n, B); whatever a replicate raises becomes its reason."""
    return collected(fit, [_one(fit, y) for y in Y.T])


def again(refits: Refits, fit: Fit, Y: Array, which: NDArray[np.intp]) -> Refits:
    """The refits with some of them, of which a batch is not certain, done one by one."""
    alone = one_by_one(fit, Y[:, which])
    reasons = list(refits.reasons)
    loglik, beta, spread, sigma = (a.copy() for a in (refits.loglik, refits.beta, refits.spread, refits.sigma))
    loglik[which], beta[which], spread[which], sigma[which] = alone.loglik, alone.beta, alone.spread, alone.sigma
    for i, reason in zip(which, alone.reasons, strict=True):
        reasons[i] = reason
    return Refits(loglik, beta, spread, sigma, tuple(reasons))


def _one(fit: Fit, y: Array) -> Fit | str:
    try:
        found: Fit = fit.engine.refit(fit.request.with_response(y))
    except Exception as error:  # one replicate never stops the others, whatever happened to it
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return found


def why_unused(found: Fit) -> str:
    """Why a fit is not to be used, or nothing. The likelihood of a separated one is its limit's, and is used."""
    likely = found.request.family.likelihood and found.request.model != "gee"
    if likely and not np.isfinite(found.loglik):
        return NO_LIKELIHOOD
    return "" if found.converged or found.infinite else NOT_CONVERGED


def collected(fit: Fit, found: list[Fit | str]) -> Refits:
    """Fits of one model, or the reasons why there is none, side by side."""
    B, p, v = len(found), len(fit.beta), len(of_random(fit))
    loglik, sigma = np.full(B, np.nan), np.full(B, np.nan)
    beta, spread = np.full((B, p), np.nan), np.full((B, v), np.nan)
    beside, reasons = np.full((B, len(others(fit))), np.nan), []
    for i, one in enumerate(found):
        if isinstance(one, str):
            reasons.append(one)
            continue
        loglik[i], beta[i], spread[i], sigma[i] = one.loglik, one.beta, of_random(one), one.sigma
        beside[i] = others(one)
        for name, sign in one.infinite.items():  # not where the iterations stopped
            beta[i, one.names.index(name)] = sign * np.inf if sign else np.nan
        reasons.append(why_unused(one))
    return Refits(loglik, beta, spread, sigma, tuple(reasons), beside)
