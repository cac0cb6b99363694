"""A GLM without each of its rows, by fitting it again: what the one-step measures of influence approximate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import DataError, FitError
from ...family import Array
from ...result import Fit
from ..ability import ability
from .working import Working


def deleted(fit: Fit, base: Working) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The measures that change when a GLM is refitted without each row, on all n rows, and what went wrong.

    With V the fit's covariance, b - b_(i) = d: Cook's distance d'V^-1 d / k, dfbetas d over the standard errors
    without the row, dffits (x_i'd) over the standard error of x_i'b without it, covratio det V_(i) / det V.
    """
    refit = ability(fit, "refit", "influence(exact=True)")
    request, names, kept = fit.request, fit.names, base.kept
    n, k = len(request.y), int(kept.sum())
    X, V = request.design.matrix[:, kept], fit.covariance[np.ix_(kept, kept)]
    sign = base.on_rows(base.sign)  # dffits are in the direction of the mean
    one = {name: np.full(n, np.nan) for name in ("sigma", "cooks_distance", "dffits", "covratio")}
    d, spread = np.full((n, len(kept)), np.nan), np.full((n, len(kept)), np.nan)
    failed: list[int] = []
    for i in np.flatnonzero(base.used):
        weights = request.weights.copy()
        weights[i] = 0.0
        if not weights.any():
            failed.append(int(i))
            continue
        try:
            without = refit(replace(request, weights=weights))
        except (DataError, FitError):  # a response that does not vary any more
            failed.append(int(i))
            continue
        if not without.converged:
            failed.append(int(i))
        d[i], spread[i] = fit.beta - without.beta, without.se.to_numpy()
        one["sigma"][i] = without.sigma
        step, Vi = d[i, kept], without.covariance[np.ix_(kept, kept)]
        one["cooks_distance"][i] = step @ np.linalg.solve(V, step) / k
        one["dffits"][i] = sign[i] * (X[i] @ step) / np.sqrt(X[i] @ Vi @ X[i])
        one["covratio"][i] = np.exp(np.linalg.slogdet(Vi)[1] - np.linalg.slogdet(V)[1])
    dfbeta = {f"dfbeta_{name}": d[:, j] for j, name in enumerate(names)}
    dfbetas = {f"dfbetas_{name}": d[:, j] / spread[:, j] for j, name in enumerate(names)}
    return {**one, **dfbeta, **dfbetas}, _about([str(label) for label in request.design.index[failed]])


def _about(rows: list[str]) -> tuple[str, ...]:
    if not rows:
        return ()
    shown = ", ".join(rows[:5]) + (", ..." if len(rows) > 5 else "")
    return (
        f"the fit did not converge without {len(rows)} row{'s' if len(rows) > 1 else ''} ({shown}): what is left may "
        "separate, and the row's measures are where the fit stopped, or NaN",
    )
