"""The normal distribution's tails as probit models need them, exact far out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from formula_neuro.family import Array


@dataclass(frozen=True, eq=False)
class Tails:
    """phi/Phi of eta (r1) and of -eta (r0), and the logarithms of Phi(eta) and Phi(-eta), exact far into both tails."""

    eta: Array
    r1: Array
    r0: Array
    log1: Array
    log0: Array

    @classmethod
    def of(cls, eta: Array) -> Tails:
        """With E = erfcx(|eta| / sqrt(2)) and e = exp(-eta^2 / 2): Phi(-|eta|) = e E / 2, phi = e / sqrt(2 pi)."""
        half = eta**2 / 2
        E, e, c = special.erfcx(np.sqrt(half)), np.exp(-half), np.sqrt(2 / np.pi)
        eE = e * E
        near, far = c * e / (2 - eE), c / E
        log_near, log_far = np.log1p(-0.5 * eE), np.log(E / 2) - half
        up = eta > 0
        return cls(
            eta, np.where(up, near, far), np.where(up, far, near), np.where(up, log_near, log_far),
            np.where(up, log_far, log_near),
        )  # fmt: skip


def log_likelihood(eta: Array, S: Array, m: Array) -> Array:
    """Sums over rows (C,) of S log Phi(eta) + (m - S) log Phi(-eta), for eta and S (C, K), m (K,)."""
    half = eta**2 / 2
    E = special.erfcx(np.sqrt(half))
    log_near, log_far = np.log1p(-0.5 * np.exp(-half) * E), np.log(E / 2) - half
    events = np.where(eta > 0, S, m - S)  # of what is likelier than not
    return np.asarray((events * log_near + (m - events) * log_far).sum(axis=1))
