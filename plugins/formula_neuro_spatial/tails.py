"""The normal distribution's tails as probit models need them, exact far out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
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
        eta = np.ascontiguousarray(eta)
        half = eta**2 / 2
        E, e, c = special.erfcx(np.sqrt(half)), np.exp(-half), np.sqrt(2 / np.pi)
        eE = e * E
        r1, r0 = c / E, c * e / (2 - eE)
        log1, log0 = np.log(E / 2) - half, np.log1p(-0.5 * eE)
        _swap(np.flatnonzero(eta > 0), r1, r0)
        _swap(np.flatnonzero(eta > 0), log1, log0)
        return cls(eta, r1, r0, log1, log0)


def _swap(at: NDArray[np.intp], one: Array, two: Array) -> None:
    """The numbers of two arrays at some places: of lesions, where few are above 0, twice as quick as choosing."""
    one, two = one.reshape(-1), two.reshape(-1)
    one[at], two[at] = two[at], one[at]


def log_likelihood(eta: Array, S: Array, m: Array) -> Array:
    """Sums over rows (C,) of S log Phi(eta) + (m - S) log Phi(-eta), for eta and S (C, K), m (K,)."""
    u = Tails.of(eta)
    return np.asarray((S * u.log1 + (m - S) * u.log0).sum(axis=1))
