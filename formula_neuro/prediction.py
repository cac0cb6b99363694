"""predict, simulate, residuals and augment: the rows of a fit, seen through the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .design import Design
from .errors import FitError, NewLevels, Unable
from .family import Array
from .result import Fit

RESIDUALS = ("response", "pearson", "deviance", "working")


def predict(
    fit: Fit, newdata: Any = None, *, type: str = "response", random: bool = True, new_levels: str = "error"
) -> pd.Series:
    """Predictions for the rows used, or for every row of new data (NaN where a covariate is missing).

    type: "response" (means) or "link" (linear predictor, offset included).
    random: False leaves the random effects out. new_levels: "error", or "zero" to give a level that the fit
    has not seen, or a missing one, a random effect of zero.
    Raises NewLevels, DataError.
    """
    if type not in ("response", "link"):
        raise ValueError(f"type={type!r} is not known; there are 'response' and 'link'")
    if new_levels not in ("error", "zero"):
        raise ValueError(f"new_levels={new_levels!r} is not known; there are 'error' and 'zero'")
    if newdata is None and random:
        design, eta = fit.request.design, fit.eta
    else:
        design = fit.request.design if newdata is None else fit.request.design.apply(newdata, random)
        eta = design.matrix @ np.nan_to_num(fit.beta) + design.offset
        if random:
            eta = eta + _random_part(fit, design, new_levels)
    values = fit.request.family.link.inverse(eta) if type == "response" else eta
    return pd.Series(values, index=design.index, name="fitted" if type == "response" else "link")


def _random_part(fit: Fit, design: Design, new_levels: str) -> Array:
    total = np.zeros(len(design.rows))
    for term, effect in zip(design.random, fit.random, strict=True):
        strange = term.codes < 0
        if strange.any() and new_levels == "error":
            raise NewLevels(
                f"{term.group}: {int(strange.sum())} of {len(strange)} rows have a level that did not occur when the "
                "model was fitted, or none; predict(..., new_levels='zero') gives them a random effect of zero, "
                "random=False leaves all random effects out"
            )
        modes = np.vstack([effect.modes, np.zeros(effect.modes.shape[1])])  # code -1: the last row, zero
        total += np.einsum("nk,nk->n", term.basis, modes[term.codes])
    return total


def simulate(fit: Fit, n: int = 1, seed: int | np.random.Generator | None = None) -> pd.DataFrame:
    """n new responses from the fitted model, with new random effects, (rows used, n), columns sim_1, sim_2, ...

    Binomial responses are shares of the trials. The same seed gives the same numbers.
    """
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n is the number of simulations, 1 or more; got {n!r}")
    try:
        rng = np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(f"seed is a whole number of 0 or more, or a numpy Generator; got {seed!r}") from None
    request, design = fit.request, fit.request.design
    fixed = design.matrix @ np.nan_to_num(fit.beta) + design.offset
    columns = {}
    for i in range(n):
        eta = fixed.copy()
        for term, effect in zip(design.random, fit.random, strict=True):
            eta += np.einsum("nk,nk->n", term.basis, _draw(effect.covariance, len(effect.levels), rng)[term.codes])
        mu = request.family.link.inverse(eta)
        low, high = request.family.range
        if not ((mu >= low) & (mu <= high)).all():
            raise FitError(
                f"the fitted model simulates means outside the range of {request.family} ({mu.min():.3g} to "
                f"{mu.max():.3g}); a link that keeps them inside would not"
            )
        columns[f"sim_{i + 1}"] = request.family.draw(mu, request.weights, fit.sigma**2, rng)
    return pd.DataFrame(columns, index=design.index)


def _draw(covariance: Array, levels: int, rng: np.random.Generator) -> Array:
    """Random effects (levels, K); a singular covariance is fine."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    effects: Array = rng.standard_normal((levels, len(covariance))) @ root.T
    return effects


def residuals(fit: Fit, type: str | None = None) -> pd.Series:
    """Residuals of the rows used: "response" (default of linear models), "pearson", "deviance" (of others), "working".

    Pearson residuals are (y - mu) sqrt(w / V(mu)), not divided by sigma, as R's.
    """
    family, y, w = fit.request.family, fit.request.y, fit.request.weights
    type = type or ("response" if fit.request.model in ("lm", "lmm") else "deviance")
    mu = family.link.inverse(fit.eta)
    if type == "response":
        values = y - mu
    elif type == "pearson":
        values = (y - mu) * np.sqrt(w / family.variance(mu))
    elif type == "deviance":
        values = np.sign(y - mu) * np.sqrt(np.maximum(family.deviance(y, mu, w), 0.0))
    elif type == "working":
        values = (y - mu) / family.link.derivative(fit.eta)
    else:
        raise ValueError(f"type={type!r} is not known; there are {', '.join(RESIDUALS)}")
    return pd.Series(values, index=fit.request.design.index, name="residual")


def augment(fit: Fit) -> pd.DataFrame:
    """The columns that the formula names, on the rows used, with `fitted` (means) and `residual` beside them."""
    table = fit.request.design.data.set_axis(fit.request.design.index, axis=0)
    taken = [name for name in ("fitted", "residual") if name in table.columns]
    if taken:
        raise Unable(f"augment: the data already has a column {taken[0]!r}; rename it before the fit")
    return table.assign(fitted=fit.fitted, residual=residuals(fit))
