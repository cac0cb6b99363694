"""Standard errors and limits of predictions of mixed models, with or without random effects.

Of x'b + z'u they rest on the joint covariance of b and u (joint_covariance), of a level that the fit has not seen on
its variance z'Sz; a new response has besides the variance of every random term that is left out, and sigma^2 / w.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...design import Design, RandomTerm
from ...errors import Unable
from ...family import Array
from ...result import Fit
from ..precision import precision
from .conditioning import Conditioned
from .joint_covariance import joint
from .limits import Wish

GIVEN = (
    "standard errors and limits are of the fixed and the random effects together, the variances taken as known, which "
    "makes those of means in few or small groups too narrow; limits use the normal distribution"
)
UNSEEN = "rows of levels that the fit has not seen hold the variance of a new level"


def uncertainty(fit: Fit, design: Design, chosen: Conditioned, wish: Wish) -> tuple[Array, Array, tuple[str, ...]]:
    """Standard errors (n,) of x'b + z'u, how far the limits lie from it (n,), and notes."""
    own = precision(fit, wish.df)
    kept = ~np.isnan(fit.beta)
    X = design.matrix[:, kept]
    terms = [_only(term, mask) for term, mask in zip(design.random, chosen.columns, strict=True)]
    known = np.isfinite(X).all(axis=1) & np.all([np.isfinite(term.basis).all(axis=1) for term in terms], axis=0)
    se = np.full(len(X), np.nan)
    whole = joint(fit, own.covariance)
    variance = whole.variance(X[known], [_rows(term, known) for term in terms])
    new, unseen = _of_new_levels(fit, terms, chosen)
    se[known] = np.sqrt(variance + new[known])
    notes = (GIVEN, UNSEEN) if unseen else (GIVEN,)
    if wish.interval is None:
        return se, np.full(len(se), np.nan), notes
    with np.errstate(divide="ignore"):
        spread = np.sqrt(se**2 + _of_response(fit, design, chosen, wish)) if wish.interval == "prediction" else se
    return se, np.asarray(stats.t.ppf((1 + wish.conf_level) / 2, _freedom(fit, wish, len(se))) * spread), notes


def left_out(fit: Fit, design: Design, chosen: Conditioned) -> Array:
    """z'Sz (n,) summed over the terms of which nothing is taken in: they vary anew from response to response."""
    total = np.zeros(len(design.matrix))
    for term, effect, own in zip(design.random, fit.random, chosen.columns, strict=True):
        if not own.any():
            total += np.einsum("nk,kl,nl->n", term.basis, effect.covariance, term.basis)
    return total


def _of_response(fit: Fit, design: Design, chosen: Conditioned, wish: Wish) -> Array:
    return np.asarray(left_out(fit, design, chosen) + fit.sigma**2 / wish.weights)


def _only(term: RandomTerm, own: NDArray[np.bool_]) -> RandomTerm:
    """The term with the columns 0 that are left out, and without levels where all are."""
    codes = term.codes if own.any() else np.full_like(term.codes, -1)
    return replace(term, basis=term.basis * own, codes=codes)


def _rows(term: RandomTerm, kept: NDArray[np.bool_]) -> RandomTerm:
    return replace(term, basis=term.basis[kept], codes=term.codes[kept])


def _of_new_levels(fit: Fit, terms: list[RandomTerm], chosen: Conditioned) -> tuple[Array, bool]:
    total, unseen = np.zeros(len(terms[0].codes)), False
    for term, effect, own in zip(terms, fit.random, chosen.columns, strict=True):
        strange = (term.codes < 0) & bool(own.any())
        unseen |= bool(strange.any())
        Z = term.basis[strange]
        total[strange] += np.einsum("nk,kl,nl->n", Z, effect.covariance, Z)
    return total, unseen


def _freedom(fit: Fit, wish: Wish, n: int) -> Array:
    """Infinite unless df="residual"; those of contrasts of b say nothing of predictions with u."""
    if wish.df in (None, "none"):
        return np.full(n, np.inf)
    if wish.df == "residual":
        return np.full(n, fit.df_resid)
    raise Unable(
        f"df={wish.df!r} is of the coefficients; limits that include random effects take 'none' or 'residual' "
        "(random=False is of the coefficients alone)"
    )
