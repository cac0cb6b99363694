"""The inverse links and their first four derivatives in the linear predictor, in closed form."""

from __future__ import annotations

import numpy as np

from formula_neuro.family import Array
from formula_neuro.family.links import Link

Jet = tuple[Array, Array, Array, Array, Array]  # mu and its first to fourth derivative in eta


def inverse_link(link: Link, eta: Array) -> Jet:
    """mu (n,) and d^k mu / d eta^k for k = 1 to 4, from one evaluation of the link.

    >>> from formula_neuro.family.links import LINKS
    >>> [d.tolist() for d in inverse_link(LINKS["sqrt"], np.array([3.0]))]
    [[9.0], [6.0], [2.0], [0.0], [0.0]]
    """
    mu, mu1 = link.inverse(eta), link.derivative(eta)
    return _HIGHER[link.name](eta, mu, mu1)


def _identity(eta: Array, mu: Array, mu1: Array) -> Jet:
    zero = np.zeros_like(eta)
    return mu, mu1, zero, zero, zero


def _log(eta: Array, mu: Array, mu1: Array) -> Jet:
    return mu, mu, mu, mu, mu


def _logit(eta: Array, mu: Array, mu1: Array) -> Jet:
    turn = 1 - 2 * mu
    return mu, mu1, mu1 * turn, mu1 * (1 - 6 * mu1), mu1 * turn * (1 - 12 * mu1)


def _probit(eta: Array, mu: Array, mu1: Array) -> Jet:
    return mu, mu1, -eta * mu1, (eta**2 - 1) * mu1, (3 - eta**2) * eta * mu1


def _cloglog(eta: Array, mu: Array, mu1: Array) -> Jet:
    e = np.exp(np.minimum(eta, 700.0))
    with np.errstate(over="ignore", invalid="ignore"):  # beyond the floor of mu1 there is nothing to differentiate
        higher = [mu1 * (1 - e), mu1 * (1 - 3 * e + e**2), mu1 * (1 - 7 * e + 6 * e**2 - e**3)]
    return mu, mu1, higher[0], higher[1], higher[2]


def _cauchit(eta: Array, mu: Array, mu1: Array) -> Jet:
    f = 1 / (1 + eta**2)
    return mu, mu1, -2 * eta * f * mu1, (6 * eta**2 - 2) * f**2 * mu1, 24 * eta * (1 - eta**2) * f**3 * mu1


def _inverse(eta: Array, mu: Array, mu1: Array) -> Jet:
    return mu, mu1, -2 * mu1 / eta, 6 * mu1 / eta**2, -24 * mu1 / eta**3


def _sqrt(eta: Array, mu: Array, mu1: Array) -> Jet:
    zero = np.zeros_like(eta)
    return mu, mu1, np.full_like(eta, 2.0), zero, zero


def _inverse_square(eta: Array, mu: Array, mu1: Array) -> Jet:
    return mu, mu1, -1.5 * mu1 / eta, 3.75 * mu1 / eta**2, -13.125 * mu1 / eta**3


_HIGHER = {
    "identity": _identity, "log": _log, "logit": _logit, "probit": _probit, "cloglog": _cloglog,
    "cauchit": _cauchit, "inverse": _inverse, "sqrt": _sqrt, "1/mu^2": _inverse_square,
}  # fmt: skip
