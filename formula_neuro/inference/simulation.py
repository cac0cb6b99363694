"""simulate(): new responses from a fitted model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import FitError
from ..family import Array
from ..result import Fit


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
