"""What score, information and bias adjustments need of every row at a linear predictor.

With mu1 = dmu/deta, mu2 = d2mu/deta2, variance function V and prior weights w:

    q = w mu1 / V,   W = q mu1,   bend = mu2 / mu1,   skew = V'(mu) mu1 / V

Binomial rows are written from both tails, so that nothing cancels where a mean is close to 0 or 1 and
nothing is clipped; all functions broadcast over leading axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from formula_neuro.family import Array, Family


@dataclass(frozen=True, eq=False)
class Moments:
    """Row by row: the mean, the residual y - mu, and q, W, bend, skew of this file's head."""

    mu: Array
    residual: Array
    q: Array
    W: Array
    bend: Array
    skew: Array


def moments(family: Family, eta: Array, y: Array, w: Array) -> Moments:
    """The moments at eta (..., n) for responses y and prior weights w; not finite where eta is out of range."""
    with np.errstate(all="ignore"):
        return _binomial(family, eta, y, w) if family.name == "binomial" else _other(family, eta, y, w)


def _other(family: Family, eta: Array, y: Array, w: Array) -> Moments:
    mu, mu1, mu2 = family.link.inverse(eta), family.link.derivative(eta), family.link.second(eta)
    V = family.variance(mu)
    q = mu1 / V
    return Moments(mu, y - mu, w * q, w * q * mu1, mu2 / mu1, family.variance_slope(mu) * q)


def _binomial(family: Family, eta: Array, y: Array, w: Array) -> Moments:
    mu, rest, q, bend = TAILS[family.link.name](eta)
    V = mu * rest
    return Moments(mu, y * rest - (1 - y) * mu, w * q, w * q**2 * V, bend, (rest - mu) * q)


# ---- links of shares: mu, 1 - mu, mu1 / (mu (1 - mu)), mu2 / mu1 ----------------------------------
Tails = tuple[Array, Array, Array, Array]


def _logit(eta: Array) -> Tails:
    mu, rest = special.expit(eta), special.expit(-eta)
    return mu, rest, np.ones_like(eta), rest - mu


def _probit(eta: Array) -> Tails:
    mu, rest, far = special.ndtr(eta), special.ndtr(-eta), np.abs(eta)
    mills = np.sqrt(2 / np.pi) / special.erfcx(far / np.sqrt(2))  # density over the smaller tail
    return mu, rest, mills / np.maximum(mu, rest), -eta


def _cloglog(eta: Array) -> Tails:
    rate = np.exp(eta)
    mu, rest = -np.expm1(-rate), np.exp(-rate)
    return mu, rest, np.where(rate > 0, rate / mu, 1.0), -np.expm1(eta)


def _cauchit(eta: Array) -> Tails:
    smaller = np.arctan2(1.0, np.abs(eta)) / np.pi
    mu, rest = np.where(eta < 0, smaller, 1 - smaller), np.where(eta < 0, 1 - smaller, smaller)
    return mu, rest, 1 / (np.pi * (1 + eta**2) * mu * rest), -2 * eta / (1 + eta**2)


def _log(eta: Array) -> Tails:
    mu, rest = np.exp(eta), -np.expm1(eta)
    return mu, rest, 1 / rest, np.ones_like(eta)


TAILS: dict[str, Callable[[Array], Tails]] = {
    "logit": _logit, "probit": _probit, "cloglog": _cloglog, "cauchit": _cauchit, "log": _log,
}  # fmt: skip
