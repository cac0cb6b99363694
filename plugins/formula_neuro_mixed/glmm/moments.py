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


def moments(model: Model, terms: Sequence[Term], theta: Array, b: Array, tau: Sequence[float]) -> Array:
    """theta with the moments' standard deviations in its diagonals, 0 beside them; terms with a structure are left.

    theta: effects of the usual size.
    """
    layout, out = model.layout, theta.copy()
    beside = model.parts(np.concatenate([theta, b, tau]))[2]
    near = model.rows.near(model.X @ b + model.offset, beside)
    for term, slot in zip(terms, layout.slots, strict=True):
        if term.structure is not None:
            continue
        own = range(slot.place, slot.place + term.K)
        sd = np.array([_sd(layout.basis[:, j], layout.columns[:, j], near.score, -near.bend) for j in own])
        size = np.diag(term.template(theta))
        sd = np.clip(np.where(np.isfinite(sd), sd, size), LEAST * size, MOST * size)
        out[term.theta] = term.theta_of(np.diag(sd))
    return out


def _sd(z: Array, effects: NDArray[np.intp], score: Array, bend: Array) -> float:
    """The square root of (sum s^2 - sum I) / sum I^2 over the levels."""
    s = np.bincount(effects, z * score)
    information = np.bincount(effects, z * z * bend)
    squares = float(information @ information)
    return float(np.sqrt(max(s @ s - information.sum(), 0.0) / squares)) if squares > 0 else float("nan")
