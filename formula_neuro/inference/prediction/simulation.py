"""simulate(): new responses from a fitted model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...errors import FitError, Unable
from ...family import Array
from ...result import Fit


def simulate(fit: Fit, n: int = 1, seed: int | np.random.Generator | None = None, random: bool = False) -> pd.DataFrame:
    """n new responses from the fitted model, (rows used, n), columns sim_1, sim_2, ...

    With new random effects each time; random=True takes those estimated (lme4's use.u = TRUE). Binomial responses are
    shares of the trials. The same seed gives the same numbers.
    """
    if not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"n is the number of simulations, 1 or more; got {n!r}")
    if fit.request.model == "gee":
        raise Unable("simulate() needs a distribution, and a GEE states means and correlations only")
    try:
        rng = np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(f"seed is a whole number of 0 or more, or a numpy Generator; got {seed!r}") from None
    fixed = fixed_part(fit)
    columns = {f"sim_{i + 1}": draw_response(fit, rng, fixed, not random) for i in range(n)}
    return pd.DataFrame(columns, index=fit.request.design.index)


def fixed_part(fit: Fit) -> Array:
    """X b and the offset, (n,): the linear predictor without random effects."""
    design = fit.request.design
    return np.asarray(design.matrix @ np.nan_to_num(fit.beta) + design.offset)


def draw_response(fit: Fit, rng: np.random.Generator, fixed: Array, new_effects: bool = True) -> Array:
    """One response (n,) drawn with new random effects, added to `fixed`, or with the fitted ones.

    Raises FitError where the model gives means that its family cannot have.
    """
    request = fit.request
    eta = fit.eta
    if new_effects:
        eta = fixed.copy()
        for term, effect in zip(request.design.random, fit.random, strict=True):
            drawn = draw_effects(effect.covariance, len(effect.levels), rng)
            eta += np.einsum("nk,nk->n", term.basis, drawn[term.codes])
    mu = request.family.link.inverse(eta)
    low, high = request.family.range
    if not ((mu >= low) & (mu <= high)).all():
        raise FitError(
            f"the fitted model simulates means outside the range of {request.family} ({mu.min():.3g} to "
            f"{mu.max():.3g}); a link that keeps them inside would not"
        )
    noise = getattr(fit.engine, "residual_noise", None)
    if noise is not None:
        return np.asarray(mu + fit.sigma * noise(rng))
    drawn = request.family.draw(mu, request.weights, fit.sigma**2, rng)
    return drawn if fit.inflation is None else np.where(rng.random(len(drawn)) < fit.zero_probability, 0.0, drawn)


def draw_effects(covariance: Array, levels: int, rng: np.random.Generator) -> Array:
    """Random effects (levels, K); a singular covariance is fine."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    effects: Array = rng.standard_normal((levels, len(covariance))) @ root.T
    return effects
