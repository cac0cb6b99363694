"""Standard deviations of random effects by the moments of the scores: where the search for theta begins.

With theta = 0 the score of a level's effect, s = sum_i z_i l'_i, has variance I + sd^2 I^2 to first order, its
information I = sum_i z_i^2 W_i (the score test's; DerSimonian & Laird 1986 for linear models).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from formula_neuro.family import Array

from ..terms import Term
from .modes import Model

LEAST, MOST = 0.2, 2.0  # of the usual size: what a search may begin with
SPREADING = ("nbinom1", "nbinom2", "betabinomial")  # families whose shape begins with all that varies too much


def moments(model: Model, terms: Sequence[Term], theta: Array, b: Array, tau: Sequence[float]) -> tuple[Array, Array]:
    """theta with the moments' standard deviations in its diagonals, 0 beside them, and coefficients that fit them.

    theta: effects of the usual size, which terms with a structure keep. b: those of the fit without random effects,
    whose means are those over the random effects.
    """
    if model.rows.family.name in SPREADING or model.rows.n_inflation:
        return theta, b
    layout, out = model.layout, theta.copy()
    beside, log = model.parts(np.concatenate([theta, b, tau]))[2], model.rows.family.link.name == "log"
    near = model.rows.near(model.X @ b + model.offset, beside)
    variance = np.zeros(len(near.score))  # of the rows' linear predictors
    for term, slot in zip(terms, layout.slots, strict=True):
        if term.structure is not None:
            continue
        own = range(slot.place, slot.place + term.K)
        found = np.array([_variance(layout.basis[:, j], layout.columns[:, j], near.score, -near.bend) for j in own])
        size = np.diag(term.template(theta))
        # of a logarithm the variance of the mean itself is what moments tell
        sd = np.sqrt(np.log1p(found) if log else found)
        sd = np.clip(np.where(np.isfinite(sd), sd, size), LEAST * size, MOST * size)
        out[term.theta] = term.theta_of(np.diag(sd))
        variance += layout.basis[:, own.start : own.stop] ** 2 @ sd**2
    # log E exp(u) = variance / 2
    return out, b - model.X.T @ (variance / 2) / len(variance) if log else b


def _variance(z: Array, effects: NDArray[np.intp], score: Array, bend: Array) -> float:
    """(sum s^2 - sum I) / sum I^2 over the levels, no less than 0."""
    s = np.bincount(effects, z * score)
    information = np.bincount(effects, z * z * bend)
    squares = float(information @ information)
    return max(float(s @ s - information.sum()), 0.0) / squares if squares > 0 else float("nan")
