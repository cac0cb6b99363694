"""The latent variables of masks: normal with mean eta and variance 1, above 0 where there is an event."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from formula_neuro.family import Array


def departures(eta: Array, events: NDArray[np.uint8], u: Array) -> tuple[Array, Array]:
    """Z - eta and the probability of what was seen, for uniform numbers u in (0, 1).

    With t = Phi(s eta), s = 1 at an event and -1 elsewhere, s (Z - eta) = -Phi^-1(t u). Where t underflows, beyond 37
    standard deviations, its logarithm takes its place.

    >>> z, t = departures(np.array([-40.0]), np.array([1], dtype=np.uint8), np.array([0.5]))
    >>> bool(-40 + z[0] > 0), round(float(-40 + z[0]), 4)  # an exponential of rate 40: its median is log(2) / 40
    (True, 0.0173)
    """
    s = 2.0 * events - 1.0
    t = special.ndtr(s * eta)
    e = -special.ndtri(t * u)
    far = t < 1e-290
    if far.any():
        e[far] = -special.ndtri_exp(special.log_ndtr((s * eta)[far]) + np.log(u[far]))
    return s * e, t
